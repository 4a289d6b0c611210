"""Drift: how differently the values of an input are spread now than in the sample that a model was trained on.

The measure is the population stability index (PSI): over bins, the sum of (seen - trained) · ln(seen / trained), where
both are shares of rows. Numbers are binned by quantiles of the training sample, texts by value; what is missing is a
bin of its own. Few rows differ by chance alone, so there are fewer bins for them, and no reading for too few.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

MODERATE, MAJOR = 0.1, 0.25
FEWEST = 100
"""So many rows must have been seen before anything is said."""
MOST_BINS = 10
_EMPTY = 0.5  # an empty bin counts as half a row: what was not seen yet is not impossible
_SURE = 3.0  # how many standard deviations chance would have to be out before it reads as drift

Value = float | int | bool | str | None


class Level(StrEnum):
    """How to read it. `unknown` where too few rows are known."""

    STABLE = "stable"
    MODERATE = "moderate"
    MAJOR = "major"
    UNKNOWN = "unknown"


class Kind(StrEnum):
    """What an input holds."""

    NUMBER = "number"
    CATEGORY = "category"


class BinKind(StrEnum):
    """What is in a bin: numbers below `high`, numbers above `low` up to `high`, one `value`, any other, nothing.

    The range next to `below` has the number at `low` as well; where both bounds are the same, there is only that one.
    """

    BELOW = "below"
    RANGE = "range"
    VALUE = "value"
    OTHER = "other"
    MISSING = "missing"


@dataclass(frozen=True)
class Bin:
    """A part of what an input may be, with the shares of rows that are in it. `low` and `high` open where None."""

    kind: BinKind
    trained: float
    seen: float
    low: float | None = None
    high: float | None = None
    value: str = ""


@dataclass(frozen=True)
class InputDrift:
    """One input; `psi` is None where too few rows are known."""

    name: str
    kind: Kind
    psi: float | None
    level: Level
    trained_rows: int
    seen_rows: int
    bins: tuple[Bin, ...]


def psi(trained: Sequence[int], seen: Sequence[int]) -> float:
    """The index of two counts over the same bins; 0 where one of them is empty altogether."""
    a, b = sum(trained), sum(seen)
    if not a or not b:
        return 0.0
    total = 0.0
    for before, after in zip(trained, seen, strict=True):
        if before or after:
            p, q = max(before, _EMPTY) / a, max(after, _EMPTY) / b
            total += (q - p) * math.log(q / p)
    return total


def level(value: float | None) -> Level:
    """The usual reading: below 0.1 stable, above 0.25 a major shift."""
    if value is None:
        return Level.UNKNOWN
    return Level.STABLE if value < MODERATE else Level.MODERATE if value <= MAJOR else Level.MAJOR


def most_bins(trained: int, seen: int) -> int:
    """How many bins so many rows bear: chance alone stays below a moderate shift. Below 2 nothing can be said.

    Without any drift the index of B bins is about (1/trained + 1/seen) times a chi-square of B - 1 degrees.
    """
    if not trained or seen < FEWEST:
        return 0
    bearable = MODERATE / (1 / trained + 1 / seen)
    spread = _SURE * math.sqrt(2)
    root = (math.sqrt(spread**2 + 4 * bearable) - spread) / 2
    return min(MOST_BINS, 1 + int(root**2))


def fewest_rows(trained: int) -> int | None:
    """How many rows must be seen for a reading; None where the training sample is too small for any."""
    if most_bins(trained, 10**9) < 2:
        return None
    rows = FEWEST
    while most_bins(trained, rows) < 2:
        rows += FEWEST
    return rows


def measure(name: str, trained: Sequence[str], seen: Sequence[Value]) -> InputDrift:
    """The drift of one input: `trained` are the texts of a CSV column, `seen` what requests held."""
    kind = kind_of(trained)
    bins = most_bins(len(trained), len(seen))
    parts = _numbers if kind is Kind.NUMBER else _categories
    shown = parts(trained, seen, max(bins, 2))
    value = psi([one.before for one in shown], [one.after for one in shown]) if bins >= 2 else None
    return InputDrift(
        name=name,
        kind=kind,
        psi=value,
        level=level(value),
        trained_rows=len(trained),
        seen_rows=len(seen),
        bins=tuple(one.as_bin(len(trained), len(seen)) for one in shown),
    )


def measure_all(trained: Mapping[str, Sequence[str]], seen: Mapping[str, Sequence[Value]]) -> list[InputDrift]:
    """All inputs in the order of the training sample; those that no request held have no rows."""
    return [measure(name, column, seen.get(name, ())) for name, column in trained.items()]


def kind_of(trained: Iterable[str]) -> Kind:
    """Numbers where every text that is not empty is one."""
    texts = [text for text in trained if text.strip()]
    return Kind.NUMBER if texts and all(_is_number(text) for text in texts) else Kind.CATEGORY


@dataclass(frozen=True)
class _Part:
    """A bin while it is counted."""

    kind: BinKind
    before: int
    after: int
    low: float | None = None
    high: float | None = None
    value: str = ""

    def as_bin(self, trained: int, seen: int) -> Bin:
        before, after = self.before / max(trained, 1), self.after / max(seen, 1)
        return Bin(self.kind, before, after, self.low, self.high, self.value)


def _numbers(trained: Sequence[str], seen: Sequence[Value], most: int) -> list[_Part]:
    known = sorted(number for text in trained if (number := _number(text)) is not None)
    edges = _edges(known, most)
    before, after = ([0] * (len(edges) + 1) for _ in range(2))
    for number in known:
        before[bisect_left(edges, number)] += 1
    missing = 0
    for value in seen:
        found = _number(value)
        if found is None:
            missing += 1
        else:
            after[bisect_left(edges, found)] += 1
    least = bool(edges) and edges[0] < known[0]
    bounds = [None, *([known[0], *edges[1:]] if least else edges), None]
    parts = [
        _Part(BinKind.BELOW if least and at == 0 else BinKind.RANGE, before[at], after[at], low, high)
        for at, (low, high) in enumerate(pairwise(bounds))
        if before[at] or after[at]
    ]
    return parts + _absent(len(trained) - len(known), missing)


def _edges(known: Sequence[float], most: int) -> list[float]:
    """The upper bounds of bins that hold about as many of these numbers each; the last bin has none.

    A number that makes a whole bin alone is told from what lies below it and above it: a constant that changes shows.
    """
    distinct = sorted(set(known))
    if len(distinct) <= most:
        found = distinct
    else:
        found = sorted({known[len(known) * part // most - 1] for part in range(1, most)})
    if found and found[0] == known[0]:
        found.insert(0, math.nextafter(found[0], -math.inf))
    return found


def _categories(trained: Sequence[str], seen: Sequence[Value], most: int) -> list[_Part]:
    before = Counter(text if text.strip() else None for text in trained)
    after = Counter(_category(value) for value in seen)
    absent = _absent(before.pop(None, 0), after.pop(None, 0))
    ranked = sorted(before, key=lambda text: (-before[text], str(text)))
    common = ranked if len(ranked) < most else ranked[: most - 1]
    parts = [_Part(BinKind.VALUE, before.pop(one), after.pop(one, 0), value=str(one)) for one in common]
    rest = _Part(BinKind.OTHER, before.total(), after.total())
    return [*parts, *([rest] if rest.before or rest.after else []), *absent]


def _absent(before: int, after: int) -> list[_Part]:
    return [_Part(BinKind.MISSING, before, after)] if before or after else []


def _category(value: Value) -> str | None:
    """As the training sample writes it; None where there is nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    text = str(value)
    return text if text.strip() else None


def _number(value: Value) -> float | None:
    """As a number; None for nothing, and for what is none."""
    if value is None:
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return None if math.isnan(found) else found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
