"""Tars that somebody else has written, read piece by piece in little memory."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import IO, Any, Literal, Self, cast

_MAX_HEADER = 1024**2


def open_tar(pieces: Iterator[bytes], mode: Literal["r|", "r|gz"]) -> tarfile.TarFile:
    """The tar in `pieces`, which can only be read forward; a header that is too long is a `tarfile.ReadError`."""
    return tarfile.open(fileobj=cast(IO[bytes], _Pieces(pieces)), mode=mode, tarinfo=_Member)


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
