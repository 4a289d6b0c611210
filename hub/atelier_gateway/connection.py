"""One HTTP/1.1 connection to an upstream: one exchange at a time, streamed both ways, parsed by httptools."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httptools

HIGH_WATER = 256 * 1024
MOST_HEAD = 256 * 1024
Headers = Sequence[tuple[bytes, bytes]]


class UpstreamError(Exception):
    """The upstream did not give a whole answer."""


class Unreachable(UpstreamError):
    """Nobody accepted a connection: nothing of the request was sent."""


class ClosedEarly(UpstreamError):
    """The connection ended before the first byte of an answer."""


class BrokenAnswer(UpstreamError):
    """The answer stopped in the middle, or is not HTTP."""


class Connection(asyncio.Protocol):
    """`begin`, `write`…, `head`, `take` and `more` until `complete`; then it may be used again if `reusable`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser: Any = httptools.HttpResponseParser(self)
        self._transport: Any = None
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._writing_paused = False
        self.closed = False
        self.idle_since = 0.0
        self._reset(head_only=False)
        self._busy = False

    def _reset(self, *, head_only: bool) -> None:
        self._busy = True
        self._head_only = head_only
        self._answered = False
        self._interim = False
        self._has_head = False
        self._keep_alive = False
        self._error: BaseException | None = None
        self._pieces: list[bytes] = []
        self._buffered = 0
        self._silent = 0  # bytes since the head, or since the last piece of the body
        self._reading_paused = False
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False

    # --- the exchange ---

    def begin(self, data: bytes, *, head_only: bool) -> None:
        """Start an exchange with the first bytes of the request; `head_only`: its answer has no body (HEAD)."""
        self._reset(head_only=head_only)
        self.write(data)

    def write(self, data: bytes) -> None:
        """Send more of the request."""
        if not self.closed:
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the upstream has taken most of what was written."""
        if self._error is not None:
            raise self._error
        if self._writing_paused and not self.closed:
            self._drained = self._drained or self._loop.create_future()
            await asyncio.shield(self._drained)

    async def head(self) -> None:
        """Wait for `status` and `headers`."""
        while not self._has_head:
            await self.more()

    async def more(self) -> None:
        """Wait until something new has come: the head, a piece of the body, the end. Raises when it never will."""
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def take(self) -> bytes:
        """What has come of the body since the last time."""
        if not self._pieces:
            if self._error is not None and not self.complete:
                raise self._error
            return b""
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._buffered = 0
        if self._reading_paused and not self.closed:
            self._reading_paused = False
            self._transport.resume_reading()
        return data

    def fail(self, error: BaseException) -> None:
        """End the exchange: whoever waits for it gets `error`."""
        if self._error is None:
            self._error = error
        self.close()
        self._wake()

    @property
    def reusable(self) -> bool:
        """Whether another exchange may follow on this connection."""
        return self.complete and self._keep_alive and not self.closed and not self._head_only

    def rest(self) -> None:
        """No exchange is under way; what comes now is not expected."""
        self._busy = False
        self.idle_since = self._loop.time()

    def close(self) -> None:
        """Let go of it."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    def _wake(self) -> None:
        for future in (self._waiter, self._drained if self.closed or not self._writing_paused else None):
            if future is not None and not future.done():
                future.set_result(None)

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        if not self._busy or self.complete:
            self.close()  # nobody asked: an idle server says good-bye, or something worse
            return
        self._answered = True
        self._silent += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.complete:
                self.fail(BrokenAnswer(f"the answer is not HTTP: {error}"))
            return
        if self._silent > MOST_HEAD and not self.complete:
            self.fail(BrokenAnswer("its headers have no end"))
            return
        if self._buffered > HIGH_WATER and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self.closed = True
        if not self.complete and self._error is None:
            if self._until_end and exc is None:
                self.complete = True
            elif self._answered:
                self._error = BrokenAnswer("the connection ended in the middle of the answer")
            else:
                self._error = ClosedEarly("the connection ended before an answer")
        self._writing_paused = False
        self._wake()

    def pause_writing(self) -> None:
        """Called by the loop."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """Called by the loop."""
        self._writing_paused = False
        self._wake()
        self._drained = None

    @property
    def _until_end(self) -> bool:
        """Whether the answer has no length and ends with the connection."""
        framed = any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)
        return self._has_head and not framed

    # --- httptools ---

    def on_message_begin(self) -> None:
        """Called by the parser."""
        if self.complete:
            self._keep_alive = False  # an answer that nobody asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        if not self._has_head:  # else a trailer
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        if self.complete:
            return
        status = self._parser.get_status_code()
        self._interim = status < 200
        if self._interim:
            self.headers = []
            return
        self.status = status
        self._has_head = True
        self._silent = 0
        self._keep_alive = self._parser.should_keep_alive()
        if self._head_only:
            self.complete = True

    def on_body(self, data: bytes) -> None:
        """Called by the parser."""
        self._silent = 0
        if not self.complete:
            self._pieces.append(data)
            self._buffered += len(data)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if not self._interim:
            self.complete = True
