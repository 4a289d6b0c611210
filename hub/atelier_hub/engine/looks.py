"""What one look at the database says of an attempt. All of it happens in threads.

If the attempt is over, its end is stored by the same look, with what follows from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from atelier_core.errors import AtelierError
from atelier_core.states import State
from atelier_core.workload import Observation, WorkloadSpec
from atelier_hub.db import now
from atelier_hub.engine import store
from atelier_hub.engine.outcome import needs_removal, outcome_of
from atelier_hub.engine.owner import Owner, Touched
from atelier_hub.engine.reports import reports_of
from atelier_hub.engine.store import Attempt
from atelier_hub.engine.transactions import Transactions


@dataclass
class Sight:
    """An attempt as one look found it: how it ended if it did, and what followed if that is stored; else what it runs
    if it is to start, or why it cannot."""

    attempt: Attempt
    outcome: Observation | None = None
    touched: Touched | None = None
    spec: WorkloadSpec | None = None
    refusal: AtelierError | None = None


@dataclass(frozen=True)
class Surroundings:
    """What the driver knows and the database does not."""

    newest: Callable[[Attempt], Attempt]
    """The attempt with the newest handle that its start gave."""
    is_open: Callable[[str], bool]
    """Whether a back end can be reached."""
    room: Callable[[str], int]
    """How many attempts may begin on a back end with the transaction that ends another."""


class Looks:
    """Looks at attempts.

    `handed` are those whose start is complete. `announced` are those that begin with the end of another: they are put
    there before that is committed, so that whoever calls for them afterwards is known to have done so.
    """

    def __init__(self, transactions: Transactions, owners: Mapping[str, Owner], around: Surroundings) -> None:
        self._transactions = transactions
        self._owners = owners
        self._around = around
        self.handed: dict[str, Attempt] = {}
        self.announced: set[str] = set()

    def look(self, attempt_id: str, seen: Observation | None) -> Sight | None:
        """The attempt now, given what was last seen of it; None if there is no such attempt."""
        known = self.handed.get(attempt_id)
        if known is None or seen is None or not seen.final:
            with self._transactions.reading() as session:
                sight = self._sight(session, attempt_id, seen)
                if sight is None or not self._ends_at_once(sight):
                    return sight
                known = sight.attempt
                self._owners[known.kind].recall(session, known)
        return self._look_and_end(known, seen)

    def end(self, attempt: Attempt, outcome: Observation, cleaned: bool) -> Touched:
        """Store an end after what had to be removed was removed, or that nothing could be."""
        with self._transactions.writing() as session:
            self._owners[attempt.kind].lock(session, attempt)
            stored = store.get_attempt(session, attempt.id)
            if cleaned:
                store.mark_clean(session, [attempt.id])
            if stored is None or stored.final:
                return Touched()
            return self._store_end(session, self._around.newest(stored), outcome, ahead=0)

    def _look_and_end(self, known: Attempt, seen: Observation | None) -> Sight | None:
        announced: set[str] = set()
        try:
            with self._transactions.writing() as session:
                self._owners[known.kind].lock(session, known)
                sight = self._sight(session, known.id, seen)
                if sight is not None and sight.outcome is not None and self._ends_at_once(sight):
                    room = self._around.room(known.backend)
                    sight.touched = self._store_end(session, sight.attempt, sight.outcome, room)
                    announced = {one.attempt.id for one in sight.touched.ready}
                    self.announced.update(announced)
        except BaseException:
            self.announced.difference_update(announced)
            raise
        return sight

    def _sight(self, session: Session, attempt_id: str, seen: Observation | None) -> Sight | None:
        attempt = store.get_attempt(session, attempt_id)
        if attempt is None:
            return None
        sight = Sight(self._around.newest(attempt))
        if attempt.final:
            return sight
        sight.outcome = outcome_of(attempt, reports_of(session, attempt_id), seen)
        if sight.outcome is None and self._is_to_start(attempt):
            try:
                sight.spec = self._owners[attempt.kind].spec(session, attempt)
            except AtelierError as error:
                sight.refusal = error
        return sight

    def _is_to_start(self, attempt: Attempt) -> bool:
        waits = attempt.state in (State.QUEUED, State.STARTING) and attempt.id not in self.handed
        due = attempt.not_before is None or attempt.not_before <= now()
        return waits and due and attempt.wanted == "run"

    def _ends_at_once(self, sight: Sight) -> bool:
        """Whether it is over, and nothing of it must be removed before that is stored."""
        over = sight.outcome is not None and not needs_removal(sight.attempt, sight.outcome)
        return over and self._around.is_open(sight.attempt.backend)

    def _store_end(self, session: Session, attempt: Attempt, outcome: Observation, ahead: int) -> Touched:
        store.end_attempt(session, attempt, outcome)
        return self._owners[attempt.kind].ended(session, attempt, outcome, ahead)
