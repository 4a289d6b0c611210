"""Slows down who guesses passwords."""

from __future__ import annotations

import time
from collections.abc import Callable

FREE = 5  # failures that cost nothing
LONGEST_WAIT = 300.0
REMEMBERED = 10_000


class Throttle:
    """Counts failures per key and says how long the next try has to wait, doubling from one second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, tuple[int, float]] = {}

    def wait(self, key: str) -> float:
        """Seconds until `key` may try again; 0 if now."""
        count, last = self._failures.get(key, (0, 0.0))
        if count < FREE:
            return 0.0
        return max(0.0, last + min(LONGEST_WAIT, 2.0 ** (count - FREE)) - self._clock())

    def failed(self, key: str) -> None:
        """Note a failure; the keys that failed longest ago are forgotten first."""
        count, last = self._failures.pop(key, (0, 0.0))
        if self._clock() - last > 2 * LONGEST_WAIT:
            count = 0
        self._failures[key] = (count + 1, self._clock())
        while len(self._failures) > REMEMBERED:
            self._failures.pop(next(iter(self._failures)))

    def succeeded(self, key: str) -> None:
        """Forget the failures of `key`."""
        self._failures.pop(key, None)
