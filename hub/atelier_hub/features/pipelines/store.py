"""Tables of pipelines: snapshots, revisions, runs, steps, and the log that a run is replayed from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, func, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from atelier_core.pipeline.plan import Plan
from atelier_core.pipeline.run import EVENTS, AttemptEnded, Event
from atelier_core.states import FINAL, Reason, State
from atelier_hub.db import Base, Driven, move, now
from atelier_hub.engine.store import AttemptRow


class SnapshotRow(Base):
    """A stored pipeline folder (tar.gz by content digest) that a project may use, and the files in it."""

    __tablename__ = "snapshots"

    project: Mapped[str] = mapped_column(ForeignKey("projects.name", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[str] = mapped_column(String(80), primary_key=True)
    blob: Mapped[str] = mapped_column(String(80))
    size: Mapped[int] = mapped_column(BigInteger)
    files: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(default=now)
    created_by: Mapped[str]


class RevisionRow(Base):
    """A document and its snapshot, immutable."""

    __tablename__ = "revisions"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    path: Mapped[str] = mapped_column(Text)
    document: Mapped[dict[str, Any]]
    snapshot: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime] = mapped_column(default=now)
    created_by: Mapped[str]


class RunRow(Driven, Base):
    """One run of a revision. `plan` is what the engine carries out; `log_length` is the number of events in its log."""

    __tablename__ = "runs"
    __table_args__ = (
        Index("uq_runs_key", "project", "idempotency_key", unique=True),
        Index("ix_runs_project_created", "project", "created_us", "id"),
    )
    subject_kind: ClassVar[str] = "run"

    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name", ondelete="CASCADE"))
    revision: Mapped[str] = mapped_column(ForeignKey("revisions.id", ondelete="CASCADE"))
    name: Mapped[str]
    backend: Mapped[str] = mapped_column(String(63))
    wanted: Mapped[str] = mapped_column(String(10), default="run")
    plan: Mapped[str] = mapped_column(Text, deferred=True)
    parameters: Mapped[dict[str, Any]]
    timeout: Mapped[float] = mapped_column(default=0.0)
    log_length: Mapped[int] = mapped_column(default=0)
    idempotency_key: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    created_us: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[str]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class StepRow(Driven, Base):
    """One step of a run as people see it. `id` is `<run>/<name>`, the subject of its events."""

    __tablename__ = "steps"
    __table_args__ = (Index("ix_steps_run_position", "run", "position"),)
    subject_kind: ClassVar[str] = "step"

    id: Mapped[str] = mapped_column(String(255), primary_key=True)
    run: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    project: Mapped[str]
    position: Mapped[int]
    name: Mapped[str]
    label: Mapped[str]
    node: Mapped[str]
    needs: Mapped[list[str]]
    attempt: Mapped[int] = mapped_column(default=0)
    exit_code: Mapped[int | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class LogRow(Base):
    """One event of a run, in order; a restart replays them."""

    __tablename__ = "run_log"

    run: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(40))
    data: Mapped[dict[str, Any]]
    at: Mapped[datetime] = mapped_column(default=now)


def create_run(session: Session, run: RunRow, plan: Plan) -> None:
    """Store a run with all its steps waiting."""
    session.add(run)
    session.flush()
    steps = [
        {
            "id": step_id(run.id, step.name),
            "run": run.id,
            "project": run.project,
            "position": position,
            "name": step.name,
            "label": step.label or step.name,
            "node": step.id,
            "needs": list(step.needs),
            "state": State.WAITING,
            "reason": "",
            "message": "",
        }
        for position, step in enumerate(plan.steps)
    ]
    if steps:
        session.execute(insert(StepRow), steps)


def step_id(run: str, step: str) -> str:
    """The subject of a step's events."""
    return f"{run}/{step}"


def move_step(
    session: Session, run: str, step: str, state: State, reason: Reason = Reason.NONE, message: str = "", **more: Any
) -> None:
    """Move a step; a step that is over stays as it is. `more` sets attempt, exit_code."""
    row = session.get(StepRow, step_id(run, step))
    if row is None or (State(row.state) in FINAL and state not in FINAL):
        return
    if state is State.RUNNING and row.started_at is None:
        row.started_at = now()
    if state in FINAL:
        row.ended_at = now()
    for name, value in more.items():
        setattr(row, name, value)
    data = {"run": run, "step": step, "attempt": row.attempt, "exit_code": row.exit_code}
    move(session, row, state, reason, message, data=data)


def note_start(session: Session, run: str, step: str, at: datetime | None) -> None:
    """When a step began that was over before it was seen running."""
    row = session.get(StepRow, step_id(run, step))
    if row is not None and row.started_at is None:
        row.started_at = at


def move_run(session: Session, run: RunRow, state: State, reason: Reason, message: str, actor: str = "") -> None:
    """Move a run."""
    if state is State.RUNNING:
        run.started_at = now()
    if state in FINAL:
        run.ended_at = now()
    move(session, run, state, reason, message, actor=actor, data={"name": run.name})


def append_log(session: Session, run: RunRow, event: Event) -> None:
    """Add an event to the run's log."""
    row = LogRow(run=run.id, seq=run.log_length + 1, kind=type(event).__name__, data=asdict(event))
    run.log_length += 1
    session.add(row)


def load_log(session: Session, run: str) -> list[Event]:
    """The run's events in order."""
    rows = session.scalars(select(LogRow).where(LogRow.run == run).order_by(LogRow.seq))
    return [_event(row.kind, row.data) for row in rows]


def _event(kind: str, data: dict[str, Any]) -> Event:
    cls = EVENTS[kind]
    if cls is AttemptEnded:
        data = data | {"state": State(data["state"]), "reason": Reason(data["reason"])}
    return cls(**data)


def open_runs(session: Session, project: str) -> list[str]:
    """The project's runs that are not over, and those of which something is still on an engine."""
    runs = select(RunRow.id).where(RunRow.project == project, RunRow.state.not_in(list(FINAL)))
    attempts = select(AttemptRow.subject).where(AttemptRow.project == project, AttemptRow.cleaned.is_(False))
    return list(session.scalars(runs.union(attempts)))


def steps_of(session: Session, run: str, after: int = -1, limit: int | None = None) -> list[StepRow]:
    """The run's steps in document order, from the position after `after`."""
    query = select(StepRow).where(StepRow.run == run, StepRow.position > after).order_by(StepRow.position)
    return list(session.scalars(query.limit(limit) if limit else query))


def count_steps(session: Session, runs: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many steps of each run are in which state."""
    counts: dict[str, dict[str, int]] = {run: {} for run in runs}
    query = select(StepRow.run, StepRow.state, func.count()).where(StepRow.run.in_(runs))
    for run, state, count in session.execute(query.group_by(StepRow.run, StepRow.state)):
        counts[run][str(state)] = count
    return counts


def known_snapshots(session: Session, project: str, digests: Iterable[str]) -> set[str]:
    """Which of `digests` the project has."""
    query = select(SnapshotRow.digest).where(SnapshotRow.project == project, SnapshotRow.digest.in_(list(digests)))
    return set(session.scalars(query))


def overdue_runs(session: Session, moment: datetime) -> list[str]:
    """Running runs that took longer than their plans allow."""
    query = select(RunRow).where(RunRow.timeout > 0, RunRow.state == State.RUNNING)
    return [
        run.id
        for run in session.scalars(query)
        if run.started_at and (moment - run.started_at).total_seconds() > run.timeout
    ]
