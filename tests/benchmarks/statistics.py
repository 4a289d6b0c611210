"""What can honestly be said of a few dozen measurements: no distribution is assumed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """Of one series: `low` and `high` enclose the true median with 95 % confidence; None where n is too small."""

    n: int
    median: float
    low: float | None
    high: float | None
    p99: float


def summarise(samples: Sequence[float]) -> Summary:
    """Median with its confidence interval, and p99 (the largest value where n is below 100)."""
    low, high = median_interval(samples)
    return Summary(len(samples), median(samples), low, high, percentile(samples, 99))


def median(samples: Sequence[float]) -> float:
    """The middle value, or the mean of the two in the middle."""
    ordered = sorted(samples)
    if not ordered:
        raise ValueError("no samples")
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def percentile(samples: Sequence[float], percent: float) -> float:
    """By nearest rank: the smallest measured value that `percent` of all do not exceed."""
    if not samples or not 0 < percent <= 100:
        raise ValueError("needs samples and a percentage above 0, at most 100")
    # The nearest rank is a whole number of samples: rounding keeps binary fractions from lifting it by one.
    return sorted(samples)[math.ceil(round(len(samples) * percent / 100, 9)) - 1]


def median_interval(samples: Sequence[float], confidence: float = 0.95) -> tuple[float | None, float | None]:
    """Two order statistics that enclose the median with at least this confidence; none where n is too small.

    How many of n samples lie below the true median is binomial with p = 1/2, whatever the distribution is.
    """
    n = len(samples)
    rank, below = 0, 0.0
    while rank < n // 2:
        below += math.exp(math.lgamma(n + 1) - math.lgamma(rank + 1) - math.lgamma(n - rank + 1) - n * math.log(2))
        if 2 * below > 1 - confidence:
            break
        rank += 1
    if rank == 0:
        return None, None
    ordered = sorted(samples)
    return ordered[rank - 1], ordered[n - rank]
