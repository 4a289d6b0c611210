"""A task is ended, and whoever ends it can be ended, too."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from atelier_hub.engine.ending import end


async def _slow_to_end(ended: list[str], raises: Exception | None = None) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.05)
        ended.append("task")
        if raises:
            raise raises


async def test_it_waits_until_the_task_has_ended() -> None:
    ended: list[str] = []
    task = asyncio.ensure_future(_slow_to_end(ended, ValueError("what it says last is nobody's business")))
    await asyncio.sleep(0)
    await end(task)
    assert ended == ["task"]
    await end(task)  # it has ended: nothing to do


async def test_who_is_cancelled_while_it_ends_a_task_ends_after_it() -> None:
    ended: list[str] = []
    task = asyncio.ensure_future(_slow_to_end(ended))
    await asyncio.sleep(0)
    caller = asyncio.ensure_future(end(task))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended == ["task"]
