"""Drift: what the index promises for all data, and how it reads for data of which the answer is known."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier_core import drift
from atelier_core.drift import BinKind, Kind, Level, measure, most_bins, psi

COUNTS = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=20)
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))
TEXTS = st.lists(st.one_of(st.just(""), st.floats(allow_nan=False).map(str), st.text(max_size=5)), max_size=300)


def _gauss(size: int, mean: float = 0, seed: int = 0) -> list[float]:
    numbers = random.Random(seed)
    return [numbers.gauss(mean, 1) for _ in range(size)]


def _texts(values: list[float]) -> list[str]:
    return [str(value) for value in values]


@given(COUNTS)
def test_the_index_is_no_less_than_nothing_and_blind_to_direction(counts: list[tuple[int, int]]) -> None:
    trained, seen = [a for a, _ in counts], [b for _, b in counts]
    found = psi(trained, seen)
    assert found >= 0 and math.isfinite(found)
    assert found == pytest.approx(psi(seen, trained))
    assert psi(trained, trained) == 0


@given(COUNTS, st.integers(2, 9))
def test_the_index_looks_at_shares(counts: list[tuple[int, int]], factor: int) -> None:
    trained, seen = [a + 1 for a, _ in counts], [b + 1 for _, b in counts]
    assert psi(trained, [factor * one for one in seen]) == pytest.approx(psi(trained, seen))


def test_the_index_of_known_shares() -> None:
    expected = (0.7 - 0.5) * math.log(0.7 / 0.5) + (0.3 - 0.5) * math.log(0.3 / 0.5)
    assert psi([50, 50], [70, 30]) == pytest.approx(expected)


@given(TEXTS, st.lists(VALUES, max_size=300))
def test_every_row_is_in_one_bin_whatever_it_holds(trained: list[str], seen: list[drift.Value]) -> None:
    found = measure("x", trained, seen)
    for side, rows in (("trained", trained), ("seen", seen)):
        assert sum(getattr(one, side) for one in found.bins) == pytest.approx(1 if rows else 0)
    assert (found.psi is None) == (found.level is Level.UNKNOWN)
    assert found.psi is None or found.psi >= 0
    assert len(found.bins) <= drift.MOST_BINS + 3
    assert all(one.trained or one.seen for one in found.bins)


@given(st.lists(st.floats(-1e6, 1e6), min_size=50, max_size=400), st.integers(1, 4))
def test_the_same_rows_again_are_no_drift(values: list[float], times: int) -> None:
    found = measure("x", _texts(values), values * times)
    assert found.psi is None or found.psi == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("trained", "seen"), [(1000, 100), (1000, 300), (1000, 5000), (200, 200)])
def test_chance_alone_is_no_drift(trained: int, seen: int) -> None:
    """Of 200 columns in which nothing changed, hardly any reads as a shift."""
    false = 0
    for seed in range(200):
        found = measure("x", _texts(_gauss(trained, seed=seed)), _gauss(seen, seed=1000 + seed))
        assert found.psi is not None and found.level is not Level.MAJOR
        false += found.level is not Level.STABLE
    assert false <= 4


@pytest.mark.parametrize(("mean", "expected"), [(0.0, Level.STABLE), (0.45, Level.MODERATE), (1.5, Level.MAJOR)])
def test_numbers_that_move(mean: float, expected: Level) -> None:
    found = measure("x", _texts(_gauss(1000)), _gauss(1000, mean, seed=1))
    assert (found.kind, found.level) == (Kind.NUMBER, expected), found.psi


@pytest.mark.parametrize("now", [4.0, 6.0])
def test_a_constant_that_changes(now: float) -> None:
    assert measure("x", ["5"] * 500, [5] * 500).level is Level.STABLE
    assert measure("x", ["5"] * 500, [now] * 500).level is Level.MAJOR


def test_numbers_below_a_crowded_edge_are_seen() -> None:
    trained = ["0"] * 600 + _texts([abs(one) for one in _gauss(400)])
    found = measure("x", trained, [-3.0] * 500)
    assert found.level is Level.MAJOR
    assert [(one.kind, one.low, one.high) for one in found.bins[:2]] == [
        (BinKind.BELOW, None, 0),
        (BinKind.RANGE, 0, 0),
    ]


def test_texts_by_value_and_new_ones_together() -> None:
    trained = ["red"] * 500 + ["blue"] * 400 + ["green"] * 100
    same = measure("x", trained, [*["red"] * 250, *["blue"] * 200, *["green"] * 50])
    assert (same.kind, same.level) == (Kind.CATEGORY, Level.STABLE)
    assert [one.value for one in same.bins] == ["red", "blue", "green"]
    new = measure("x", trained, ["mauve"] * 300 + ["red"] * 200)
    assert new.level is Level.MAJOR
    assert next(one.seen for one in new.bins if one.kind is BinKind.OTHER) == pytest.approx(0.6)
    assert "mauve" not in {one.value for one in new.bins}, "what people sent is not shown"


def test_what_is_missing_is_a_bin_of_its_own() -> None:
    trained = _texts(_gauss(1000))
    seen: list[drift.Value] = [*_gauss(500, seed=1), *[None] * 400, float("nan"), ""]
    found = measure("x", trained, seen)
    assert found.level is Level.MAJOR
    assert (found.bins[-1].kind, found.bins[-1].trained) == (BinKind.MISSING, 0)
    assert found.bins[-1].seen == pytest.approx(402 / 902)


def test_yes_and_no() -> None:
    trained = ["True"] * 900 + ["False"] * 100
    assert measure("x", trained, [True] * 450 + [False] * 50).level is Level.STABLE
    assert measure("x", trained, [True] * 50 + [False] * 450).level is Level.MAJOR


def test_few_rows_say_nothing_and_more_rows_more() -> None:
    assert most_bins(1000, drift.FEWEST - 1) == 0 and most_bins(0, 1000) == 0
    assert 2 <= most_bins(1000, drift.FEWEST) < most_bins(1000, 250) <= most_bins(1000, 10_000) == drift.MOST_BINS
    few = measure("x", _texts(_gauss(1000)), _gauss(50, 5))
    assert (few.psi, few.level, few.seen_rows) == (None, Level.UNKNOWN, 50)
    assert drift.fewest_rows(1000) == drift.FEWEST
    assert drift.fewest_rows(5) is None
    need = drift.fewest_rows(60)
    assert need is None or most_bins(60, need) >= 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "stable"), (0.0999, "stable"), (0.1, "moderate"), (0.25, "moderate"), (0.2501, "major"), (None, "unknown")],
)
def test_the_usual_reading(value: float | None, expected: str) -> None:
    assert drift.level(value) == expected
