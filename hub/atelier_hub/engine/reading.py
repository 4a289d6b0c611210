"""Logs of attempts for those who read them: from the store as far as they are there, else from the engine."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress

from atelier_core.errors import AtelierError
from atelier_core.states import State
from atelier_hub.context import Context
from atelier_hub.engine import store
from atelier_hub.engine.driver import Driver
from atelier_hub.engine.store import Attempt

_POLL = 0.3  # seconds between looks at a log that is shipped in pieces
_STANDS = 1.0  # seconds after which a log that moves into the store, and does not grow there, has stopped


class LogReader:
    """Reads the log of one replica of an attempt; each byte once. `look` finds the attempt while there is none yet."""

    def __init__(
        self,
        ctx: Context,
        attempt: Attempt | None,
        replica: str,
        offset: int,
        follow: bool,
        look: Callable[[], Attempt | None],
    ) -> None:
        self._ctx, self._attempt, self._replica = ctx, attempt, replica
        self._at, self._follow, self._look = offset, follow, look
        self._logs = ctx.logs
        self._end, self._grown = 0, 0.0

    async def stream(self) -> AsyncIterator[bytes]:
        """Pieces of the log until it ends (or, without `follow`, until nothing more is there now)."""
        while True:
            over = self._attempt is not None and self._attempt.final
            before = self._at
            async for piece in self._stored():
                yield piece
            if self._at == before:
                async for piece in self._live():
                    yield piece
            if (over or not self._follow) and not await self._moves():
                if self._at == before or not self._follow:
                    return
                continue
            await asyncio.sleep(_POLL)
            self._attempt = await asyncio.to_thread(self._again)

    async def _moves(self) -> bool:
        """Whether the log of an attempt that ended is on its way into the store, so that what is missing comes soon."""
        attempt, now = self._attempt, asyncio.get_running_loop().time()
        if attempt is None or not attempt.final or attempt.cleaned:
            return False
        end = await asyncio.to_thread(self._logs.end, attempt.id, self._replica)
        if end != self._end:
            self._end, self._grown = end, now
        return end > 0 and now - self._grown < _STANDS

    def _again(self) -> Attempt | None:
        if self._attempt is None:
            return self._look()
        with self._ctx.db.read() as session:
            return store.get_attempt(session, self._attempt.id)

    async def _stored(self) -> AsyncIterator[bytes]:
        if self._attempt is None:
            return
        found = self._logs.read(self._attempt.id, self._replica, self._at)
        while True:
            piece = await asyncio.to_thread(next, found, b"")
            if not piece:
                return
            self._at += len(piece)
            yield piece

    async def _live(self) -> AsyncIterator[bytes]:
        attempt, driver = self._attempt, self._ctx.get(Driver)
        if attempt is None or attempt.cleaned or attempt.state is State.QUEUED or not driver.is_open(attempt.backend):
            return
        if await asyncio.to_thread(self._logs.end, attempt.id, self._replica):
            return  # it is shipped in pieces
        place = 0
        with suppress(AtelierError):
            async for data in driver.backends[attempt.backend].logs(attempt.handle, self._replica, self._follow):
                fresh = data[max(0, self._at - place) :]
                place += len(data)
                if fresh:
                    self._at += len(fresh)
                    yield fresh


async def last_words(ctx: Context, attempt: Attempt, replica: str, lines: int, most: int = 4000) -> str:
    """The last lines of a log, as much as can be had."""
    held: deque[bytes] = deque()
    size = 0
    end = await asyncio.to_thread(ctx.logs.end, attempt.id, replica)
    reader = LogReader(ctx, attempt, replica, max(0, end - most), False, lambda: attempt)
    async with aclosing(reader.stream()) as stream:  # type: ignore[type-var]
        async for piece in stream:
            held.append(piece)
            size += len(piece)
            while held and size - len(held[0]) >= most:
                size -= len(held.popleft())
    text = b"".join(held)[-most:].decode("utf-8", "replace").replace("\0", "")
    return "\n".join(text.rstrip().splitlines()[-lines:])
