"""Becomes a process of the platform: takes the lock that makes it the only one, says who it is, then runs its command.

    python -m atelier_cli.platform.launch RECORD FINGERPRINT COMMAND…

The lock belongs to the open file, which the command inherits: it is held exactly as long as the process lives, also
when whoever started it was killed before it could write anything down.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from pathlib import Path

from atelier_spawner.notebooks.process import Process

TAKEN = 75  # another process holds the lock


def take(record: Path, fingerprint: str) -> int | None:
    """Lock `record` and write this process into it. The descriptor that holds the lock, or none if it is taken."""
    descriptor = os.open(record, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    process = Process.of(os.getpid())
    if process is None:
        raise SystemExit("this process cannot find itself in the process table")
    text = json.dumps({**process.save(), "fingerprint": fingerprint}).encode()
    os.pwrite(descriptor, text.ljust(os.fstat(descriptor).st_size), 0)
    return descriptor


def main() -> None:
    """See the module."""
    record, fingerprint, *command = sys.argv[1:]
    descriptor = take(Path(record), fingerprint)
    if descriptor is None:
        raise SystemExit(TAKEN)
    os.set_inheritable(descriptor, True)
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
