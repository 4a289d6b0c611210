"""Tables of pipelines: snapshots, revisions, runs, steps, and the log that a run is replayed from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, ForeignKey, Index, RowMapping, String, Text, bindparam, func, insert, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from atelier_core.pipeline.plan import Plan
from atelier_core.pipeline.run import EVENTS, AttemptEnded, Event
from atelier_core.states import FINAL, Reason, State
from atelier_hub.db import Base, Driven, moved_columns, now, table_of
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
        session.execute(insert(table_of(StepRow)), steps)


def step_id(run: str, step: str) -> str:
    """The subject of a step's events."""
    return f"{run}/{step}"


# Used for every step of every run: plain rows of statements that are built once.
_RUNS, _STEPS = table_of(RunRow), table_of(StepRow)
_HEAD = select(
    *(
        _RUNS.c[name]
        for name in (
            *("id", "project", "state", "reason", "message", "name"),
            *("backend", "created_by", "log_length"),
        )
    )
).where(_RUNS.c.id == bindparam("run"))
_LOCKED = _HEAD.with_for_update()
_PLAN = select(_RUNS.c.plan).where(_RUNS.c.id == bindparam("run"))
_CHANGED = ("state", "reason", "message", "observed_at", "started_at", "ended_at", "attempt", "exit_code")
_SHOWN = select(*(_STEPS.c[name] for name in ("id", "name", "project", *_CHANGED)))
_SOME = _SHOWN.where(_STEPS.c.id.in_(bindparam("steps", expanding=True)))
_CHANGE = (
    update(_STEPS).where(_STEPS.c.id == bindparam("step")).values({name: bindparam(f"new_{name}") for name in _CHANGED})
)
_LENGTH = update(_RUNS).where(_RUNS.c.id == bindparam("run")).values(log_length=bindparam("length"))
_LOG = insert(table_of(LogRow))
_TOGETHER = 500  # rows per statement; databases bound the number of parameters


@dataclass(frozen=True)
class RunHead:
    """What carrying a run on needs of its row."""

    id: str
    project: str
    state: State
    reason: str
    message: str
    name: str
    backend: str
    created_by: str
    log_length: int


def run_head(session: Session, run: str, *, lock: bool = False) -> RunHead | None:
    """The run; with `lock` as it is once nobody else changes it."""
    row = session.execute(_LOCKED if lock else _HEAD, {"run": run}).one_or_none()
    return RunHead(**{**row._mapping, "state": State(row.state)}) if row else None


def run_plan(session: Session, run: str) -> Plan:
    """What the run carries out. Takes long for a large one."""
    return Plan.model_validate_json(session.execute(_PLAN, {"run": run}).scalar_one())


class StepMoves:
    """Moves of steps of one run in one transaction: the rows are read together and written together."""

    def __init__(self, session: Session, run: str, steps: Collection[str]) -> None:
        self._session = session
        self._run = run
        self._rows: dict[str, dict[str, Any]] = {}
        self._changed: set[str] = set()
        for row in self._read([step_id(run, step) for step in steps]):
            self._rows[row["name"]] = dict(row)

    def move(self, step: str, state: State, reason: Reason = Reason.NONE, message: str = "", **more: Any) -> None:
        """Move a step; one that is over stays as it is. `more` sets attempt, exit_code, started_at (if not known)."""
        row = self._rows.get(step)
        if row is None or (State(row["state"]) in FINAL and state not in FINAL):
            return
        if row["started_at"] is None:
            row["started_at"] = more.get("started_at") or (now() if state is State.RUNNING else None)
        if state in FINAL:
            row["ended_at"] = now()
        row |= {name: value for name, value in more.items() if name != "started_at"}
        data = {"run": self._run, "step": step, "attempt": row["attempt"], "exit_code": row["exit_code"]}
        row |= moved_columns(self._session, StepRow, row, state, reason, message, data=data)
        self._changed.add(step)

    def write(self) -> None:
        """Put the moves into the rows."""
        changed = [self._rows[step] for step in sorted(self._changed)]
        if changed:
            values = [{"step": row["id"]} | {f"new_{name}": row[name] for name in _CHANGED} for row in changed]
            self._session.execute(_CHANGE, values)
        self._changed.clear()

    def _read(self, ids: list[str]) -> Iterator[RowMapping]:
        for first in range(0, len(ids), _TOGETHER):
            yield from self._session.execute(_SOME, {"steps": ids[first : first + _TOGETHER]}).mappings()


