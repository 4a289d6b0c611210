"""Tars in little memory: those that somebody else has written are read, those of stored contents are made."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import IO, Any, Literal, NamedTuple, Self, cast

from atelier_hub.artifacts.store import ArtifactStore

_MAX_HEADER = 1024**2
_BLOCK = tarfile.BLOCKSIZE
_END = b"\0" * (2 * _BLOCK)


def open_tar(pieces: Iterator[bytes], mode: Literal["r|", "r|gz"]) -> tarfile.TarFile:
    """The tar in `pieces`, which can only be read forward; a header that is too long is a `tarfile.ReadError`."""
    return tarfile.open(fileobj=cast(IO[bytes], _Pieces(pieces)), mode=mode, tarinfo=_Member)


class Member(NamedTuple):
    """A file that is to be in a tar: its path there, and its stored content."""

    path: str
    size: int
    digest: str


class StoredFolder:
    """Stored contents as one folder: a tar that is made while it is sent, so that nothing is stored twice."""

    kind = "folder"

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members

    @cached_property
    def size(self) -> int:
        """How many bytes the tar has."""
        headers = sum(len(_header(member)) for member in self._members)
        return headers + sum(-(-member.size // _BLOCK) * _BLOCK for member in self._members) + len(_END)

    def read(self, store: ArtifactStore) -> Iterator[bytes]:
        """The tar, piece by piece."""
        for member in self._members:
            yield _header(member)
            yield from store.read(member.digest)
            yield b"\0" * (-member.size % _BLOCK)
        yield _END


def _header(member: Member) -> bytes:
    info = tarfile.TarInfo(member.path)
    info.size, info.mode = member.size, 0o644
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


class _Pieces:
    """Pieces of bytes as a file that can only be read forward."""

    def __init__(self, pieces: Any) -> None:
        self._pieces = pieces
        self._held = b""

    def read(self, size: int) -> bytes:
        """At most `size` bytes; empty at the end."""
        while not self._held:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._held = piece
        taken, self._held = self._held[:size], self._held[size:]
        return taken


class _Member(tarfile.TarInfo):
    """A member whose header is short: tarfile reads long names and the like into memory as a whole."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read a header."""
        member = super().frombuf(buf, encoding, errors)
        if member.size < 0 or member.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.ReadError("not a plain file")
        plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE)
        if member.size > _MAX_HEADER and not plain:
            raise tarfile.ReadError("a header is too long")
        return member
