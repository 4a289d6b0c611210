"""What a decision means for the rows, and the one writer of a service's state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from atelier_core import rollout
from atelier_core.rollout import Command
from atelier_core.service import check_move
from atelier_core.service_view import Place
from atelier_core.states import Reason, State
from atelier_hub.db import emit, now
from atelier_hub.db.move import PAST_TENSE
from atelier_hub.engine.store import want_stop
from atelier_hub.features.serving import store
from atelier_hub.features.serving.replicas import Replicas
from atelier_hub.features.serving.store import ReplicaRow, RevisionRow, ServiceRow

_REVISION_VERB = {
    State.STARTING: "rollout_started",
    State.RUNNING: "revision_ready",
    State.STOPPING: "revision_retired",
    State.STOPPED: "revision_stopped",
    State.FAILED: "rollout_failed",
}


def move_service(
    session: Session, row: ServiceRow, to: State, reason: str = "", message: str = "", *, actor: str = ""
) -> None:
    """Bring the service to a state and say so in the event log; with nothing new nothing happens."""
    before = State(row.state)
    if (before, row.reason, row.message) == (to, str(reason), message):
        return
    if before != to:
        check_move(before, to)
    detail = {"from": before.value, "state": to.value, "reason": str(reason), "message": message}
    say(session, row, "observed" if before == to else PAST_TENSE[to], actor=actor, **detail)
    row.state, row.reason, row.message, row.observed_at = to, str(reason), message, now()


def say(session: Session, row: ServiceRow, verb: str, *, actor: str = "", **data: Any) -> None:
    """An event of the service."""
    emit(session, f"service.{verb}", subject=row.id, project=row.project, actor=actor, data={"name": row.name, **data})


class Transition:
    """Commands of one service on their way into the rows, in one transaction; `touched` are attempts to look at."""

    def __init__(self, session: Session, service: ServiceRow, replicas: Replicas, actor: str = "") -> None:
        self._session = session
        self._service = service
        self._replicas = replicas
        self._actor = actor
        self.touched: list[str] = []

    def carry_out(self, commands: Sequence[Command]) -> None:
        """All of them, in order. Whoever sees where a revision is sees the service there, too."""
        for command in commands:
            self._carry(command)
        self._session.flush()
        if self._service.wanted == "run" and any(isinstance(command, rollout.MoveRevision) for command in commands):
            self.carry_out(rollout.settle(store.views(self._session, [self._service])[self._service.id]))

    def _carry(self, command: Command) -> None:
        match command:
            case rollout.MoveRevision():
                self._move_revision(command)
            case rollout.ScaleRevision():
                self._scale(command)
            case rollout.MoveService():
                state, reason, message = command.state, command.reason, command.message
                move_service(self._session, self._service, state, reason, message, actor=self._actor)
            case rollout.Sleep():
                self._service.sleeping = True
                say(self._session, self._service, "slept")
            case rollout.Wake():
                wake(self._session, self._service)
            case rollout.Remove():
                say(self._session, self._service, "deleted")
                self._session.delete(self._service)
            case _:
                self._carry_to_replica(command)

    def _carry_to_replica(self, command: Command) -> None:
        match command:
            case rollout.StartReplica():
                revision = self._revision(command.revision)
                self.touched.append(self._replicas.start(self._session, self._service, revision, command.delay))
            case rollout.StopReplica():
                want_stop(self._session, command.attempt, Reason.CANCELLED)
                self.touched.append(command.attempt)
            case rollout.DrainReplica():
                self._replica(command.attempt).drain_until = command.until
            case rollout.MarkReplica():
                self._mark(command)
            case rollout.KeepWords():
                self._keep(command)

    def _revision(self, number: int) -> RevisionRow:
        found = store.get_revision(self._session, self._service.id, number)
        assert found is not None, f"{self._service.id} has no revision {number}"
        return found

    def _replica(self, attempt: str) -> ReplicaRow:
        return self._session.get_one(ReplicaRow, attempt)

    def _mark(self, command: rollout.MarkReplica) -> None:
        row = self._replica(command.attempt)
        verb = "replica_ready" if command.ready else "replica_unready"
        if command.ready != row.ready:
            say(self._session, self._service, verb, replica=command.attempt, revision=row.revision)
        row.ready, row.url = command.ready, command.url
        row.ready_at = row.ready_at or (now() if command.ready else None)

    def _keep(self, command: rollout.KeepWords) -> None:
        row = self._replica(command.attempt)
        row.words = command.words
        say(
            self._session,
            self._service,
            "replica_failed",
            replica=command.attempt,
            revision=row.revision,
            words=command.words,
        )

    def _move_revision(self, command: rollout.MoveRevision) -> None:
        row = self._revision(command.number)
        before = State(row.state)
        first = command.state is State.RUNNING and before is State.STARTING
        if first or (command.place is Place.CURRENT and row.place != Place.CURRENT and before is State.RUNNING):
            row.ready_at = now()  # from now on it is compared with the one before
        row.state, row.place, row.weight = command.state, command.place, command.weight
        row.reason, row.message = command.reason, command.message
        verb = _REVISION_VERB[command.state] if before != command.state else "traffic_changed"
        if command.reason == rollout.ROLLED_BACK:
            verb = "rolled_back"
        detail = {"revision": row.number, "weight": row.weight, "reason": row.reason, "message": row.message}
        say(self._session, self._service, verb, actor=self._actor, **detail)

    def _scale(self, command: rollout.ScaleRevision) -> None:
        row = self._revision(command.number)
        detail = {"revision": row.number, "from": row.replicas, "replicas": command.replicas}
        row.replicas = command.replicas
        say(self._session, self._service, "scaled", actor=self._actor, **detail)


def wake(session: Session, row: ServiceRow) -> bool:
    """End the sleep of a service; whether it slept."""
    row.woken_at = now()
    if not row.sleeping:
        return False
    row.sleeping = False
    say(session, row, "woken")
    return True
