"""Which process a number means: process ids are used again, so one is kept with its start time and the machine's boot.

Standard library only, because every started process says first who it is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_PROC = Path("/proc")
_BOOT = _PROC / "sys/kernel/random/boot_id"


@dataclass(frozen=True)
class Process:
    """One process of one boot of this machine."""

    pid: int
    started: str
    boot: str

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The living process `pid` (one that ended but was not waited for does not live), or none."""
        started = _started(pid)
        return cls(pid, started, _boot()) if started else None

    @classmethod
    def load(cls, saved: Any) -> Process | None:
        """What `save` gave, or none if it is something else."""
        try:
            return cls(int(saved["pid"]), str(saved["started"]), str(saved["boot"]))
        except (KeyError, TypeError, ValueError, OverflowError):
            return None

    def save(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    def alive(self) -> bool:
        """Whether it still runs: the same process, not merely the same number."""
        return self.boot == _boot() and _started(self.pid) == self.started

    def signal(self, number: int) -> bool:
        """Send a signal; false if it is gone."""
        if not self.alive():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def descendants(self) -> list[Process]:
        """Its children, their children and so on, as far as they live now."""
        children: dict[int, list[int]] = {}
        for pid, parent in _parents():
            children.setdefault(parent, []).append(pid)
        found: list[Process] = []
        waiting = [self.pid]
        while waiting:
            for pid in children.get(waiting.pop(), []):
                waiting.append(pid)
                process = Process.of(pid)
                if process is not None:
                    found.append(process)
        return found


def stop_all(processes: Iterable[Process], grace: float) -> None:
    """End `processes` and all they started: SIGTERM to them, after `grace` seconds SIGKILL to whatever is left."""
    roots = [process for process in processes if process.alive()]
    family = [child for root in roots for child in root.descendants()]
    for root in roots:
        root.signal(signal.SIGTERM)
    if not wait_gone(roots, grace):
        family += [child for root in roots for child in root.descendants() if child not in family]
    kill([*roots, *family])


def stop_only(process: Process, grace: float) -> None:
    """End one process and leave what it started alone."""
    process.signal(signal.SIGTERM)
    if not wait_gone([process], grace):
        kill([process])


def kill(processes: Iterable[Process]) -> None:
    """End them at once and wait until they are gone."""
    left = list(processes)
    for process in left:
        process.signal(signal.SIGKILL)
    wait_gone(left, 5)


def wait_gone(processes: Iterable[Process], seconds: float) -> bool:
    """Wait until none lives, at most `seconds`; whether that came true."""
    end = time.monotonic() + seconds
    left = list(processes)
    while left := [process for process in left if process.alive()]:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _boot() -> str:
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Its start time in the system's own words; empty if it does not live."""
    if not _BOOT.exists():
        return _ps(pid)
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in {"Z", "X"} else fields[19]


def _parents() -> Iterable[tuple[int, int]]:
    if not _BOOT.exists():
        listing = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=False).stdout
        yield from ((int(line.split()[0]), int(line.split()[1])) for line in listing.splitlines())
        return
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                yield int(entry.name), int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue


def _ps(pid: int) -> str:
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    state, _, started = (
        subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip().partition(" ")
    )
    return "" if state.startswith("Z") else started.strip()
