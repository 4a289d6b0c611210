"""Where a request is computed: on the event loop while that is shorter than a change of thread, else in a pool."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")
QUICK = 0.002
SLOW = 0.02
SMALL = 64 * 1024
_FIRST_TRUST = 20


class Lanes:
    """Learns how long the model takes.

    A change of thread costs about 0.1 ms, many models less. But nothing else is answered while the loop computes, so
    one slow answer there sends all that follow to the pool, until twice as many quick ones in a row were seen there
    as the last time.
    """

    def __init__(self, threads: int, concurrent: bool) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="predict")
        self._concurrent = concurrent
        self._in_pool = 0
        self._trust = _FIRST_TRUST
        self._seen = 0
        self._quickest = float("inf")
        self.inline = False

    def warm(self, seconds: float) -> None:
        """What the model took when nothing else ran."""
        self.inline = seconds < QUICK

    async def run(self, compute: Callable[[], Result], size: int) -> Result:
        """The result of `compute`; `size` is how much it has to read."""
        # Who may not compute beside others does not, on whichever thread.
        if self.inline and size <= SMALL and (self._concurrent or not self._in_pool):
            return self._here(compute)
        self._in_pool += 1
        try:
            seconds, result = await asyncio.get_running_loop().run_in_executor(self._pool, _timed, compute)
        finally:
            self._in_pool -= 1
        if not self.inline and size <= SMALL:
            self._learn(seconds)
        return result

    def _here(self, compute: Callable[[], Result]) -> Result:
        start = time.perf_counter()
        try:
            return compute()
        finally:
            if time.perf_counter() - start > SLOW:
                self.inline = False
                self._trust *= 2

    def _learn(self, seconds: float) -> None:
        """The quickest counts: beside a busy loop a thread waits for its turn."""
        self._seen += 1
        self._quickest = min(self._quickest, seconds)
        if seconds > SLOW:
            self._seen, self._quickest = 0, float("inf")
        if self._seen >= self._trust:
            self.inline = self._quickest < QUICK
            self._seen, self._quickest = 0, float("inf")

    def close(self) -> None:
        """No more work; what is under way ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _timed(compute: Callable[[], Result]) -> tuple[float, Result]:
    start = time.perf_counter()
    result = compute()
    return time.perf_counter() - start, result
