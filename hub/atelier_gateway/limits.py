"""How often one caller may come: a token bucket each."""

from __future__ import annotations

import math
import time

MOST_BUCKETS = 20_000
LONGEST_WAIT = 86_400.0


class Buckets:
    """Token buckets by service and caller; those unused for longest are forgotten first."""

    def __init__(self, most: int = MOST_BUCKETS) -> None:
        self._most = most
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def take(self, service: str, caller: str, rate: float, burst: int) -> int:
        """Take one; 0, or the seconds after which there will be one."""
        size = float(burst or max(1, math.ceil(rate)))
        moment = time.monotonic()
        tokens, before = self._buckets.pop((service, caller), (size, moment))
        tokens = min(size, tokens + (moment - before) * rate)
        allowed = tokens >= 1
        if len(self._buckets) >= self._most:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[service, caller] = (tokens - 1 if allowed else tokens, moment)
        return 0 if allowed else max(1, math.ceil(min((1 - tokens) / rate, LONGEST_WAIT)))
