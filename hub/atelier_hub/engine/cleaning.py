"""Removes what attempts that are over left on their engines: later, and many together, because nobody waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from atelier_core.errors import AtelierError
from atelier_hub.engine.election import TurnOver
from atelier_hub.engine.store import Attempt

log = logging.getLogger(__name__)

DELAY = 1.0  # seconds: what comes next goes first
_TOGETHER = 16
_MARK_SECONDS = 1.0
_BACKOFF, _LONGEST = 1.0, 30.0


class Cleaner:
    """Calls `remove` for every attempt added, and `mark` for those of which nothing is left; tries again for ever."""

    def __init__(
        self, remove: Callable[[Attempt], Awaitable[None]], mark: Callable[[Sequence[Attempt]], Awaitable[None]]
    ) -> None:
        self._remove = remove
        self._mark = mark
        self._added: dict[str, Attempt] = {}
        self._busy: set[str] = set()
        self._failures: dict[str, int] = {}
        self._any = asyncio.Event()
        self._batches: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_TOGETHER)

    def knows(self, attempt: str) -> bool:
        """Whether it is being removed, or will be."""
        return attempt in self._added or attempt in self._busy

    def add(self, attempt: Attempt) -> None:
        """Have what is left of an attempt removed."""
        if not self.knows(attempt.id):
            self._added[attempt.id] = attempt
            self._any.set()

    async def run(self) -> None:
        """Clean until cancelled."""
        try:
            while True:
                await self._any.wait()
                await asyncio.sleep(DELAY)
                self._any.clear()
                batch, self._added = self._added, {}
                self._busy |= batch.keys()
                task = asyncio.get_running_loop().create_task(self._clean(list(batch.values())))
                self._batches.add(task)
                task.add_done_callback(self._batches.discard)
        finally:
            batches = list(self._batches)
            for task in batches:
                task.cancel()
            await asyncio.gather(*batches, return_exceptions=True)

    async def _clean(self, batch: Sequence[Attempt]) -> None:
        """One that takes long holds up no other."""
        loop = asyncio.get_running_loop()
        pending = {loop.create_task(self._one(attempt)) for attempt in batch}
        try:
            while pending:
                done, pending = await asyncio.wait(pending, timeout=_MARK_SECONDS)
                removed = [attempt for task in done if (attempt := task.result()) is not None]
                if removed:
                    await self._note(removed)
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def _one(self, attempt: Attempt) -> Attempt | None:
        try:
            async with self._slots:
                await self._remove(attempt)
            return attempt
        except TurnOver:
            self._busy.discard(attempt.id)
        except AtelierError as error:
            log.warning("What is left of %s cannot be removed now: %s", attempt.id, error.message)
            self._again(attempt)
        except Exception:
            log.exception("Removing what is left of %s failed", attempt.id)
            self._again(attempt)
        return None

    async def _note(self, removed: Sequence[Attempt]) -> None:
        try:
            await self._mark(removed)
        except TurnOver:
            pass
        except Exception:
            log.exception("What was removed could not be noted; it is removed again")
            for attempt in removed:
                self._again(attempt)
        else:
            for attempt in removed:
                self._failures.pop(attempt.id, None)
        self._busy -= {attempt.id for attempt in removed}

    def _again(self, attempt: Attempt) -> None:
        count = self._failures[attempt.id] = self._failures.get(attempt.id, 0) + 1
        wait = min(_LONGEST, _BACKOFF * 2.0 ** min(count - 1, 10))
        asyncio.get_running_loop().call_later(wait, self._retry, attempt)

    def _retry(self, attempt: Attempt) -> None:
        self._busy.discard(attempt.id)
        self.add(attempt)
