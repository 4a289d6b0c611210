"""Keeps attempts and back ends in step: starts what is wanted, ends what is not, and believes what the engine shows.

One attempt is looked after by one task at a time (`WorkQueue`). Every decision is made from the attempt's row, what was
last seen of it, and what its shims reported; so it does not matter where a killed control plane stopped.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from sqlalchemy.orm import Session

from atelier_core.backend import Backend
from atelier_core.errors import AtelierError, BackendUnavailable, QuotaExceeded, StorageFull
from atelier_core.states import Reason, State
from atelier_core.workload import Observation, WorkloadSpec
from atelier_hub.db import Database, now
from atelier_hub.engine import store
from atelier_hub.engine.cleaning import Cleaner
from atelier_hub.engine.election import Turn, TurnOver
from atelier_hub.engine.following import Follower
from atelier_hub.engine.logs import LogArchive
from atelier_hub.engine.looks import Looks, Sight, Surroundings
from atelier_hub.engine.outcome import grace_of, needs_removal, own_report, seen_as, stopped, storable
from atelier_hub.engine.owner import Owner, Ready, Touched
from atelier_hub.engine.reports import save_report
from atelier_hub.engine.starting import Starter
from atelier_hub.engine.store import Attempt
from atelier_hub.engine.transactions import Transactions
from atelier_hub.engine.workqueue import WorkQueue

log = logging.getLogger(__name__)

GLANCE_SECONDS = 0.05
SWEEP_SECONDS = 5.0
QUOTA_SECONDS = 2.0
WOKEN = 8
AHEAD = 4  # attempts that may begin with the transaction that ended another


class Driving:
    """One turn of driving, from `run` to its end; nothing that it remembers is needed by the next."""

    def __init__(
        self,
        db: Database,
        backends: Mapping[str, Backend],
        owners: Mapping[str, Owner],
        archive: LogArchive,
        turn: Turn,
    ) -> None:
        self._backends = backends
        self._owners = owners
        self._archive = archive
        self._transactions = Transactions(db, turn)
        self._queue = WorkQueue(self._process)
        self._starter = Starter(self._transactions, self._moved)
        around = Surroundings(self._starter.with_handle, self.is_open, self._room)
        self._looks = Looks(self._transactions, owners, around)
        self._cleaner = Cleaner(self._remove_rest, self._mark_clean)
        self._followers = {
            name: Follower(name, backend, self, partial(self._rows, name)) for name, backend in backends.items()
        }
        self._sweep_now = asyncio.Event()
        self._interrupts: set[asyncio.Task[None]] = set()
        self._seen: dict[str, Observation] = {}
        self._waiting: defaultdict[str, dict[str, None]] = defaultdict(dict)  # in the order of asking
        # Attempts that begin with the end of another: called for before we heard of them; to be started now.
        self._called: set[str] = set()
        self._ready: dict[str, Ready] = {}

    async def run(self) -> None:
        """Drive until cancelled. What runs goes on running afterwards."""
        loop = asyncio.get_running_loop()
        followers = [loop.create_task(follower.run()) for follower in self._followers.values()]
        cleaning = loop.create_task(self._cleaner.run())
        try:
            while True:
                self._sweep_now.clear()
                await self._sweep()
                with suppress(TimeoutError):
                    async with asyncio.timeout(SWEEP_SECONDS):
                        await self._sweep_now.wait()
        finally:
            await self._queue.close()
            for task in (cleaning, *self._interrupts, *followers):
                task.cancel()
            await asyncio.gather(cleaning, *self._interrupts, *followers, return_exceptions=True)
            await self._starter.close()
            self._transactions.close()

    # --- what others tell ---

    def is_open(self, backend: str) -> bool:
        """Whether the back end can be reached now."""
        follower = self._followers.get(backend)
        return follower is not None and follower.is_open

    def wake(self, attempts: Collection[str] | None) -> None:
        """Look at these attempts now; None: some were woken, nobody knows which."""
        if attempts is None:
            self._sweep_now.set()
            return
        for attempt in attempts:
            if attempt in self._looks.announced:
                self._called.add(attempt)
                continue
            self._ready.pop(attempt, None)  # it may be cancelled: look before it starts
            if self._starter.busy(attempt):
                task = asyncio.get_running_loop().create_task(self._starter.interrupt(attempt))
                self._interrupts.add(task)
                task.add_done_callback(self._interrupts.discard)
            self._queue.add(attempt)

    def saw(self, seen: Observation) -> None:
        """A workload was seen by its back end, or told of itself."""
        seen = storable(seen)
        before = self._seen.get(seen.workload)
        if before is None or not before.final:
            self._seen[seen.workload] = seen
        # A short step is over before anybody could see it run: its end then needs no second look.
        self._queue.add(seen.workload, 0 if seen.final else GLANCE_SECONDS)

    def handed_over(self) -> Collection[str]:
        """Attempts whose start is complete, so that their back end must know them."""
        return self._looks.handed

    async def _rows(self, backend: str) -> list[Attempt]:
        return await self._transactions.read(lambda session: store.unclean_attempts(session, backend))

    async def _sweep(self) -> None:
        """Find attempts that nobody told this process about."""
        for attempt in await self._transactions.read(store.unclean_attempts):
            known = attempt.id in self._looks.handed or self._queue.knows(attempt.id) or self._cleaner.knows(attempt.id)
            stops = attempt.wanted == "stop" and not attempt.final and not self._starter.busy(attempt.id)
            reachable = self.is_open(attempt.backend) or attempt.backend not in self._backends
            if (stops or not known) and reachable:
                self.wake([attempt.id])

    # --- one attempt ---

    async def _process(self, attempt_id: str) -> float | None:
        ready = self._ready.pop(attempt_id, None)
        if ready is not None and attempt_id not in self._looks.handed:
            return await self._begin(ready)
        seen = self._seen.pop(attempt_id, None)
        try:
            return await self._look_after(attempt_id, seen)
        except TurnOver:
            return None  # whoever drives now looks after it
        except BackendUnavailable as error:
            log.warning("Attempt %s: %s", attempt_id, error.message)
            self._keep_seen(seen)
            return 1.0
        except Exception:
            self._keep_seen(seen)
            raise  # the work queue tries again later

    def _keep_seen(self, seen: Observation | None) -> None:
        """What could not be acted on now is not forgotten, unless something newer came."""
        if seen is not None:
            self._seen.setdefault(seen.workload, seen)

    async def _look_after(self, attempt_id: str, seen: Observation | None) -> float | None:
        sight = await self._transactions.run(partial(self._looks.look, attempt_id, seen))
        if sight is None or sight.attempt.cleaned:
            await self._stop_late(sight, seen)
            self._looks.handed.pop(attempt_id, None)
            return None
        if sight.touched is not None and sight.outcome is not None:
            self._ended(sight.attempt, sight.outcome, sight.touched)
            return None
        if not self.is_open(sight.attempt.backend):
            return await self._backend_away(sight.attempt, seen)
        return await self._step(sight, seen)

    async def _stop_late(self, sight: Sight | None, seen: Observation | None) -> None:
        """A start that was cut short came through after all."""
        if sight is not None and seen is not None and not seen.final and self.is_open(sight.attempt.backend):
            self._transactions.turn.require()
            await self._backends[sight.attempt.backend].stop(sight.attempt.handle, 0)

    async def _step(self, sight: Sight, seen: Observation | None) -> float | None:
        attempt = sight.attempt
        if attempt.final:
            self._cleaner.add(attempt)
            return None
        if sight.outcome is not None:
            await self._end(attempt, sight.outcome)
            return None
        if attempt.wanted == "stop":
            await self._stop(attempt)
            return None
        if attempt.state in (State.QUEUED, State.STARTING) and attempt.id not in self._looks.handed:
            later = await self._start(sight)
            if attempt.id not in self._looks.handed:
                return later
        if seen is not None:
            state = State.RUNNING if seen.state is State.RUNNING else attempt.state
            await self._move(attempt, state, seen)
        return None

    async def _backend_away(self, attempt: Attempt, seen: Observation | None) -> float | None:
        self._keep_seen(seen)
        if attempt.backend not in self._backends:
            if attempt.final or attempt.wanted == "stop":
                await self._finish(attempt, stopped(attempt), cleaned=True)
                return None
            text = f"There is no back end {attempt.backend!r} in the configuration any more."
        else:
            text = f"The back end {attempt.backend!r} cannot be reached now; it is tried again."
        if not attempt.final:
            away = seen_as(attempt, attempt.state, Reason.BACKEND_UNAVAILABLE, text)
            await self._move(attempt, attempt.state, away)
        return 5.0

    # --- beginnings ---

    async def _begin(self, ready: Ready) -> float | None:
        """Start what is saved as starting, without another look."""
        try:
            return await self._hand_over(ready.attempt, ready.spec)
        except TurnOver:
            return None

    async def _start(self, sight: Sight) -> float | None:
        attempt = sight.attempt
        if attempt.not_before is not None and (wait := (attempt.not_before - now()).total_seconds()) > 0:
            return wait
        if sight.refusal is not None:
            await self._refuse(attempt, sight.refusal)
            return None
        if sight.spec is None:
            return 0.01  # it was not due yet when we looked
        return await self._hand_over(attempt, sight.spec)

    async def _hand_over(self, attempt: Attempt, spec: WorkloadSpec) -> float | None:
        if self._queue.is_due(attempt.id):
            return None  # it may have been cancelled since we looked, and a start can take minutes
        try:
            await self._starter.start(self._backends[attempt.backend], attempt, spec)
        except TurnOver:
            raise
        except QuotaExceeded as error:
            waiting = self._waiting[attempt.backend]
            waiting[attempt.id] = None
            seen = seen_as(attempt, State.QUEUED, Reason.WAITING_FOR_SLOT, error.message)
            await self._move(attempt, State.QUEUED, seen)
            return QUOTA_SECONDS * (1 + len(waiting) / 50)
        except (BackendUnavailable, StorageFull) as error:
            seen = seen_as(attempt, attempt.state, Reason.BACKEND_UNAVAILABLE, f"{error.message} {error.hint}".strip())
            await self._move(attempt, attempt.state, seen)
            return 1.0
        except AtelierError as error:
            await self._refuse(attempt, error)
            return None
        self._looks.handed[attempt.id] = attempt
        return None

    async def _refuse(self, attempt: Attempt, error: AtelierError) -> None:
        text = f"{error.message} {error.hint}".strip()
        await self._end(attempt, seen_as(attempt, State.FAILED, Reason.BAD_SPEC, text), survivors=True)

    # --- ends ---

    async def _end(self, attempt: Attempt, outcome: Observation, *, survivors: bool = False) -> None:
        if survivors or needs_removal(attempt, outcome):
            # The next attempt may only come when nothing of this one is left; how this one ended is kept before that.
            if outcome.state is State.FAILED:
                report = own_report(attempt, outcome)
                await self._transactions.write(lambda session: save_report(session, report))
            await self._remove(attempt, grace_of(attempt, outcome))
            await self._finish(attempt, outcome, cleaned=True)
        else:
            await self._finish(attempt, outcome, cleaned=False)

    async def _stop(self, attempt: Attempt) -> None:
        seen = seen_as(attempt, State.STOPPING, attempt.stop_reason)
        await self._move(attempt, State.STOPPING, seen)
        await self._remove(attempt, attempt.grace)
        await self._finish(attempt, stopped(attempt), cleaned=True)

    async def _finish(self, attempt: Attempt, outcome: Observation, *, cleaned: bool) -> None:
        touched = await self._transactions.run(partial(self._looks.end, attempt, outcome, cleaned))
        self._ended(attempt, outcome, touched, cleaned)

    def _ended(self, attempt: Attempt, outcome: Observation, touched: Touched, cleaned: bool = False) -> None:
        """The end is stored: go on with what follows."""
        self._looks.handed.pop(attempt.id, None)
        self._starter.saved(attempt.id)
        ready = {one.attempt.id: one for one in touched.ready}
        self._looks.announced.difference_update(ready)
        for one in touched.attempts:
            if one in ready and one not in self._called:
                self._ready[one] = ready[one]
                self._queue.add(one)
            else:
                self._called.discard(one)
                self.wake([one])
        self._free(attempt.backend)
        if cleaned:
            self._starter.forget(attempt.id)
        else:
            self._cleaner.add(replace(attempt, state=outcome.state))

    def _room(self, backend: str) -> int:
        return 0 if self._waiting.get(backend) else AHEAD

    def _free(self, backend: str) -> None:
        """There is room again: those who asked first try first, and not all at once."""
        waiting = self._waiting[backend]
        first = list(waiting)[:WOKEN]
        for attempt in first:
            del waiting[attempt]
        self.wake(first)

    async def _remove(self, attempt: Attempt, grace: float) -> None:
        """End and remove everything of the attempt, keeping its logs."""
        self._transactions.turn.require()
        backend = self._backends[attempt.backend]
        replicas = [f"main-{index}" for index in range(attempt.replicas)]
        async with self._archive.keeping(backend, attempt, replicas):
            await backend.stop(attempt.handle, grace)

    async def _remove_rest(self, attempt: Attempt) -> None:
        if attempt.backend in self._backends:
            if not self.is_open(attempt.backend):
                raise BackendUnavailable(f"The back end {attempt.backend!r} cannot be reached now.")
            await self._remove(attempt, 0)

    async def _mark_clean(self, attempts: Sequence[Attempt]) -> None:
        ids = [attempt.id for attempt in attempts]
        await self._transactions.write(lambda session: store.mark_clean(session, ids))
        for attempt in ids:
            self._starter.forget(attempt)
        for backend in {attempt.backend for attempt in attempts}:
            self._free(backend)

    async def _move(self, attempt: Attempt, state: State, seen: Observation) -> None:
        await self._transactions.write(lambda session: self._moved(session, attempt, state, seen))
        self._starter.saved(attempt.id)

    def _moved(self, session: Session, attempt: Attempt, state: State, seen: Observation) -> None:
        owner = self._owners[attempt.kind]
        owner.lock(session, attempt)
        handle = self._starter.with_handle(attempt).handle.model_dump(mode="json")
        if store.move_attempt(session, attempt.id, state, seen, handle=handle):
            owner.moved(session, attempt, state, seen)
