"""What this machine has and what is taken: cpu, memory, accelerators by index."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping
from typing import Any

from atelier_core.errors import Invalid, QuotaExceeded
from atelier_core.workload import Resources
from atelier_spawner.local.attempt import Replica

_TOLERANCE = 1e-9


class Slots:
    """Counts what live workloads hold. The truth is which of them live; this is recounted from them at start."""

    def __init__(self, cpu: float, memory: int, accelerators: Mapping[str, int]) -> None:
        self.cpu = cpu
        self.memory = memory
        self.accelerators = dict(accelerators)
        self._held: dict[str, tuple[Replica, ...]] = {}

    @classmethod
    def of_machine(cls, options: Mapping[str, Any]) -> Slots:
        """What the operator allows, by default all that the machine has."""
        accelerators = options.get("accelerators")
        if accelerators is None:
            found = len(glob.glob("/dev/nvidia[0-9]*"))
            accelerators = {"nvidia.com/gpu": found} if found else {}
        cpu = options.get("cpu") or len(os.sched_getaffinity(0))
        return cls(float(cpu), int(options.get("memory") or _memory()), accelerators)

    def clear(self) -> None:
        """Count anew."""
        self._held.clear()

    def hold(self, workload: str, replicas: tuple[Replica, ...]) -> None:
        """Count what a workload holds already."""
        self._held[workload] = replicas

    def holds(self, workload: str) -> bool:
        """Whether something is counted for it."""
        return workload in self._held

    def release(self, workload: str) -> None:
        """Give back; again is fine."""
        self._held.pop(workload, None)

    def devices(self, wanted: list[Resources]) -> list[tuple[int, ...]]:
        """Choose accelerators for replicas that are to start together, if all of it fits now.

        Raises `Invalid` if it never fits on this machine, `QuotaExceeded` if not now.
        """
        self._check_ever(wanted)
        free = self.free()
        cpu, memory = sum(item.cpu for item in wanted), sum(item.memory for item in wanted)
        if cpu > free["cpu"] + _TOLERANCE or memory > free["memory"]:
            raise _busy("cpu" if cpu > free["cpu"] + _TOLERANCE else "memory")
        left = {name: self._free_devices(name) for name in self.accelerators}
        chosen = []
        for item in wanted:
            if item.accelerators > len(left.get(item.device, [])) and item.accelerators:
                raise _busy(item.device)
            pool = left.get(item.device, [])
            chosen.append(tuple(pool[: item.accelerators]))
            del pool[: item.accelerators]
        return chosen

    def free(self) -> dict[str, float]:
        """What is free now, by resource."""
        replicas = [replica for held in self._held.values() for replica in held]
        free: dict[str, float] = {
            "cpu": self.cpu - sum(replica.cpu for replica in replicas),
            "memory": self.memory - sum(replica.memory for replica in replicas),
        }
        return free | {name: len(self._free_devices(name)) for name in self.accelerators}

    def total(self) -> dict[str, float]:
        """What there is, by resource."""
        return {"cpu": self.cpu, "memory": self.memory, **self.accelerators}

    def _free_devices(self, name: str) -> list[int]:
        replicas = [replica for held in self._held.values() for replica in held if replica.accelerator == name]
        taken = {device for replica in replicas for device in replica.devices}
        return [device for device in range(self.accelerators[name]) if device not in taken]

    def _check_ever(self, wanted: list[Resources]) -> None:
        needs: dict[str, float] = {"cpu": sum(i.cpu for i in wanted), "memory": sum(i.memory for i in wanted)}
        for item in wanted:
            if item.accelerators:
                needs[item.device] = needs.get(item.device, 0) + item.accelerators
        total = self.total()
        for name, amount in needs.items():
            if amount > total.get(name, 0) + _TOLERANCE:
                raise Invalid(
                    f"It needs {_amount(name, amount)}, and this machine has {_amount(name, total.get(name, 0))}.",
                    code="does_not_fit",
                    hint="Ask for less, use fewer replicas, or run it on a cluster.",
                )


def environment_of(replica: Replica, accelerators: Iterable[str]) -> dict[str, str]:
    """What keeps a replica to its own devices; on a machine with accelerators also those that asked for none."""
    if not list(accelerators):
        return {}
    return {"CUDA_VISIBLE_DEVICES": ",".join(map(str, replica.devices))}


def _busy(name: str) -> QuotaExceeded:
    return QuotaExceeded(
        f"All {name} of this machine is in use.", code="no_slot", hint="It starts as soon as something else ends."
    )


def _amount(name: str, amount: float) -> str:
    if name == "memory":
        return f"{amount / 1024**2:.0f} MiB of memory"
    return f"{amount:g} {name}"


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
