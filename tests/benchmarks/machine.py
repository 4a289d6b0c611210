"""On what the figures were measured, and whether anybody else was busy there."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def describe() -> str:
    """One line: processor, cores, memory, Python."""
    model = next((line.partition(":")[2].strip() for line in _lines("cpuinfo") if line.startswith("model name")), "")
    memory = next((int(line.split()[1]) for line in _lines("meminfo") if line.startswith("MemTotal")), 0) / 1024**2
    return (
        f"{len(os.sched_getaffinity(0))} cores ({model or platform.machine()}), {memory:.0f} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def load() -> float:
    """The load average of the last minute."""
    return os.getloadavg()[0]


def busy(before: float) -> bool:
    """Whether something else was running when the benchmark began."""
    return before > 0.5 * len(os.sched_getaffinity(0))


def _lines(name: str) -> list[str]:
    return Path("/proc", name).read_text().splitlines()
