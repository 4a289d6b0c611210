"""What the replicas on this machine use now."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from atelier_core.workload import ReplicaUsage
from atelier_runtime.usage import ProcessTable, Used
from atelier_spawner.local.attempt import Attempt, Replica

_FIRST_LOOK = 0.3  # seconds that the first look at a replica takes: how fast a counter grows needs two readings
_SHORTEST = 0.2  # between two readings; clock ticks are too coarse for less
_FORGET = 60.0
_GPU_SECONDS = 5.0
_GPU_QUERY = ("--query-gpu=index,utilization.gpu,memory.used", "--format=csv,noheader,nounits")
_MIB = 1024**2

Shims = dict[tuple[str, str], int]


class Device(NamedTuple):
    """How busy an accelerator is, in percent, and how much of its memory is taken, in bytes."""

    busy: float | None
    memory: int | None


@dataclass(frozen=True)
class _Reading:
    at: float
    used: Used
    cores: float | None


class Meter:
    """Remembers what was read last, which is what "now" is measured against."""

    def __init__(self) -> None:
        self._readings: dict[tuple[str, str], _Reading] = {}
        self._lock = asyncio.Lock()

    async def usage(self, attempts: Sequence[Attempt]) -> dict[str, tuple[ReplicaUsage, ...]]:
        """What the live replicas of these workloads use, read together: one look at the process table for all."""
        async with self._lock:
            shims = await asyncio.to_thread(self._read, attempts)
            if any(self._readings[key].cores is None for key in shims):
                await asyncio.sleep(_FIRST_LOOK)
                shims = await asyncio.to_thread(self._read, attempts)
        devices = await read_devices() if _have_devices(attempts) else {}
        return {
            attempt.workload: tuple(
                found
                for replica in attempt.record.replicas
                if (attempt.workload, replica.name) in shims
                and (found := self._usage(attempt.workload, replica, devices)) is not None
            )
            for attempt in attempts
            if attempt.record is not None
        }

    def _read(self, attempts: Sequence[Attempt]) -> Shims:
        shims = _shims(attempts)
        table, now = ProcessTable(), time.monotonic()
        self._readings = {key: one for key, one in self._readings.items() if now - one.at < _FORGET}
        for key, pid in shims.items():
            before, used = self._readings.get(key), table.used_below(pid)
            if before is None:
                self._readings[key] = _Reading(now, used, None)
            elif now - before.at >= _SHORTEST:
                # A process whose children nobody waits for takes their time with it: never less than nothing.
                cores = max(0.0, used.cpu - before.used.cpu) / (now - before.at)
                self._readings[key] = _Reading(now, used, cores)
        return shims

    def _usage(self, workload: str, replica: Replica, devices: dict[int, Device]) -> ReplicaUsage | None:
        reading = self._readings.get((workload, replica.name))
        if reading is None or reading.cores is None:
            return None
        gpu, gpu_memory = _of_devices([devices[index] for index in replica.devices if index in devices])
        return ReplicaUsage(
            name=replica.name,
            cpu=reading.cores,
            memory=reading.used.memory,
            cpu_given=replica.cpu,
            memory_given=replica.memory,
            gpu=gpu,
            gpu_memory=gpu_memory,
        )


def _shims(attempts: Sequence[Attempt]) -> Shims:
    return {
        (attempt.workload, replica.name): pid
        for attempt in attempts
        for replica in (attempt.record.replicas if attempt.record else ())
        if (pid := attempt.shim(replica.name)) is not None
    }


def _have_devices(attempts: Sequence[Attempt]) -> bool:
    return any(replica.devices for attempt in attempts if attempt.record for replica in attempt.record.replicas)


def _of_devices(devices: Collection[Device]) -> tuple[float | None, int | None]:
    """Of a replica's devices, which are its own alone: how busy they are in the mean, and their memory together."""
    busy = [device.busy for device in devices if device.busy is not None]
    memory = [device.memory for device in devices if device.memory is not None]
    return (sum(busy) / len(busy) if busy else None), (sum(memory) if memory else None)


async def read_devices() -> dict[int, Device]:
    """The accelerators by index, as NVIDIA's own program tells; none where it is not installed or does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return {}
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(program, *_GPU_QUERY, stdin=null, stdout=pipe, stderr=null)
    try:
        async with asyncio.timeout(_GPU_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return {}
    return parse_devices(output.decode(errors="replace"))


def parse_devices(text: str) -> dict[int, Device]:
    """Lines `index, percent, MiB`; a figure that a device does not have is some text in brackets."""
    found = {}
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 3 and fields[0].isdigit():
            busy, memory = _figure(fields[1]), _figure(fields[2])
            found[int(fields[0])] = Device(busy, None if memory is None else int(memory) * _MIB)
    return found


def _figure(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
