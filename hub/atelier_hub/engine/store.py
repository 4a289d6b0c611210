"""What the engine keeps: attempts, and the artifacts that they left."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import BigInteger, ForeignKey, Index, String, bindparam, insert, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from atelier_core.states import FINAL, Reason, State
from atelier_core.workload import Handle, Observation
from atelier_hub.auth import digest
from atelier_hub.db import Base, Driven, moved_columns, now, table_of
from atelier_hub.engine.tokens import AttemptTokens

if TYPE_CHECKING:
    from atelier_hub.artifacts.store import ArtifactStore

OPEN = tuple(state for state in State if state not in FINAL)


class AttemptRow(Driven, Base):
    """One try at running one workload. `kind` and `subject` say who wants it (a step of the run `subject`)."""

    __tablename__ = "attempts"
    __table_args__ = (Index("ix_attempts_open", "cleaned", "backend"), Index("ix_attempts_subject", "subject", "step"))

    subject_kind: ClassVar[str] = "attempt"

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(20))
    subject: Mapped[str] = mapped_column(String(63))
    step: Mapped[str] = mapped_column(String(200))
    number: Mapped[int]
    backend: Mapped[str] = mapped_column(String(63))
    wanted: Mapped[str] = mapped_column(String(10), default="run")
    handle: Mapped[dict[str, Any]]
    stop_reason: Mapped[str] = mapped_column(String(40), default="")
    grace: Mapped[float] = mapped_column(default=10.0)
    not_before: Mapped[datetime | None]
    nonce: Mapped[str] = mapped_column(String(32))
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    exit_code: Mapped[int | None]
    replicas: Mapped[int] = mapped_column(default=1)
    output_values: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    cleaned: Mapped[bool] = mapped_column(default=False)


class ArtifactRow(Base):
    """A file or folder (as tar) that an attempt left; its content lies in the artifact store under `digest`."""

    __tablename__ = "artifacts"
    __table_args__ = (
        Index("ix_artifacts_subject", "subject", "step"),
        Index("uq_artifact", "attempt", "name", unique=True),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name", ondelete="CASCADE"))
    subject: Mapped[str] = mapped_column(String(63))
    step: Mapped[str] = mapped_column(String(200))
    attempt: Mapped[str] = mapped_column(ForeignKey("attempts.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(200))
    type: Mapped[str] = mapped_column(String(60), default="any")
    kind: Mapped[str] = mapped_column(String(10))
    digest: Mapped[str] = mapped_column(String(80))
    size: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(default=now)


@dataclass(frozen=True)
class Attempt:
    """One attempt as it stood when it was read."""

    id: str
    project: str
    kind: str
    subject: str
    step: str
    number: int
    backend: str
    wanted: str
    state: State
    reason: Reason
    message: str
    handle: Handle
    stop_reason: Reason
    grace: float
    not_before: datetime | None
    nonce: str
    exit_code: int | None
    replicas: int
    values: dict[str, Any]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    cleaned: bool

    @property
    def final(self) -> bool:
        """Whether it is over."""
        return self.state in FINAL


@dataclass(frozen=True)
class Artifact:
    """A stored output."""

    id: str
    project: str
    run: str
    step: str
    attempt: str
    name: str
    type: str
    kind: str
    digest: str
    size: int
    created_at: datetime

    def read(self, store: ArtifactStore) -> Iterator[bytes]:
        """Its bytes."""
        return store.read(self.digest)


@dataclass(frozen=True)
class NewAttempt:
    """What somebody wants to be started."""

    id: str
    project: str
    kind: str
    subject: str
    step: str
    number: int
    backend: str
    delay: float = 0.0
    grace: float = 10.0
    replicas: int = 1


# Read several times for every step: plain rows of statements that are built once cost a third of loaded objects.
_TABLE = table_of(AttemptRow)
_ONE_ATTEMPT = select(_TABLE).where(_TABLE.c.id == bindparam("attempt"))
_STATE = select(
    _TABLE.c.id, _TABLE.c.project, _TABLE.c.state, _TABLE.c.reason, _TABLE.c.message, _TABLE.c.started_at
).where(_TABLE.c.id == bindparam("attempt"))
_BY_TOKEN = select(_TABLE).where(_TABLE.c.token_sha256 == bindparam("token"))
_ENDED = ("state", "reason", "message", "observed_at", "started_at", "ended_at", "exit_code", "output_values", "handle")
_END = (
    update(_TABLE)
    .where(_TABLE.c.id == bindparam("attempt"))
    .values({name: bindparam(f"new_{name}") for name in _ENDED})
)
_INSERT = insert(_TABLE)
_HANDLES = update(_TABLE).where(_TABLE.c.id == bindparam("attempt")).values(handle=bindparam("new_handle"))
_CLEAN = update(_TABLE).where(_TABLE.c.id == bindparam("attempt")).values(cleaned=True)


def _attempt(row: Any) -> Attempt:
    return Attempt(
        id=row.id,
        project=row.project,
        kind=row.kind,
        subject=row.subject,
        step=row.step,
        number=row.number,
        backend=row.backend,
        wanted=row.wanted,
        state=State(row.state),
        reason=Reason(row.reason),
        message=row.message,
        handle=Handle.model_validate(row.handle),
        stop_reason=Reason(row.stop_reason),
        grace=row.grace,
        not_before=row.not_before,
        nonce=row.nonce,
        exit_code=row.exit_code,
        replicas=row.replicas,
        values=row.output_values or {},
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        cleaned=row.cleaned,
    )


def draft_attempt(new: NewAttempt) -> Attempt:
    """The attempt as `insert_attempts` will store it."""
    moment = now()
    return Attempt(
        id=new.id,
        project=new.project,
        kind=new.kind,
        subject=new.subject,
        step=new.step,
        number=new.number,
        backend=new.backend,
        wanted="run",
        state=State.QUEUED,
        reason=Reason.NONE,
        message="",
        handle=Handle(workload=new.id),
        stop_reason=Reason.NONE,
        grace=new.grace,
        not_before=moment + timedelta(seconds=new.delay) if new.delay else None,
        nonce=secrets.token_hex(16),
        exit_code=None,
        replicas=new.replicas,
        values={},
        created_at=moment,
        started_at=None,
        ended_at=None,
        cleaned=False,
    )


def insert_attempts(
    session: Session, drafts: Sequence[Attempt], tokens: AttemptTokens, starting: Collection[str] = ()
) -> list[Attempt]:
    """Ask for attempts, which the driver starts; those in `starting` are saved as that at once. Returns them so."""
    attempts = [_launched(session, draft) if draft.id in starting else draft for draft in drafts]
    if attempts:
        session.execute(_INSERT, [_row(attempt, tokens) for attempt in attempts])
    return attempts


def _launched(session: Session, draft: Attempt) -> Attempt:
    moved_columns(session, AttemptRow, vars(draft), State.STARTING)
    return replace(draft, state=State.STARTING)


def _row(attempt: Attempt, tokens: AttemptTokens) -> dict[str, Any]:
    row = vars(attempt) | {
        "handle": attempt.handle.model_dump(mode="json"),
        "token_sha256": digest(tokens.token(attempt.id, attempt.nonce)),
        "output_values": attempt.values,
        "observed_at": attempt.created_at,
    }
    del row["values"]
    return row


def get_attempt(session: Session, attempt: str) -> Attempt | None:
    """The attempt, or None."""
    row = session.execute(_ONE_ATTEMPT, {"attempt": attempt}).one_or_none()
    return _attempt(row) if row else None


def attempts_of(session: Session, subject: str, step: str) -> list[Attempt]:
    """All attempts at one step, oldest first."""
    query = select(_TABLE).where(_TABLE.c.subject == subject, _TABLE.c.step == step)
    return [_attempt(row) for row in session.execute(query.order_by(_TABLE.c.number))]


def running_attempts(session: Session, subject: str, limit: int = 500) -> list[Attempt]:
    """The attempts of a subject whose commands run now, oldest first."""
    query = select(_TABLE).where(_TABLE.c.subject == subject, _TABLE.c.state == State.RUNNING)
    return [_attempt(row) for row in session.execute(query.order_by(_TABLE.c.created_at, _TABLE.c.id).limit(limit))]


def attempt_by_token(session: Session, token_sha256: str) -> Attempt | None:
    """The attempt that this token was made for."""
    row = session.execute(_BY_TOKEN, {"token": token_sha256}).one_or_none()
    return _attempt(row) if row else None


def unclean_attempts(session: Session, backend: str | None = None) -> list[Attempt]:
    """Every attempt that the driver still has to look after."""
    query = select(_TABLE).where(_TABLE.c.cleaned.is_(False))
    if backend is not None:
        query = query.where(_TABLE.c.backend == backend)
    return [_attempt(row) for row in session.execute(query)]


def open_attempts(session: Session, subject: str) -> list[str]:
    """The attempts of a subject that are not over."""
    query = select(_TABLE.c.id).where(_TABLE.c.subject == subject, _TABLE.c.state.in_(OPEN))
    return list(session.scalars(query.order_by(_TABLE.c.id)))


def want_stop(session: Session, attempt: str, reason: Reason) -> None:
    """Ask for the attempt to be ended; the driver does it."""
    session.execute(
        update(_TABLE).where(_TABLE.c.id == attempt, _TABLE.c.state.in_(OPEN)).values(wanted="stop", stop_reason=reason)
    )


def save_handles(session: Session, handles: Mapping[str, Handle]) -> None:
    """Keep what the back end needs to find these attempts again."""
    session.execute(
        _HANDLES, [{"attempt": id, "new_handle": handle.model_dump(mode="json")} for id, handle in handles.items()]
    )


def move_attempt(session: Session, attempt: str, state: State, seen: Observation | None = None, **more: Any) -> bool:
    """Move an open attempt; False if it is over already or stands there with the same reason.

    `more` are further columns to write with it.
    """
    found = session.execute(_STATE, {"attempt": attempt}).mappings().one_or_none()
    if found is None or State(found["state"]) in FINAL:
        return False
    row = dict(found)
    reason = seen.reason if seen else Reason.NONE
    changes = moved_columns(session, AttemptRow, row, state, reason, seen.message if seen else "")
    if not changes:
        return False
    if state is State.RUNNING and row["started_at"] is None:
        changes["started_at"] = (seen and seen.started_at) or now()
    session.execute(update(_TABLE).where(_TABLE.c.id == attempt).values(**changes, **more))
    return True


def end_attempt(session: Session, before: Attempt, seen: Observation) -> None:
    """Store how an open attempt ended, which was read in this transaction; `before` has its newest handle."""
    columns = moved_columns(session, AttemptRow, vars(before), seen.state, seen.reason, seen.message)
    columns |= {
        "started_at": before.started_at or seen.started_at,
        "ended_at": now(),
        "exit_code": seen.exit_code,
        "output_values": seen.values,
        "handle": before.handle.model_dump(mode="json"),
    }
    session.execute(_END, {"attempt": before.id} | {f"new_{name}": value for name, value in columns.items()})


def mark_clean(session: Session, attempts: Sequence[str]) -> None:
    """Nothing of these attempts is left on any engine."""
    session.execute(_CLEAN, [{"attempt": attempt} for attempt in sorted(attempts)])


def save_artifact(session: Session, row: ArtifactRow) -> Artifact:
    """Register a stored output; storing the same output of the same attempt again replaces it."""
    old = session.scalar(select(ArtifactRow).where(ArtifactRow.attempt == row.attempt, ArtifactRow.name == row.name))
    if old is not None:
        old.type, old.kind, old.digest, old.size = row.type, row.kind, row.digest, row.size
        row = old
    else:
        session.add(row)
        session.flush()
    return _artifact(row)


def _artifact(row: Any) -> Artifact:
    return Artifact(
        id=row.id,
        project=row.project,
        run=row.subject,
        step=row.step,
        attempt=row.attempt,
        name=row.name,
        type=row.type,
        kind=row.kind,
        digest=row.digest,
        size=row.size,
        created_at=row.created_at,
    )


def get_artifact(session: Session, artifact: str) -> Artifact | None:
    """The artifact, or None."""
    row = session.get(ArtifactRow, artifact)
    return _artifact(row) if row else None


def artifacts_of(session: Session, subject: str, steps: Collection[str] | None = None) -> list[Artifact]:
    """What a run (or some of its steps) left, in order of making."""
    table = table_of(ArtifactRow)
    query = select(table).where(table.c.subject == subject)
    if steps is not None:
        query = query.where(table.c.step.in_(list(steps)))
    return [_artifact(row) for row in session.execute(query.order_by(table.c.created_at, table.c.id))]
