"""How often the kernel killed something of this control group for want of memory."""

from __future__ import annotations

_MOUNT = "/sys/fs/cgroup"


def kills() -> int:
    """The control group's counter; the difference of two readings says whether it happened between them."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            lines = [line.strip().split(":", 2) for line in file]
    except OSError:
        return 0
    for _, controllers, path in lines:
        if "memory" in controllers.split(","):
            return _first(_MOUNT + "/memory" + path, _MOUNT + "/memory", name="memory.oom_control")
    for number, controllers, path in lines:
        if number == "0" and not controllers:
            return _first(_MOUNT + path, _MOUNT, name="memory.events")
    return 0


def _first(*folders: str, name: str) -> int:
    for folder in folders:
        value = _counter(folder + "/" + name)
        if value is not None:
            return value
    return 0


def _counter(path: str) -> int | None:
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                key, _, value = line.partition(" ")
                if key == "oom_kill":
                    return int(value)
    except OSError:
        pass
    return None
