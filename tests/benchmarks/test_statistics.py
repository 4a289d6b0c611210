"""The package imports, and what it says of numbers is right."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from tests.benchmarks.report import Aim, Row, Table
from tests.benchmarks.statistics import median, median_interval, percentile, summarise


def test_every_benchmark_is_offered() -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "--help"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert all(name in answer for name in ("chain", "graph", "next-pod", "events", "all", "--pairs", "--quick"))


def test_median_and_percentiles_by_hand() -> None:
    assert median([3, 1, 2]) == 2
    assert median([4, 1, 2, 3]) == 2.5
    assert percentile(range(1, 101), 99) == 99
    assert percentile(range(1, 1001), 99.9) == 999
    assert percentile([5.0, 7.0], 99) == 7.0
    assert percentile([5.0], 50) == 5.0


@pytest.mark.parametrize(("n", "ranks"), [(6, (1, 6)), (10, (2, 9)), (20, (6, 15)), (30, (10, 21)), (100, (40, 61))])
def test_the_interval_has_the_ranks_of_the_tables(n: int, ranks: tuple[int, int]) -> None:
    assert median_interval(range(1, n + 1)) == ranks


def test_five_samples_say_nothing_about_the_median() -> None:
    assert median_interval([1, 2, 3, 4, 5]) == (None, None)


def test_the_interval_holds_the_true_median_as_often_as_it_says() -> None:
    chance = random.Random(5)
    hits = 0
    for _ in range(2000):
        low, high = median_interval([chance.lognormvariate(0, 1) for _ in range(30)])
        hits += low is not None and high is not None and low <= 1 <= high
    assert 0.945 < hits / 2000 < 0.97  # 0.957 exactly


def test_many_samples_do_not_overflow() -> None:
    summary = summarise([float(n) for n in range(20_000)])
    assert summary.low is not None and summary.low < summary.median < (summary.high or 0)


def test_a_table_says_what_was_missed() -> None:
    table = Table("speed", [Row("fast", [0.1] * 6, aims=(Aim("median", 1.0),)), Row("slow", [2.0], (Aim("p99", 1.0),))])
    fast, slow = table.text().splitlines()[-2:]
    assert "median ≤ 1.00 s" in fast and fast.endswith("met")
    assert "p99 ≤ 1.00 s" in slow and slow.endswith("MISSED")
    assert table.document()["rows"][1]["met"] is False
