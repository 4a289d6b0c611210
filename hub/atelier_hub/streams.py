"""How many streams (event feeds, followed logs) each person has open, so that one cannot use up what all need."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from atelier_core.errors import TooMany
from atelier_hub.http.errors import ErrorBody

MOST_STREAMS = 100
RETRY_SECONDS = 10
LIMITED: dict[int | str, dict[str, Any]] = {429: {"model": ErrorBody}}
"""What routes that answer with a stream add to their description."""


class Streams:
    """Counts open streams by person; `most` is how many one may have at a time."""

    def __init__(self, most: int = MOST_STREAMS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._open: Counter[str] = Counter()

    def open(self, who: str) -> int:
        """How many streams `who` has open now."""
        return self._open[who]

    def held(self, who: str, response: Response) -> Response:
        """The same response, counted as a stream of `who` until it is over; `TooMany` above the limit."""
        with self._lock:
            if self._open[who] >= self._most:
                raise TooMany(
                    f"You have {self._most} event feeds and followed logs open, which is the most for one person.",
                    code="too_many_streams",
                    hint="Close some of them: browser tabs, `watch` and `logs -f` in terminals. Then try again.",
                    retry_after=RETRY_SECONDS,
                )
            self._open[who] += 1
        return _Held(response, partial(self._release, who))

    def _release(self, who: str) -> None:
        with self._lock:
            self._open[who] -= 1
            if not self._open[who]:
                del self._open[who]


class _Held(Response):
    """Another response, after which something is released, however it ends."""

    def __init__(self, response: Response, release: Callable[[], None]) -> None:
        super().__init__()
        self._response = response
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._response(scope, receive, send)
        finally:
            self._release()
