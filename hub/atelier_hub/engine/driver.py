"""Keeps attempts and back ends in step: starts what is wanted, ends what is not, and believes what the engine shows.

One attempt is looked after by one task at a time (`WorkQueue`). Every decision is made from the attempt's row, what was
last seen of it, and what its shims reported; so it does not matter where a killed control plane stopped.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from sqlalchemy.orm import Session

from atelier_core.backend import Backend
from atelier_core.errors import AtelierError, BackendUnavailable, QuotaExceeded, StorageFull
from atelier_core.states import Cause, Reason, State, cause_of
from atelier_core.workload import Handle, Observation, WorkloadSpec
from atelier_hub.db import Database, now
from atelier_hub.engine import store
from atelier_hub.engine.logs import LogArchive
from atelier_hub.engine.outcome import outcome_of, seen_as, stopped
from atelier_hub.engine.store import Artifact, Attempt, Report, ReportRow
from atelier_hub.engine.workqueue import WorkQueue

log = logging.getLogger(__name__)
T = TypeVar("T")

GLANCE_SECONDS = 0.02
CLEAN_DELAY = 1.0  # seconds: what comes next goes first
DATABASE_THREADS = 16
REPAIR_SECONDS = 600.0
SWEEP_SECONDS = 5.0
QUOTA_SECONDS = 2.0
WOKEN = 8


@dataclass(frozen=True)
class Start:
    """What to start."""

    spec: WorkloadSpec


@dataclass
class _Sight:
    """An attempt as one look at the database found it."""

    attempt: Attempt
    reports: Sequence[Report]
    start: Start | None = None
    refusal: AtelierError | None = None


class Owner(Protocol):
    """Who wants attempts of one kind. All methods run inside a transaction."""

    def spec(self, session: Session, attempt: Attempt) -> Start:
        """What the attempt runs; raises `AtelierError` if it never can."""

    def lock(self, session: Session, attempt: Attempt) -> None:
        """Called first in every transaction that changes the attempt."""

    def moved(self, session: Session, attempt: Attempt, state: State, seen: Observation) -> None:
        """The attempt is in `state` now."""

    def ended(self, session: Session, attempt: Attempt, seen: Observation) -> list[str]:
        """The attempt is over and nothing of it survives; returns attempts to look at."""

    def code(self, session: Session, attempt: Attempt, digest: str) -> str:
        """The digest in the store of a code archive that the attempt's workload names."""

    def input(self, session: Session, attempt: Attempt, name: str) -> Artifact:
        """The artifact behind an input of the attempt's workload."""


