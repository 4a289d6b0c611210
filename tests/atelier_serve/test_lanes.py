"""Where predictions are computed, by what was seen of them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from atelier_serve.lanes import QUICK, SLOW, SMALL, Lanes


def where() -> str:
    """The thread in which it runs."""
    return threading.current_thread().name


def slowly() -> str:
    """As above, but not soon."""
    time.sleep(SLOW * 2)
    return where()


async def _asked(lanes: Lanes, times: int, compute: Callable[[], str] = where, size: int = 1) -> list[str]:
    return [await lanes.run(compute, size) for _ in range(times)]


async def test_quick_models_are_computed_on_the_loop() -> None:
    lanes = Lanes(1, concurrent=False)
    lanes.warm(QUICK / 2)
    assert set(await _asked(lanes, 5)) == {where()}
    assert where() not in await _asked(lanes, 5, size=SMALL + 1)


async def test_what_nobody_knows_begins_in_the_pool_and_is_learned() -> None:
    lanes = Lanes(1, concurrent=False)
    assert where() not in await _asked(lanes, 20)
    assert set(await _asked(lanes, 5)) == {where()}


async def test_one_slow_answer_sends_the_others_to_the_pool_for_longer_each_time() -> None:
    lanes = Lanes(1, concurrent=False)
    lanes.warm(0)
    for trust in (40, 80):
        assert await _asked(lanes, 1, slowly) == [where()]
        assert where() not in await _asked(lanes, trust)
        assert await _asked(lanes, 1) == [where()]


async def test_always_slow_models_stay_in_the_pool() -> None:
    lanes = Lanes(1, concurrent=False)
    assert where() not in await _asked(lanes, 25, slowly)


async def test_who_may_not_compute_beside_others_waits_for_them() -> None:
    for concurrent in (False, True):
        lanes = Lanes(1, concurrent)
        lanes.warm(0)
        big = asyncio.create_task(lanes.run(slowly, SMALL + 1))
        await asyncio.sleep(0)
        assert (await lanes.run(where, 1) == where()) is concurrent
        await big
