"""Files that outlive every process: the claim of an attempt, its exit, and other JSON written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import threading
from typing import Any

from atelier_runtime import process

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})  # there may be room later
_LIMIT = 8 * 1024**2  # an exit file holds the values of a step: up to 1 MiB, which may be written four times as long


class AlreadyClaimed(Exception):
    """Another shim carries this replica, or did."""


def claim_path(root: str, replica: str) -> str:
    """Where the claim of a replica is."""
    return os.path.join(root, "claim-" + replica)


def exit_path(root: str, replica: str) -> str:
    """Where the exit of a replica is."""
    return os.path.join(root, f"exit-{replica}.json")


def log_path(root: str, replica: str) -> str:
    """Where the output of a replica is."""
    return os.path.join(root, "log-" + replica)


def claim(root: str, replica: str) -> dict[str, Any]:
    """Claim the replica for this process; exactly one caller ever succeeds."""
    own = process.read(os.getpid())
    if own is None:
        raise OSError("The process table in /proc cannot be read.")
    document = {
        "pid": own.pid,
        "start_time": own.start_time,
        "session": own.session,
        "boot_id": process.boot_id(),
        "command_pid": None,
    }
    # The link appears with its content or not at all, and only once. It is not forced to the disk: after a power cut
    # nothing runs, and a file system that keeps order has the claim if it has anything that the command forced later.
    temporary = _write_temporary(claim_path(root, replica), document, durable=False)
    try:
        os.link(temporary, claim_path(root, replica))
    except FileExistsError:
        raise AlreadyClaimed(replica) from None
    finally:
        os.unlink(temporary)
    return document


def write_json(path: str, document: Any, durable: bool = True, mode: int = 0o600) -> None:
    """Replace a file by `document` at once; what is `durable` is on the disk before it gets its name."""
    temporary = _write_temporary(path, document, durable)
    if mode != 0o600:
        os.chmod(temporary, mode)
    os.replace(temporary, path)


def write_json_once(path: str, document: Any) -> bool:
    """Write a file unless it is there already; says whether this call wrote it."""
    temporary = _write_temporary(path, document, durable=True)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary)
    return True


def read_json(path: str, owner: int | None = None) -> dict[str, Any] | None:
    """The document in a file that a step's user may have touched: no links, no devices, no other owner; else None."""
    descriptor = open_untrusted(path, owner)
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as file:
        try:
            document = json.loads(file.read(_LIMIT))
        except (ValueError, RecursionError):  # what a step wrote may be anything
            return None
    return document if isinstance(document, dict) else None


def open_untrusted(path: str, owner: int | None = None) -> int | None:
    """Open a regular file for reading, or None if it is not there, is a link, or belongs to a third user."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    status = os.fstat(descriptor)
    ours = status.st_uid == os.geteuid() and status.st_nlink == 1
    if stat.S_ISREG(status.st_mode) and (owner is None or status.st_uid == owner or ours):
        return descriptor
    os.close(descriptor)
    return None


def _write_temporary(path: str, document: Any, durable: bool) -> str:
    temporary = f"{path}.{os.getpid()}.{threading.get_ident()}.tmp"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    return temporary
