"""Logs that do not grow without end: the beginning and the end stay, the command notices nothing."""

from __future__ import annotations

import contextlib
import os

_TAIL = 64 * 1024
_TOO_LONG = "[Atelier: this log is longer than {limit}; its beginning and its end are kept, what was between is not.]"


def readable(size: int) -> str:
    """A size as people write it."""
    amount, unit = float(size), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.4g} {unit}"


def notice(text: str) -> bytes:
    """What the platform itself says in a log, on a line of its own."""
    return f"\n{text}\n".encode("utf-8", "replace")


def _notice(limit: int) -> bytes:
    return notice(_TOO_LONG.format(limit=readable(limit)))


def _tail(limit: int) -> int:
    return max(1, min(_TAIL, limit // 4))


class OwnLog:
    """A file to which the command itself appends; `trim` makes it short again. A `limit` of 0 is none."""

    def __init__(self, path: str, limit: int) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self.descriptor = os.open(path, flags, 0o600)
        self._limit = limit

    def trim(self) -> None:
        """If it is too long, cut out what is neither beginning nor end; what is written meanwhile follows."""
        size = os.fstat(self.descriptor).st_size
        if not self._limit or size <= self._limit:
            return
        last = os.pread(self.descriptor, _tail(self._limit), size - _tail(self._limit))
        with contextlib.suppress(OSError):
            os.ftruncate(self.descriptor, self._limit // 2)
            os.write(self.descriptor, _notice(self._limit) + last)

    def close(self) -> None:
        """Let go; it has its final length."""
        self.trim()
        os.close(self.descriptor)


def add(path: str, text: str) -> None:
    """Say something at the end of a log that nobody writes any more; on a full disk it is lost."""
    with contextlib.suppress(OSError), open(path, "ab") as file:
        file.write(notice(text))


class CopiedLog:
    """A file that takes what a pipe brings; once it is full, only what comes last, when it is closed."""

    def __init__(self, descriptor: int, limit: int) -> None:
        self._descriptor = descriptor
        self._limit = limit
        self._room = max(0, limit - _tail(limit) - os.fstat(descriptor).st_size) if limit else None
        self._last = b""
        self._told = False

    def write(self, piece: bytes) -> None:
        """Add a piece; a disk without room loses it, for the pipe must be drained."""
        if self._room is not None:
            piece, rest = piece[: self._room], piece[self._room :]
            self._room -= len(piece)
            self._last = (self._last + rest)[-_tail(self._limit) :]
        self._append(piece)
        if self._last and not self._told:
            self._told = True
            self._append(_notice(self._limit))

    def close(self) -> None:
        """Add what came last."""
        self._append(self._last)
        self._last = b""

    def _append(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._descriptor, data) :]
