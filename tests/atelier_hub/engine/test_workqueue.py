"""The work queue: merging, exclusivity, waiting longer after failures."""

from __future__ import annotations

import asyncio
import itertools

from atelier_hub.engine.workqueue import WorkQueue


async def eventually(condition, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_key_is_never_worked_on_twice_at_once_and_duplicates_merge():
    running, most, calls, gate = 0, 0, 0, asyncio.Event()

    async def process(key: str) -> None:
        nonlocal running, most, calls
        running, calls = running + 1, calls + 1
        most = max(most, running)
        await gate.wait()
        running -= 1

    queue = WorkQueue(process)
    for _ in range(10):
        queue.add("a")
        await asyncio.sleep(0)
    gate.set()
    await eventually(lambda: calls == 2 and running == 0)
    await asyncio.sleep(0.02)
    assert (most, calls) == (1, 2)
    await queue.close()


async def test_failures_come_again_and_success_ends_it():
    calls = []

    async def process(key: str) -> None:
        calls.append(asyncio.get_running_loop().time())
        if len(calls) < 4:
            raise OSError("not yet")

    queue = WorkQueue(process, backoff=0.01)
    queue.add("a")
    await eventually(lambda: len(calls) == 4)
    gaps = [b - a for a, b in itertools.pairwise(calls)]
    assert all(gap > 0.9 * wait for gap, wait in zip(gaps, (0.01, 0.02, 0.04), strict=True))
    await asyncio.sleep(0.1)
    assert len(calls) == 4
    await queue.close()


async def test_a_returned_number_is_a_date_and_an_earlier_add_wins():
    calls = []

    async def process(key: str) -> float | None:
        calls.append(key)
        return 60 if len(calls) == 1 else None

    queue = WorkQueue(process)
    queue.add("a")
    await eventually(lambda: len(calls) == 1)
    queue.add("a")
    await eventually(lambda: len(calls) == 2)
    queue.add("b", delay=60)
    await queue.close()
    assert calls == ["a", "a"]
