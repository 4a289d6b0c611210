"""One request on its way through the gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from atelier_gateway.body import Body
from atelier_gateway.errors import Refusal, VisitorGone
from atelier_gateway.headers import RawHeaders

WATCH_SECONDS = 0.25
CAPTURED = 64 * 1024
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})


@dataclass(eq=False)
class Call:
    """What is passed on, to where, within which bounds; and what became of it."""

    send: Any
    method: str
    target: bytes
    """Path and query for the upstream."""
    headers: RawHeaders
    """For the upstream, without host and length."""
    body: Body
    timeout: float
    request_id: bytes
    response_limit: int | None = None
    capture: bool = False
    started: float = field(default_factory=time.perf_counter)
    status: int = 0
    answered: bool = False
    """Whether the visitor has got the beginning of an answer: from then on there is no second try."""
    gone: bool = False
    bytes_out: int = 0
    captured: list[bytes] = field(default_factory=list)
    _task: asyncio.Task[Any] | None = None
    _timer: asyncio.TimerHandle | None = None
    _watch: asyncio.Task[None] | None = None

    @property
    def repeatable(self) -> bool:
        """Whether doing it twice is as doing it once: by its method, or an inference, which only computes."""
        path = self.target.partition(b"?")[0]
        return self.method in _IDEMPOTENT or (path.startswith(b"/v2/models/") and path.endswith(b"/infer"))

    def head(self, netloc: bytes, prefix: bytes = b"") -> bytes:
        """The request's head for an upstream."""
        lines = [b"%b: %b\r\n" % header for header in self.headers]
        start = b"%b %b%b HTTP/1.1\r\nhost: %b\r\n" % (self.method.encode(), prefix, self.target, netloc)
        return b"".join([start, *lines, self.body.framing(self.method), b"\r\n"])

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Within, `VisitorGone` is raised when the visitor leaves; quick answers cost no second task."""
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(WATCH_SECONDS, self._look)
        try:
            yield
        except asyncio.CancelledError:
            if not self.gone or self._task is None:
                raise
            self._task.uncancel()
            raise VisitorGone from None
        finally:
            self._timer.cancel()
            if self._watch is not None:
                self._watch.cancel()

    def _look(self) -> None:
        if self.body.ended:
            self._watch = asyncio.create_task(self._end_when_gone())
        else:  # the body is being read, and whoever reads it sees the visitor leave
            self._timer = asyncio.get_running_loop().call_later(WATCH_SECONDS, self._look)

    async def _end_when_gone(self) -> None:
        await self.body.until_gone()
        self.gone = True
        if self._task is not None:
            self._task.cancel()

    async def start(self, headers: RawHeaders) -> None:
        """Begin the answer."""
        self.answered = True
        await self.send({"type": "http.response.start", "status": self.status, "headers": headers})

    async def pass_on(self, piece: bytes, *, more: bool) -> None:
        """Another piece of the answer. Raises a refusal when it grows beyond the limit."""
        self.count(piece)
        await self.send({"type": "http.response.body", "body": piece, "more_body": more})

    def count(self, piece: bytes) -> None:
        """Note a piece of the answer."""
        if self.capture and self.bytes_out < CAPTURED:
            self.captured.append(piece[: CAPTURED - self.bytes_out])
        self.bytes_out += len(piece)
        if self.response_limit is not None and self.bytes_out > self.response_limit:
            raise response_too_large(self.response_limit)


def response_too_large(limit: int) -> Refusal:
    """The answer is over the limit."""
    return Refusal(
        502,
        f"The answer is larger than the {limit:,} bytes that this service may answer with.",
        code="response_too_large",
        hint="Ask for less, or have the service's limit raised.",
    )
