"""The body of a request: bounded, unpacked, and whole before anything is answered."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from atelier_serve.errors import Refused

_WINDOW = {b"gzip": 31, b"deflate": 15}


class Disconnected(Refused):
    """The caller is gone; nobody reads the answer."""


async def read(
    scope: MutableMapping[str, Any], receive: Callable[[], Awaitable[MutableMapping[str, Any]]], limit: int
) -> tuple[bytes, int | None]:
    """The body, and how much of it is JSON where binary data follow."""
    declared = header_length = encoding = None
    for name, value in scope["headers"]:
        if name == b"content-length":
            declared = int(value)
        elif name == b"inference-header-content-length":
            header_length = value
        elif name == b"content-encoding":
            encoding = value.strip().lower()
    if declared is not None and declared > limit:
        raise _too_large(limit)
    content = await _whole(receive, limit)
    if encoding and encoding != b"identity":
        content = _unpacked(content, encoding, limit)
    return content, None if header_length is None else _length(header_length, len(content))


async def _whole(receive: Callable[[], Awaitable[MutableMapping[str, Any]]], limit: int) -> bytes:
    parts: list[bytes] = []
    size, message = 0, await receive()
    while True:
        if message["type"] != "http.request":
            raise Disconnected("The request ended early.", code="disconnected", status=408)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()


def _unpacked(content: bytes, encoding: bytes, limit: int) -> bytes:
    window = _WINDOW.get(encoding)
    if window is None:
        raise Refused(
            f"The content encoding {encoding.decode('latin-1')!r} is not known.",
            code="bad_encoding",
            hint="Send the body as it is, or packed with gzip or deflate.",
            status=415,
        )
    unpacking = zlib.decompressobj(window)
    try:
        found = unpacking.decompress(content, limit + 1)
    except zlib.error as error:
        raise Refused(f"The body cannot be unpacked: {error}.", code="bad_encoding", hint="Pack it again.") from None
    if len(found) > limit:
        raise _too_large(limit)
    if not unpacking.eof:
        raise Refused("The packed body ends early.", code="bad_encoding", hint="Send the whole of it.")
    return found


def _length(value: bytes, size: int) -> int:
    try:
        length = int(value)
    except ValueError:
        length = -1
    if not 0 <= length <= size:
        raise Refused(
            f"Inference-Header-Content-Length is no number from 0 to {size}, the length of the body.",
            code="bad_binary",
            hint="It is the length of the JSON before the binary data.",
        )
    return length


def _too_large(limit: int) -> Refused:
    return Refused(
        f"The request is larger than {limit} bytes.",
        code="too_large",
        hint="Send fewer rows at once.",
        status=413,
    )