class Driver:
    """The one place where back ends are told to start and stop."""

    def __init__(self, db: Database, backends: Mapping[str, Backend], archive: LogArchive) -> None:
        self._db = db
        self.backends = backends
        self._archive = archive
        self.owners: dict[str, Owner] = {}
        self._queue: WorkQueue | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: dict[str, bool] = dict.fromkeys(backends, False)
        self._threads = asyncio.Semaphore(DATABASE_THREADS)
        self._seen: dict[str, Observation] = {}
        self._handed: set[str] = set()
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._waiting: defaultdict[str, dict[str, None]] = defaultdict(dict)  # in the order of asking

    # --- from outside ---

    def wake(self, attempts: Iterable[str]) -> None:
        """Look at these attempts now; from any thread. Without effect where this process does not drive."""
        loop, todo = self._loop, list(attempts)
        if loop is not None and todo:
            with suppress(RuntimeError):  # the loop closed meanwhile: the next driver finds them
                loop.call_soon_threadsafe(self._wake, todo)

    def report(self, seen: Observation) -> None:
        """Take what a shim said of itself; from any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._saw, seen)

    def is_open(self, backend: str) -> bool:
        """Whether the back end can be reached now."""
        return self._open.get(backend, False)

    def _wake(self, attempts: list[str]) -> None:
        if self._queue is None:
            return
        for attempt in attempts:
            if attempt in self._starting:
                self._loop.create_task(self._interrupt(attempt))  # type: ignore[union-attr]
            self._queue.add(attempt)

    async def run(self) -> None:
        """Drive until cancelled. What runs goes on running afterwards."""
        self._loop = asyncio.get_running_loop()
        self._queue = WorkQueue(self._process)
        followers = [self._loop.create_task(self._follow(name)) for name in self.backends]
        try:
            while True:
                await self._sweep()
                await asyncio.sleep(SWEEP_SECONDS)
        finally:
            for follower in followers:
                follower.cancel()
            await asyncio.gather(*followers, return_exceptions=True)
            await self._queue.close()
            self._queue, self._loop = None, None
            self._handed.clear()
            self._seen.clear()

    # --- what is there: list, watch, distrust, repair ---

    async def _sweep(self) -> None:
        """Find attempts that nobody told this process about."""
        assert self._queue is not None
        for attempt in await self._read(store.unclean_attempts):
            fresh = attempt.id not in self._handed and not self._queue.knows(attempt.id)
            stops = attempt.wanted == "stop" and attempt.id not in self._starting
            reachable = self._open.get(attempt.backend) or attempt.backend not in self.backends
            if (fresh or stops) and reachable:
                self._wake([attempt.id])

    async def _follow(self, name: str) -> None:
        backend, wait = self.backends[name], 0.2
        while True:
            try:
                await backend.open()
                async with self._watching(name, backend) as watcher:
                    wait = 0.2
                    while not watcher.done():
                        await self._resync(name, backend)
                        await asyncio.wait([watcher], timeout=REPAIR_SECONDS)
                    watcher.result()
            except AtelierError as error:
                log.warning("Back end %s: %s %s", name, error.message, error.hint)
            except Exception:
                log.exception("Back end %s failed", name)
            self._open[name] = False
            await asyncio.sleep(wait)
            wait = min(wait * 2, 15)

    @asynccontextmanager
    async def _watching(self, name: str, backend: Backend) -> AsyncIterator[asyncio.Task[None]]:
        """Watch while the body runs; the watch begins before the first list, so nothing falls between the two."""
        watcher = asyncio.get_running_loop().create_task(self._watch(backend))
        await asyncio.sleep(0)
        self._open[name] = True
        try:
            yield watcher
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await watcher
            await backend.close()

    async def _watch(self, backend: Backend) -> None:
        async for seen in backend.watch():
            self._saw(seen)

    def _keep_seen(self, seen: Observation | None) -> None:
        """What could not be acted on now is not forgotten, unless something newer came."""
        if seen is not None:
            self._seen.setdefault(seen.workload, seen)

    def _saw(self, seen: Observation) -> None:
        before = self._seen.get(seen.workload)
        if before is None or not before.final:
            self._seen[seen.workload] = seen
        if self._queue is not None:
            # A short step is over before anybody could see it run: its end then needs no second look.
            self._queue.add(seen.workload, 0 if seen.final else GLANCE_SECONDS)

    async def _resync(self, name: str, backend: Backend) -> None:
        """Compare the truth with the rows. Only what was handed over before looking can be missed."""
        assert self._queue is not None
        handed = frozenset(self._handed)
        attempts = await self._read(lambda session: store.unclean_attempts(session, name))
        found = {seen.workload: seen for seen in await backend.list()}
        for attempt in attempts:
            if attempt.id in found:
                self._saw(found[attempt.id])
            elif not attempt.final and (attempt.state is State.RUNNING or attempt.id in handed):
                gone = "The engine does not know it any more; somebody or something removed it."
                self._saw(Observation(workload=attempt.id, state=State.FAILED, reason=Reason.GONE, message=gone))
            self._queue.add(attempt.id)
        for unknown in found.keys() - {attempt.id for attempt in attempts}:
            self._saw(found[unknown])

    # --- one attempt ---

    async def _process(self, attempt_id: str) -> float | None:
        seen = self._seen.pop(attempt_id, None)
        sight = await self._read(partial(self._look, attempt_id=attempt_id))
        if sight is None or sight.attempt.cleaned:
            self._handed.discard(attempt_id)
            if sight is not None and seen is not None and not seen.final and self._open.get(sight.attempt.backend):
                # A start that was cut short came through after all.
                await self.backends[sight.attempt.backend].stop(sight.attempt.handle, 0)
            return None
        if not self._open.get(sight.attempt.backend):
            return await self._backend_away(sight.attempt, seen)
        try:
            return await self._step(sight, seen)
        except BackendUnavailable as error:
            log.warning("Attempt %s: %s", attempt_id, error.message)
            self._keep_seen(seen)
            return 1.0
        except Exception:
            self._keep_seen(seen)
            raise  # the work queue tries again later

    def _look(self, session: Session, *, attempt_id: str) -> _Sight | None:
        """All that the database says of an attempt, and what it runs if it is to be started."""
        attempt = store.get_attempt(session, attempt_id)
        if attempt is None:
            return None
        sight = _Sight(attempt, store.reports_of(session, attempt_id))
        if self._is_to_start(attempt):
            try:
                sight.start = self.owners[attempt.kind].spec(session, attempt)
            except AtelierError as error:
                sight.refusal = error
        return sight

    def _is_to_start(self, attempt: Attempt) -> bool:
        waits = attempt.state in (State.QUEUED, State.STARTING) and attempt.id not in self._handed
        due = attempt.not_before is None or attempt.not_before <= now()
        return waits and due and attempt.wanted == "run"

    async def _step(self, sight: _Sight, seen: Observation | None) -> float | None:
        attempt = sight.attempt
        if attempt.final:
            return await self._clean(attempt)
        outcome = outcome_of(attempt, sight.reports, seen)
        if outcome is not None:
            return await self._end(attempt, outcome)
        if attempt.wanted == "stop":
            return await self._stop(attempt)
        if attempt.state in (State.QUEUED, State.STARTING) and attempt.id not in self._handed:
            later = await self._start(sight)
            if attempt.id not in self._handed:
                return later
        if seen is not None:
            state = State.RUNNING if seen.state is State.RUNNING else attempt.state
            await self._move(attempt, state, seen)
        return None

    async def _backend_away(self, attempt: Attempt, seen: Observation | None) -> float | None:
        self._keep_seen(seen)
        if attempt.backend not in self.backends:
            if attempt.final or attempt.wanted == "stop":
                return await self._finish(attempt, stopped(attempt), cleaned=True)
            text = f"There is no back end {attempt.backend!r} in the configuration any more."
        else:
            text = f"The back end {attempt.backend!r} cannot be reached now; it is tried again."
        if not attempt.final:
            away = seen_as(attempt, attempt.state, Reason.BACKEND_UNAVAILABLE, text)
            await self._move(attempt, attempt.state, away)
        return 5.0

    async def _start(self, sight: _Sight) -> float | None:
        attempt = sight.attempt
        if attempt.not_before is not None and (wait := (attempt.not_before - now()).total_seconds()) > 0:
            return wait
        try:
            if sight.refusal is not None:
                raise sight.refusal
            if sight.start is None:
                return 0.01  # it was not due yet when we looked
            await self._hand_over(attempt, sight.start.spec)
        except QuotaExceeded as error:
            waiting = self._waiting[attempt.backend]
            waiting[attempt.id] = None
            await self._move(
                attempt, State.QUEUED, seen_as(attempt, State.QUEUED, Reason.WAITING_FOR_SLOT, error.message)
            )
            return QUOTA_SECONDS * (1 + len(waiting) / 50)
        except (BackendUnavailable, StorageFull) as error:
            seen = seen_as(attempt, attempt.state, Reason.BACKEND_UNAVAILABLE, f"{error.message} {error.hint}".strip())
            await self._move(attempt, attempt.state, seen)
            return 1.0
        except AtelierError as error:
            text = f"{error.message} {error.hint}".strip()
            return await self._end(attempt, seen_as(attempt, State.FAILED, Reason.BAD_SPEC, text), survivors=True)
        self._handed.add(attempt.id)
        return None

    async def _hand_over(self, attempt: Attempt, spec: WorkloadSpec) -> None:
        """Run the start; a stop that comes meanwhile cuts it short, and what it made is removed by that stop."""
        task = asyncio.get_running_loop().create_task(self._consume(attempt, spec))
        self._starting[attempt.id] = task
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task
                raise
        finally:
            del self._starting[attempt.id]

    async def _consume(self, attempt: Attempt, spec: WorkloadSpec) -> None:
        saved: Handle | None = None
        async for handle in self.backends[attempt.backend].start(spec):
            # A stage that made nothing new needs no commit of its own.
            if saved is None or handle.data != saved.data:
                await self._write(partial(self._save, attempt=attempt, handle=handle))
                saved = handle

    def _save(self, session: Session, *, attempt: Attempt, handle: Handle) -> None:
        self.owners[attempt.kind].lock(session, attempt)
        store.save_handle(session, attempt.id, handle)
        reason = Reason.PREPARING_ENVIRONMENT if handle.stage == "reserved" else Reason.NONE
        seen = seen_as(attempt, State.STARTING, reason)
        if store.move_attempt(session, attempt.id, State.STARTING, seen):
            self.owners[attempt.kind].moved(session, attempt, State.STARTING, seen)

    async def _interrupt(self, attempt_id: str) -> None:
        attempt = await self._read(lambda session: store.get_attempt(session, attempt_id))
        task = self._starting.get(attempt_id)
        if attempt is not None and attempt.wanted == "stop" and task is not None:
            task.cancel()

    async def _end(self, attempt: Attempt, outcome: Observation, *, survivors: bool = False) -> float | None:
        if attempt.wanted == "stop" and outcome.state is not State.DONE:
            outcome = stopped(attempt)
        failed = outcome.state is not State.DONE
        lost = cause_of(outcome.reason) is Cause.INFRASTRUCTURE
        if survivors or (failed and (lost or attempt.replicas > 1)):
            # The next attempt may only come when nothing of this one is left; how this one ended is kept before that.
            if outcome.state is State.FAILED:
                await self._write(lambda session: store.save_report(session, _own_report(attempt, outcome)))
            await self._remove(attempt, 0 if lost else attempt.grace)
            return await self._finish(attempt, outcome, cleaned=True)
        return await self._finish(attempt, outcome, cleaned=False)

    async def _stop(self, attempt: Attempt) -> float | None:
        seen = seen_as(attempt, State.STOPPING, attempt.stop_reason)
        await self._move(attempt, State.STOPPING, seen)
        await self._remove(attempt, attempt.grace)
        return await self._finish(attempt, stopped(attempt), cleaned=True)

    async def _finish(self, attempt: Attempt, outcome: Observation, *, cleaned: bool) -> float | None:
        touched = await self._write(lambda session: self._finished(session, attempt, outcome, cleaned))
        self._handed.discard(attempt.id)
        assert self._queue is not None
        self._wake(touched)
        self._free(attempt.backend)
        return None if cleaned else CLEAN_DELAY

    def _finished(self, session: Session, attempt: Attempt, outcome: Observation, cleaned: bool) -> list[str]:
        self.owners[attempt.kind].lock(session, attempt)
        if cleaned:
            store.mark_clean(session, [attempt.id])
        if not store.move_attempt(session, attempt.id, outcome.state, outcome):
            return []
        return self.owners[attempt.kind].ended(session, attempt, outcome)

    async def _clean(self, attempt: Attempt) -> float | None:
        await self._remove(attempt, 0)
        await self._write(lambda session: store.mark_clean(session, [attempt.id]))
        self._free(attempt.backend)
        return None

    def _free(self, backend: str) -> None:
        """There is room again: those who asked first try first, and not all at once."""
        waiting = self._waiting[backend]
        first = list(waiting)[:WOKEN]
        for attempt in first:
            del waiting[attempt]
        self._wake(first)

    async def _remove(self, attempt: Attempt, grace: float) -> None:
        """End and remove everything of the attempt, keeping its logs."""
        backend = self.backends[attempt.backend]
        replicas = [f"main-{index}" for index in range(attempt.replicas)]
        async with self._archive.keeping(backend, attempt, replicas):
            await backend.stop(attempt.handle, grace)

    async def _move(self, attempt: Attempt, state: State, seen: Observation) -> None:
        await self._write(lambda session: self._moved(session, attempt, state, seen))

    def _moved(self, session: Session, attempt: Attempt, state: State, seen: Observation) -> None:
        self.owners[attempt.kind].lock(session, attempt)
        if store.move_attempt(session, attempt.id, state, seen):
            self.owners[attempt.kind].moved(session, attempt, state, seen)

    # --- database work happens in threads ---

    async def _read(self, look: Callable[[Session], T]) -> T:
        def work() -> T:
            with self._db.read() as session:
                return look(session)

        async with self._threads:
            return await asyncio.to_thread(work)

    async def _write(self, change: Callable[[Session], T]) -> T:
        def work() -> T:
            with self._db.write() as session:
                return change(session)

        async with self._threads:
            return await asyncio.to_thread(work)


def _own_report(attempt: Attempt, outcome: Observation) -> ReportRow:
    return ReportRow(
        attempt=attempt.id,
        replica="engine",
        exit_code=outcome.exit_code,
        reason=outcome.reason,
        message=outcome.message,
        output_values={},
    )
