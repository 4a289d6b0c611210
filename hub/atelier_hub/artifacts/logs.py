"""Logs of attempts, in pieces as they come: `logs/<attempt>/<replica>/<offset>-<length>`.

Bytes at an offset are always the same bytes, so pieces may overlap (a shim repeats what it is not sure of, another
replica of the control plane took the last piece): a reader takes each byte once.

An attempt whose logs have reached the limit keeps what is there: `full` beside the pieces holds the line that says so,
and what comes later is taken and dropped, so that no step waits or fails for it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

from atelier_core.errors import Conflict, Invalid
from atelier_hub.artifacts.store import TEMPORARY, ArtifactStore, guarded, read_range

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_PIECE = re.compile(r"(\d{15})-(\d{1,12})")
_REMEMBERED = 10_000
_FULL = "full"
LIMIT = 1024**3  # bytes of all logs of one attempt


class LogOffset(Conflict):
    """The piece does not begin where the log ends; `offset` says where to go on."""

    code = "log_offset"

    def __init__(self, offset: int) -> None:
        super().__init__(f"The log goes on at offset {offset}.")
        self.offset = offset


class LogStore:
    """Logs in an artifact store."""

    def __init__(self, store: ArtifactStore, limit: int = LIMIT) -> None:
        self._store = store
        self._limit = limit
        self._ends: dict[str, dict[str, int]] = {}  # of attempts that this process has added to, by replica
        self._full: set[tuple[str, str]] = set()

    def append(self, attempt: str, replica: str, offset: int, data: bytes) -> int:
        """Add what the replica wrote from `offset` on; returns where to go on, or raises `LogOffset`."""
        ends = self._ends_of(attempt)
        if ends.get(replica) != offset:
            ends[replica] = self.end(attempt, replica)
        if (attempt, replica) in self._full:
            return max(ends[replica], offset) + len(data)
        if ends[replica] != offset:
            raise LogOffset(ends[replica])
        kept = data[: max(0, self._limit - sum(ends.values()))]
        if kept:
            self._write(f"{self._folder(attempt, replica)}/{_piece(offset, len(kept))}", [kept])
        ends[replica] = offset + len(kept)
        if len(kept) < len(data):
            self._write(f"{self._folder(attempt, replica)}/{_FULL}", [_notice(self._limit)])
            self._full.add((attempt, replica))
        return offset + len(data)

    def _ends_of(self, attempt: str) -> dict[str, int]:
        """Where the logs of an attempt end, as far as this process knows."""
        if attempt not in self._ends:
            if len(self._ends) > _REMEMBERED:
                self._ends.clear()
                self._full.clear()
            self._ends[attempt] = {replica: self.end(attempt, replica) for replica in self.replicas(attempt)}
        return self._ends[attempt]

    def end(self, attempt: str, replica: str) -> int:
        """How many bytes there are, without a gap."""
        end = 0
        for start, length, _path in self._pieces(attempt, replica):
            if start > end:
                break
            end = max(end, start + length)
        return end

    def read(self, attempt: str, replica: str, start: int = 0) -> Iterator[bytes]:
        """What the replica wrote from byte `start` on, as far as it has come."""
        at = start
        for data in self._written(attempt, replica, start):
            at += len(data)
            yield data
        if (attempt, replica) in self._full:
            path = f"{self._folder(attempt, replica)}/{_FULL}"
            yield from read_range(self._store.fs.open(path, "rb"), max(0, at - self.end(attempt, replica)), None)

    def _written(self, attempt: str, replica: str, at: int) -> Iterator[bytes]:
        """The bytes from `at` on that were kept, also while many pieces become one."""
        pieces = iter(self._pieces(attempt, replica))
        while (piece := next(pieces, None)) is not None and piece[0] <= at:
            begin, length, path = piece
            if begin + length <= at:
                continue
            try:
                file = self._store.fs.open(path, "rb")
            except FileNotFoundError:
                fresh = self._pieces(attempt, replica)
                if piece in fresh or not any(begin <= at < begin + length for begin, length, _ in fresh):
                    raise
                pieces = iter(fresh)  # what it held is in another piece now
                continue
            for data in read_range(file, at - begin, None):
                at += len(data)
                yield data

    def replicas(self, attempt: str) -> list[str]:
        """The replicas of which there is a log."""
        return sorted(path.rsplit("/", 1)[-1] for path in self._names(self._folder(attempt)))

    def compact(self, attempt: str, replica: str) -> None:
        """Make one piece of many, once the log is complete. Interrupted, it only leaves pieces that overlap."""
        pieces = self._pieces(attempt, replica)
        if len(pieces) < 2:
            return
        whole = f"{self._folder(attempt, replica)}/{_piece(0, self.end(attempt, replica))}"
        self._write(whole, self._written(attempt, replica, 0))
        for _start, _length, path in pieces:
            if path != whole:
                self._store.fs.rm_file(path)

    def delete(self, attempt: str) -> None:
        """Remove all logs of an attempt; no error if there are none."""
        folder = self._folder(attempt)
        self._ends.pop(attempt, None)
        self._full -= {key for key in self._full if key[0] == attempt}
        if self._store.fs.exists(folder):
            self._store.fs.rm(folder, recursive=True)

    def _folder(self, *names: str) -> str:
        for name in names:
            if not _NAME.fullmatch(name):
                raise Invalid(f"{name[:80]!r} is not a name of an attempt or replica.")
        return "/".join([self._store.root, "logs", *names])

    def _pieces(self, attempt: str, replica: str) -> list[tuple[int, int, str]]:
        found = []
        for path in self._names(self._folder(attempt, replica)):
            last = path.rsplit("/", 1)[-1]
            if last == _FULL:
                self._full.add((attempt, replica))
            elif name := _PIECE.fullmatch(last):
                found.append((int(name[1]), int(name[2]), path))
        return sorted(found)

    def _names(self, folder: str) -> list[str]:
        self._store.fs.invalidate_cache(folder)
        try:
            return [str(path) for path in self._store.fs.ls(folder, detail=False)]
        except FileNotFoundError:
            return []

    def _write(self, path: str, chunks: Any) -> None:
        temporary = f"{self._store.root}/{TEMPORARY}/{uuid.uuid4().hex}"
        try:
            with guarded(lambda: self._store.fs.open(temporary, "wb")) as file:
                for chunk in chunks:
                    guarded(lambda chunk=chunk: file.write(chunk))  # type: ignore[misc]
            guarded(lambda: self._store.place(temporary, path))
        except BaseException:
            if self._store.fs.exists(temporary):
                self._store.fs.rm_file(temporary)
            raise


def _piece(offset: int, length: int) -> str:
    return f"{offset:015d}-{length}"


def _notice(limit: int) -> bytes:
    size = f"{limit / 1024**2:,.0f} MiB" if limit >= 1024**2 else f"{limit:,} bytes"
    return f"\n[Atelier: the logs of this attempt have reached {size}; what it wrote later is not kept.]\n".encode()