def move_run(
    session: Session, run: RunHead, state: State, reason: Reason, message: str, actor: str = ""
) -> dict[str, Any]:
    """What to write into the row of a run that moves."""
    changes = moved_columns(session, RunRow, asdict(run), state, reason, message, actor=actor, data={"name": run.name})
    if state is State.RUNNING:
        changes["started_at"] = now()
    if state is State.STOPPING:
        changes["wanted"] = "stop"
    if state in FINAL:
        changes["ended_at"] = now()
    return changes


def change_run(session: Session, run: str, changes: Mapping[str, Any]) -> None:
    """Write into the row of a run."""
    if changes.keys() == {"log_length"}:
        session.execute(_LENGTH, {"run": run, "length": changes["log_length"]})
        return
    session.execute(update(_RUNS).where(_RUNS.c.id == run).values(**changes))


def append_log(session: Session, run: str, seq: int, event: Event) -> None:
    """Add an event to the run's log."""
    session.execute(_LOG, {"run": run, "seq": seq, "kind": type(event).__name__, "data": asdict(event), "at": now()})


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


def states_of(session: Session, runs: Collection[str]) -> dict[str, State]:
    """The states of those of some runs that are there."""
    found: dict[str, State] = {}
    names = sorted(runs)
    for start in range(0, len(names), 500):
        query = select(RunRow.id, RunRow.state).where(RunRow.id.in_(names[start : start + 500]))
        found |= {run: state for run, state in session.execute(query)}
    return found


def steps_of(session: Session, run: str, after: int = -1, limit: int | None = None) -> list[StepRow]:
    """The run's steps in document order, from the position after `after`."""
    query = select(StepRow).where(StepRow.run == run, StepRow.position > after).order_by(StepRow.position)
    return list(session.scalars(query.limit(limit) if limit else query))


def open_steps(session: Session, run: str) -> dict[str, State]:
    """The run's steps that are not over, and where each is."""
    query = select(_STEPS.c.name, _STEPS.c.state).where(_STEPS.c.run == run, _STEPS.c.state.not_in(list(FINAL)))
    return {name: State(state) for name, state in session.execute(query)}


def count_steps(session: Session, runs: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many steps of each run are in which state."""
    counts: dict[str, dict[str, int]] = {run: {} for run in runs}
    query = select(StepRow.run, StepRow.state, func.count()).where(StepRow.run.in_(runs))
    for run, state, count in session.execute(query.group_by(StepRow.run, StepRow.state)):
        counts[run][str(state)] = count
    return counts


def queue_places(session: Session, run: str) -> list[RowMapping]:
    """The steps of a run that wait for room, with where they stand among all that wait there, first come first."""
    table = table_of(AttemptRow)
    there, order = table.c.backend, (table.c.created_at, table.c.id)
    waiting = (
        select(
            table.c.subject,
            table.c.step,
            there,
            func.row_number().over(partition_by=there, order_by=order).label("place"),
            func.count().over(partition_by=there).label("of"),
        )
        .where(table.c.cleaned.is_(False), table.c.state == State.QUEUED, table.c.reason == Reason.WAITING_FOR_SLOT)
        .subquery()
    )
    own = select(waiting).where(waiting.c.subject == run)
    return list(session.execute(own.order_by(waiting.c.place)).mappings())


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
