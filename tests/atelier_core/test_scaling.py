"""How many replicas a load asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier_core.scaling import for_cpu, for_requests

USES = st.lists(st.floats(0, 1000), min_size=1, max_size=20)
TARGETS = st.floats(1, 500)


@pytest.mark.parametrize(
    ("current", "used", "target", "wanted"),
    [
        (1, [100], 50, 2),
        (2, [100, 100], 50, 4),
        (4, [25, 25, 25, 25], 50, 2),
        (3, [0, 0, 0], 50, 1),
        (2, [54, 54], 50, 2),  # near enough
        (2, [46, 46], 50, 2),
        (2, [60, 60], 50, 3),
        (3, [100], 50, 3),  # the two that begin will take their part
        (3, [200], 50, 4),
        (3, [10], 50, 3),  # the others may be busy: (10 + 50 + 50) / 50
        (4, [0, 0, 0], 50, 1),
        (2, [], 50, 2),
        (0, [], 50, 0),
    ],
)
def test_by_the_processor(current: int, used: list[float], target: float, wanted: int) -> None:
    assert for_cpu(current, used, target) == wanted


@given(USES, TARGETS)
def test_what_it_asks_for_would_be_within_the_target(used: list[float], target: float) -> None:
    wanted = for_cpu(len(used), used, target)
    assert wanted >= 1
    if wanted != len(used):
        assert sum(used) / wanted <= target * 1.001
        assert wanted == 1 or sum(used) / (wanted - 1) > target * 0.999


@given(USES, TARGETS, st.integers(0, 20))
def test_unknown_replicas_never_make_a_change_larger(used: list[float], target: float, unknown: int) -> None:
    current = len(used) + unknown
    known, all_known = for_cpu(len(used), used, target), for_cpu(current, used, target)
    if all_known > current:
        assert known > len(used) and all_known - current <= known - len(used)
    elif all_known < current:
        assert known < len(used) or known == 1  # the last one stays


def test_by_requests() -> None:
    assert [for_requests(load, 4) for load in (0, 3, 4, 4.1, 40)] == [1, 1, 1, 2, 10]
