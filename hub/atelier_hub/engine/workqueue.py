"""A queue of keys to look after: duplicates merge, no key is worked on twice at once, failures wait longer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)


class WorkQueue:
    """Calls `process(key)` for every key added, at most `workers` at a time.

    A key added while it is being processed is processed once more afterwards. When `process` returns a number, the key
    comes again after so many seconds; when it raises, after a wait that doubles from `backoff` up to `longest`.
    """

    def __init__(
        self,
        process: Callable[[str], Awaitable[float | None]],
        *,
        workers: int = 100_000,
        backoff: float = 0.2,
        longest: float = 30.0,
    ) -> None:
        self._process = process
        self._slots = asyncio.Semaphore(workers)
        self._backoff, self._longest = backoff, longest
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._failures: dict[str, int] = {}
        self._closed = False

    def knows(self, key: str) -> bool:
        """Whether `key` is worked on, or has its date."""
        return key in self._busy or key in self._timers

    def is_due(self, key: str) -> bool:
        """Whether `key`, which is being processed, was added meanwhile."""
        return key in self._again

    def add(self, key: str, delay: float = 0.0) -> None:
        """Have `key` looked after, `delay` seconds from now; an earlier date stands."""
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None:
            if delay and timer.when() <= loop.time() + delay:
                return
            timer.cancel()
            del self._timers[key]
        if delay > 0:
            self._timers[key] = loop.call_later(delay, self._due, key)
        elif key in self._busy:
            self._again.add(key)
        else:
            self._busy[key] = loop.create_task(self._work(key), name=f"work {key}")

    def _due(self, key: str) -> None:
        self._timers.pop(key, None)
        self.add(key)

    async def _work(self, key: str) -> None:
        later: float | None = None
        try:
            async with self._slots:
                later = await self._process(key)
            self._failures.pop(key, None)
        except asyncio.CancelledError:
            raise
        except Exception:
            count = self._failures[key] = self._failures.get(key, 0) + 1
            later = min(self._longest, self._backoff * 2 ** (count - 1))
            log.exception("Looking after %s failed; again in %.1f s", key, later)
        finally:
            self._busy.pop(key, None)
        if key in self._again:
            self._again.discard(key)
            self.add(key)
        elif later is not None:
            self.add(key, max(later, 0.001))

    async def close(self) -> None:
        """Take no more keys; cancel what is under way and wait for it."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        tasks = list(self._busy.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
