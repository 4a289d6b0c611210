"""Files that outlive every process: the claim of an attempt, its exit, and other JSON written whole or not at all."""

from __future__ import annotations

import json
import os
import stat
import threading
from typing import Any, Optional

from atelier_runtime import process

_LIMIT = 4 * 1024**2


class AlreadyClaimed(Exception):
    """Another shim carries this replica, or did."""


def claim_path(root: str, replica: str) -> str:
    """Where the claim of a replica is."""
    return os.path.join(root, "claim-" + replica)


def exit_path(root: str, replica: str) -> str:
    """Where the exit of a replica is."""
    return os.path.join(root, "exit-%s.json" % replica)


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
    # The link appears with its content or not at all, and only once.
    temporary = _write_temporary(claim_path(root, replica), document, durable=True)
    try:
        os.link(temporary, claim_path(root, replica))
    except FileExistsError:
        raise AlreadyClaimed(replica) from None
    finally:
        os.unlink(temporary)
    sync_folder(root)
    return document


def write_json(path: str, document: Any, durable: bool = True) -> None:
    """Replace a file by `document` at once; `durable` also survives a power cut."""
    temporary = _write_temporary(path, document, durable)
    os.replace(temporary, path)
    if durable:
        sync_folder(os.path.dirname(path))


def write_json_once(path: str, document: Any) -> bool:
    """Write a file unless it is there already; says whether this call wrote it."""
    temporary = _write_temporary(path, document, durable=True)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary)
    sync_folder(os.path.dirname(path))
    return True


def read_json(path: str, owner: Optional[int] = None) -> Optional[dict[str, Any]]:
    """The document in a file that a step's user may have touched: no links, no devices, no other owner; else None."""
    descriptor = open_untrusted(path, owner)
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as file:
        try:
            document = json.loads(file.read(_LIMIT))
        except ValueError:
            return None
    return document if isinstance(document, dict) else None


def open_untrusted(path: str, owner: Optional[int] = None) -> Optional[int]:
    """Open a regular file for reading, or None if it is not there, is a link, or belongs to a third user."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and (owner is None or status.st_uid in (owner, os.geteuid())):
        if status.st_uid == owner or owner is None or status.st_nlink == 1:
            return descriptor
    os.close(descriptor)
    return None


def sync_folder(path: str) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_temporary(path: str, document: Any, durable: bool) -> str:
    temporary = "%s.%d.%d.tmp" % (path, os.getpid(), threading.get_ident())
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    return temporary
