"""How many replicas a load asks for. No clock, no memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

TOLERANCE = 0.1  # a use that is that near to its target changes nothing
_ALMOST = 1e-9


def for_requests(under_way: float, each: float) -> int:
    """So many that every one has at most `each` requests at a time; never none."""
    return max(1, math.ceil(under_way / each))


def for_cpu(current: int, used: Sequence[float], target: float) -> int:
    """So many that every one would use about `target` percent of the processor time that it is given.

    `used` is what those of the `current` replicas use of which that is known. The others, which have perhaps only just
    begun, are taken to have nothing to do where there would be more and as much as they should where there would be
    fewer: they make a change smaller, and never turn it around.
    """
    if not used or current < 1:
        return current
    grows = sum(used) / len(used) > target
    unknown = max(0, current - len(used))
    share = (sum(used) + unknown * (0.0 if grows else target)) / (current * target)
    if abs(share - 1) <= TOLERANCE or (share > 1) != grows:
        return current
    return max(1, math.ceil(share * current - _ALMOST))
