"""The body of a visitor's request: bounded, streamed on, and kept for a second try as long as it is small."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from atelier_gateway.connection import Connection, UpstreamError
from atelier_gateway.errors import Refusal, VisitorGone

KEPT = 1024**2


class Body:
    """Reads from the visitor, once; what was read goes to an upstream as often as needed while it is `replayable`."""

    def __init__(self, receive: Any, length: int | None, limit: int | None, timeout: float) -> None:
        if limit is not None and length is not None and length > limit:
            raise too_large(limit)
        self._receive = receive
        self._limit = limit
        self._timeout = timeout
        self._pieces: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self.length = length
        self.total = 0
        self.ended = False
        self.replayable = True
        self.moved_at = 0.0

    async def first(self) -> None:
        """Read what has come with the head: for most requests that is everything."""
        await self._next()

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """All of it for whoever reads it here: nothing is kept."""
        self.replayable = False
        while not self.ended:
            piece = await self._next()
            if piece:
                yield piece

    @property
    def kept(self) -> bytes:
        """All that was read so far, while `replayable`."""
        if len(self._pieces) > 1:
            self._pieces = [b"".join(self._pieces)]
        return self._pieces[0] if self._pieces else b""

    def framing(self, method: str) -> bytes:
        """The header that says how long it is."""
        if self.length is not None:
            return b"content-length: %d\r\n" % self.length
        if not self.ended:
            return b"transfer-encoding: chunked\r\n"
        if self.total or method in ("POST", "PUT", "PATCH"):
            return b"content-length: %d\r\n" % self.total
        return b""

    @property
    def chunked(self) -> bool:
        """Whether its length is unknown."""
        return self.length is None and not self.ended

    async def send_rest(self, connection: Connection, *, chunked: bool) -> None:
        """Pass the rest on as fast as the upstream takes it. What goes wrong is told to who waits for the answer."""
        try:
            while not self.ended:
                piece = await self._next()
                if piece:
                    connection.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                    await connection.drain()
            if chunked:
                connection.write(b"0\r\n\r\n")
        except UpstreamError:
            return  # who waits for the answer knows
        except (Refusal, VisitorGone) as error:
            connection.fail(error)

    async def until_gone(self) -> None:
        """Return when the visitor has gone; only after the whole body was read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout(self._timeout):
                message = await self._receive()
        except TimeoutError:
            raise Refusal(
                408,
                f"Nothing more of the request came for {self._timeout:g} seconds.",
                code="request_too_slow",
                hint="Send it again.",
                closes=True,
            ) from None
        if message["type"] == "http.disconnect":
            raise VisitorGone
        piece: bytes = message.get("body", b"")
        self.ended = not message.get("more_body", False)
        self.moved_at = self._loop.time()
        self.total += len(piece)
        if self._limit is not None and self.total > self._limit:
            raise too_large(self._limit)
        if piece and self.replayable:
            self._keep(piece)
        return piece

    def _keep(self, piece: bytes) -> None:
        self._pieces.append(piece)
        if self.total > KEPT:
            self.replayable = False
            self._pieces.clear()


def too_large(limit: int) -> Refusal:
    """The body is over the limit."""
    return Refusal(
        413,
        f"The request is larger than the {limit:,} bytes that this service takes.",
        code="too_large",
        hint="Send less at a time, or have the service's limit raised.",
        closes=True,
    )
