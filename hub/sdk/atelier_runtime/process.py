"""Processes as the kernel shows them: identity, sessions, markers, and how to end all that belongs to an attempt."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import time
from typing import NamedTuple

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
_POLL = 0.01


class Process(NamedTuple):
    """One row of the process table; `start_time` (clock ticks since boot) tells a reused pid from the first owner."""

    pid: int
    state: str
    parent: int
    session: int
    start_time: int

    @property
    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        return self.state not in "ZX"


def stat(pid: int) -> list[bytes] | None:
    """What the kernel says of a process, from its state on: field N of proc(5) is at N - 3. None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    return text[text.rindex(b")") + 2 :].split()


def read(pid: int) -> Process | None:
    """The process with this pid, if there is one."""
    fields = stat(pid)
    if fields is None:
        return None
    return Process(pid, fields[0].decode(), int(fields[1]), int(fields[3]), int(fields[19]))


@functools.lru_cache(maxsize=None)  # noqa: UP033  # Python 3.9
def boot_id() -> str:
    """Changes with every boot of the machine; pids of an earlier boot mean nothing."""
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
        return file.read().strip()


def all_pids() -> list[int]:
    """Every pid of the process table."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def become_reaper() -> None:
    """Make orphaned descendants our children, so that none gets away by daemonising."""
    try:
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        pass  # in a container the wrapper is process 1 and adopts orphans anyway


def end_descendants() -> None:
    """Kill whatever descends from this process, and reap it. Needs `become_reaper`: orphans become our children."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid:
            continue
        own = os.getpid()
        for process in filter(None, map(read, all_pids())):
            if process.parent == own and process.alive:
                _kill(process.pid)
        time.sleep(_POLL / 5)


def survivors(attempt: str, sessions: list[tuple[int, int]], uid: int | None, replica: str = "") -> list[int]:
    """Live processes of an attempt: in one of its sessions, or carrying its marker in their environment.

    A session is named by (id, start time of the shim): members older than the shim belong to somebody else who had
    the number before. `uid` keeps a forged claim from pointing at another user's processes.
    """
    marker = b"\0ATELIER_ATTEMPT=" + attempt.encode() + b"\0"
    second = b"\0ATELIER_REPLICA=" + replica.encode() + b"\0" if replica else b"\0"
    found = []
    for pid in all_pids():
        process = read(pid)
        if process is None or not process.alive or pid == os.getpid() or not belongs_to(pid, uid):
            continue
        member = any(process.session == session and process.start_time >= since for session, since in sessions)
        if member or _marked(pid, marker, second):
            found.append(pid)
    return found


def kill_survivors(
    attempt: str, sessions: list[tuple[int, int]], uid: int | None, replica: str = "", limit: float = 10
) -> list[int]:
    """Kill all of `survivors` until a scan finds none; returns those that would not die (stuck in the kernel)."""
    deadline = time.monotonic() + limit
    while True:
        found = survivors(attempt, sessions, uid, replica)
        if not found or time.monotonic() > deadline:
            return found
        for pid in found:
            _kill(pid)
        time.sleep(_POLL)


def signal_session(session: int, number: int) -> None:
    """Send a signal to every process of a session."""
    for process in filter(None, map(read, all_pids())):
        if process.session == session:
            _kill(process.pid, number)


def _kill(pid: int, number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def belongs_to(pid: int, uid: int | None) -> bool:
    """Whether a process runs under `uid`; None is anybody's."""
    if uid is None:
        return True
    try:
        return os.stat(f"/proc/{pid}").st_uid == uid
    except OSError:
        return False


def _marked(pid: int, marker: bytes, second: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environ = b"\0" + file.read() + b"\0"
    except OSError:
        return False
    return marker in environ and second in environ
