"""Removing what is left: together, again after a failure, and one that takes long holds up no other."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import chain

import pytest

from atelier_core.errors import BackendUnavailable
from atelier_hub.engine import cleaning
from atelier_hub.engine.cleaning import Cleaner
from atelier_hub.engine.store import Attempt, NewAttempt, draft_attempt


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that suit a test."""
    for name in ("DELAY", "_MARK_SECONDS", "_BACKOFF"):
        monkeypatch.setattr(cleaning, name, 0.05)


class Engine:
    """Counts what is removed and what is marked as clean, and in how many calls."""

    def __init__(self) -> None:
        self.removed: Counter[str] = Counter()
        self.marked: list[list[str]] = []
        self.failures: dict[str, int] = {}
        self.stuck = asyncio.Event()
        self.mark_failures = 0

    async def remove(self, attempt: Attempt) -> None:
        if attempt.id == "stuck":
            await self.stuck.wait()
        if self.failures.get(attempt.id, 0):
            self.failures[attempt.id] -= 1
            raise BackendUnavailable("not now")
        self.removed[attempt.id] += 1

    async def mark(self, attempts: Sequence[Attempt]) -> None:
        if self.mark_failures:
            self.mark_failures -= 1
            raise OSError("no room")
        self.marked.append(sorted(attempt.id for attempt in attempts))


@asynccontextmanager
async def cleaner(engine: Engine) -> AsyncIterator[Cleaner]:
    """A running cleaner."""
    made = Cleaner(engine.remove, engine.mark)
    task = asyncio.ensure_future(made.run())
    yield made
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def attempt(name: str) -> Attempt:
    """An attempt to clean up."""
    return draft_attempt(
        NewAttempt(id=name, project="p", kind="step", subject="r", step="s", number=1, backend="local")
    )


async def until(what: Callable[[], bool], seconds: float = 60) -> None:
    """Wait, but not for ever."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


async def test_what_comes_together_is_noted_together() -> None:
    engine = Engine()
    async with cleaner(engine) as running:
        for number in range(30):
            running.add(attempt(f"a{number:02}"))
            running.add(attempt(f"a{number:02}"))
        await until(lambda: sum(map(len, engine.marked)) == 30)
    assert set(engine.removed.values()) == {1}
    assert len(engine.marked) <= 3


async def test_a_stuck_removal_holds_up_no_other() -> None:
    engine = Engine()
    async with cleaner(engine) as running:
        running.add(attempt("stuck"))
        running.add(attempt("a"))
        await until(lambda: engine.marked == [["a"]])
        running.add(attempt("b"))
        await until(lambda: engine.marked == [["a"], ["b"]])
        assert running.knows("stuck")
        engine.stuck.set()
        await until(lambda: engine.marked == [["a"], ["b"], ["stuck"]])
        assert not running.knows("stuck")


async def test_failures_are_tried_again() -> None:
    engine = Engine()
    engine.failures["a"] = 2
    engine.mark_failures = 1
    async with cleaner(engine) as running:
        running.add(attempt("a"))
        running.add(attempt("b"))
        await until(lambda: sorted(chain(*engine.marked)) == ["a", "b"])
        await until(lambda: not running.knows("a") and not running.knows("b"))
