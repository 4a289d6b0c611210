"""Ending a task that the caller has begun."""

from __future__ import annotations

import asyncio
from typing import Any


async def end(task: asyncio.Future[Any]) -> None:
    """Cancel `task` and wait until nothing of it runs; how it ended does not matter here.

    A cancellation of the caller meanwhile is not lost: it is raised once the task has ended. (Awaiting the task itself
    with `CancelledError` suppressed would take the caller's for the task's.)
    """
    task.cancel()
    own: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            own = error
    if not task.cancelled():
        task.exception()  # seen
    if own is not None:
        raise own
