"""Handing attempts over to back ends, and taking that back when one is cancelled meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace

from sqlalchemy.orm import Session

from atelier_core.backend import Backend
from atelier_core.states import Reason, State
from atelier_core.workload import Handle, Observation, WorkloadSpec
from atelier_hub.engine import store
from atelier_hub.engine.ending import end
from atelier_hub.engine.outcome import seen_as
from atelier_hub.engine.store import Attempt
from atelier_hub.engine.transactions import Transactions

log = logging.getLogger(__name__)

SLOW_SECONDS = 0.5
SAVE_SECONDS = 0.25
RESERVED = "reserved"  # the stage after which a back end may have to make an environment first
Move = Callable[[Session, Attempt, State, Observation], None]


class Starter:
    """Runs starts. `move` is called in a transaction to save the attempt's state and handle.

    That an attempt is starting is saved before its start begins. Handles are saved with its next transaction, or a
    moment later: whatever a start made is found by the attempt's id, too.
    """

    def __init__(self, transactions: Transactions, move: Move) -> None:
        self._transactions = transactions
        self._move = move
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._handles: dict[str, Handle] = {}
        self._unsaved: set[str] = set()
        self._saving: asyncio.Task[None] | None = None

    def busy(self, attempt: str) -> bool:
        """Whether its start is under way."""
        return attempt in self._tasks

    def with_handle(self, attempt: Attempt) -> Attempt:
        """The attempt with the newest handle that its start gave."""
        handle = self._handles.get(attempt.id)
        return attempt if handle is None else replace(attempt, handle=handle)

    def saved(self, attempt: str) -> None:
        """The newest handle of the attempt is in its row."""
        self._unsaved.discard(attempt)

    def forget(self, attempt: str) -> None:
        """Nothing of the attempt is left."""
        self._unsaved.discard(attempt)
        self._handles.pop(attempt, None)

    async def start(self, backend: Backend, attempt: Attempt, spec: WorkloadSpec) -> None:
        """Hand it over; a stop that comes meanwhile cuts this short, and what it made is removed by that stop."""
        task = asyncio.get_running_loop().create_task(self._start(backend, attempt, spec))
        self._tasks[attempt.id] = task
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                await end(task)
                raise
        finally:
            del self._tasks[attempt.id]

    async def interrupt(self, attempt_id: str) -> None:
        """Cut the start short if the attempt is to stop."""
        attempt = await self._transactions.read(lambda session: store.get_attempt(session, attempt_id))
        task = self._tasks.get(attempt_id)
        if attempt is not None and attempt.wanted == "stop" and task is not None:
            task.cancel()

    async def _start(self, backend: Backend, attempt: Attempt, spec: WorkloadSpec) -> None:
        saved, stage = attempt.state is State.STARTING, ""
        self._transactions.turn.require()
        async with aclosing(backend.start(spec)) as stages:  # type: ignore[type-var]
            while (handle := await self._next(attempt, stages, stage)) is not None:
                self._transactions.turn.require()
                stage = handle.stage
                self._handles[attempt.id] = handle
                if saved:
                    self._save_soon(attempt.id)
                else:
                    await self._say(attempt, Reason.NONE)
                    saved = True

    async def _next(self, attempt: Attempt, stages: AsyncIterator[Handle], stage: str) -> Handle | None:
        """The next stage; if an environment is made first and takes long, that is said."""
        if stage != RESERVED:
            return await anext(stages, None)
        coming = asyncio.ensure_future(anext(stages, None))
        try:
            done, _ = await asyncio.wait([coming], timeout=SLOW_SECONDS)
            if not done:
                await self._say(attempt, Reason.PREPARING_ENVIRONMENT)
            return await coming
        finally:
            if not coming.done():
                await end(coming)

    async def _say(self, attempt: Attempt, reason: Reason) -> None:
        seen = seen_as(attempt, State.STARTING, reason)
        await self._transactions.write(lambda session: self._move(session, attempt, State.STARTING, seen))
        self.saved(attempt.id)

    def _save_soon(self, attempt: str) -> None:
        self._unsaved.add(attempt)
        if self._saving is None:
            self._saving = asyncio.get_running_loop().create_task(self._save())
            self._saving.add_done_callback(self._saved)

    async def _save(self) -> None:
        """The handles of those that have not ended meanwhile, all at once."""
        await asyncio.sleep(SAVE_SECONDS)
        todo = {attempt: self._handles[attempt] for attempt in sorted(self._unsaved)}
        if todo:
            await self._transactions.write(lambda session: store.save_handles(session, todo))
            self._unsaved -= {attempt for attempt, handle in todo.items() if self._handles.get(attempt) is handle}

    def _saved(self, task: asyncio.Task[None]) -> None:
        self._saving = None
        if not task.cancelled() and task.exception() is not None:
            log.warning("Handles could not be saved now: %s", task.exception())
        if self._unsaved and not task.cancelled():
            self._save_soon(next(iter(self._unsaved)))

    async def close(self) -> None:
        """End what is under way; starts go on where they stopped when somebody drives again."""
        tasks = [*self._tasks.values(), *([self._saving] if self._saving else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
