"""Tables of services: revisions, replicas, keys, what the gateway counted, and the number of its routes."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from pydantic import ValidationError
from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, Index, String, Text, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from atelier_core.service import Definition
from atelier_core.service_view import Place, ReplicaView, RevisionView, ServiceView
from atelier_core.states import FINAL, Reason, State
from atelier_hub.db import Base, Driven, Versioned, now, table_of
from atelier_hub.engine.store import AttemptRow

log = logging.getLogger(__name__)
KIND = "replica"
KEPT_SECONDS = 3600
BUCKET_SECONDS = 10
_REMEMBERED = timedelta(hours=1)  # how long attempts that are over count when failures are counted


class ServiceRow(Versioned, Driven, Base):
    """A service. `wanted` is run, stop or delete."""

    __tablename__ = "services"
    __table_args__ = (Index("uq_services_name", "project", "name", unique=True),)
    subject_kind: ClassVar[str] = "service"

    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(40))
    backend: Mapped[str] = mapped_column(String(63))
    wanted: Mapped[str] = mapped_column(String(10), default="run")
    sleeping: Mapped[bool] = mapped_column(default=False)
    woken_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    created_by: Mapped[str]
    changed_at: Mapped[datetime] = mapped_column(default=now)


class RevisionRow(Base):
    """What was deployed once. `plan` is what its replicas run; both it and `definition` never change."""

    __tablename__ = "service_revisions"
    __table_args__ = (Index("uq_service_revisions_key", "service", "idempotency_key", unique=True),)

    service: Mapped[str] = mapped_column(ForeignKey("services.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    definition: Mapped[dict[str, Any]]
    plan: Mapped[dict[str, Any]]
    source: Mapped[str] = mapped_column(String(500), index=True)
    state: Mapped[State] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(64), default="")
    message: Mapped[str] = mapped_column(Text, default="")
    place: Mapped[str] = mapped_column(String(10))
    weight: Mapped[float] = mapped_column(default=0.0)
    replicas: Mapped[int]
    minimum: Mapped[int]
    maximum: Mapped[int]
    began_at: Mapped[datetime] = mapped_column(default=now)
    ready_at: Mapped[datetime | None]
    idempotency_key: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(default=now)
    created_by: Mapped[str]


class ReplicaRow(Base):
    """What the attempt of a replica does not say: whether it answers, where, and whether it is to go."""

    __tablename__ = "service_replicas"
    __table_args__ = (
        ForeignKeyConstraint(
            ["service", "revision"],
            ["service_revisions.service", "service_revisions.number"],
            name="fk_service_replicas_revisions",
            ondelete="CASCADE",
        ),
        Index("ix_service_replicas_revision", "service", "revision"),
    )

    attempt: Mapped[str] = mapped_column(ForeignKey("attempts.id", ondelete="CASCADE"), primary_key=True)
    service: Mapped[str] = mapped_column(String(20))
    revision: Mapped[int]
    ready: Mapped[bool] = mapped_column(default=False)
    url: Mapped[str] = mapped_column(default="")
    ready_at: Mapped[datetime | None]
    drain_until: Mapped[datetime | None]
    words: Mapped[str | None] = mapped_column(Text)


class KeyRow(Base):
    """A key with which services of a project are called; only its hash is kept."""

    __tablename__ = "service_keys"

    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    services: Mapped[list[str]]
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    created_by: Mapped[str]


class CountRow(Base):
    """What the gateway had counted of a revision when it was asked last; `since` tells its starts apart."""

    __tablename__ = "service_counts"

    service: Mapped[str] = mapped_column(ForeignKey("services.id", ondelete="CASCADE"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    since: Mapped[datetime]
    figures: Mapped[dict[str, Any]]


class FigureRow(Base):
    """What came in `BUCKET_SECONDS` from `at` (seconds since 1970): requests, errors, bytes, latency."""

    __tablename__ = "service_figures"

    service: Mapped[str] = mapped_column(ForeignKey("services.id", ondelete="CASCADE"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    figures: Mapped[dict[str, Any]]


class RoutesRow(Base):
    """The number of the routes that the gateway should have, and a hash of them."""

    __tablename__ = "service_routes"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    generation: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))


def step_of(revision: int) -> str:
    """The step of a revision's attempts."""
    return f"r{revision}"


def find_service(session: Session, project: str, name: str, *, lock: bool = False) -> ServiceRow | None:
    """The service of this name."""
    query = select(ServiceRow).where(ServiceRow.project == project, ServiceRow.name == name)
    return session.scalar(query.with_for_update() if lock else query)


def lock_service(session: Session, service: str) -> ServiceRow | None:
    """The service as it is once nobody else changes it."""
    return session.get(ServiceRow, service, with_for_update=True, populate_existing=True)


def revisions_of(session: Session, service: str) -> list[RevisionRow]:
    """All revisions, oldest first."""
    return list(session.scalars(select(RevisionRow).where(RevisionRow.service == service).order_by(RevisionRow.number)))


def get_revision(session: Session, service: str, number: int) -> RevisionRow | None:
    """One revision."""
    return session.get(RevisionRow, (service, number))


def open_services(session: Session) -> list[ServiceRow]:
    """Those for which there may be something to do."""
    left = select(AttemptRow.subject).where(AttemptRow.kind == KIND, AttemptRow.cleaned.is_(False))
    rests = (ServiceRow.state == State.STOPPED) & (ServiceRow.wanted != "delete") & ServiceRow.id.not_in(left)
    return list(session.scalars(select(ServiceRow).where(~rests).order_by(ServiceRow.id)))


def replicas_of(
    session: Session, services: Collection[str], after: datetime | None = None
) -> list[tuple[ReplicaRow, Any]]:
    """The replicas of some services with their attempts (plain rows), oldest first; without those long over."""
    attempts = table_of(AttemptRow)
    query = (
        select(ReplicaRow, attempts)
        .join(attempts, attempts.c.id == ReplicaRow.attempt)
        .where(ReplicaRow.service.in_(services))
        .order_by(ReplicaRow.service, attempts.c.number)
    )
    if after is not None:
        query = query.where(attempts.c.cleaned.is_(False) | (attempts.c.created_at > after))
    return [(row[0], row) for row in session.execute(query)]


def views(session: Session, rows: Sequence[ServiceRow]) -> dict[str, ServiceView]:
    """Services as `decide` sees them."""
    ids = [row.id for row in rows]
    replicas: dict[tuple[str, int], list[ReplicaView]] = {}
    left: set[str] = set()
    for replica, attempt in replicas_of(session, ids, now() - _REMEMBERED):
        replicas.setdefault((replica.service, replica.revision), []).append(_replica(replica, attempt))
        if not attempt.cleaned:
            left.add(replica.service)
    revisions: dict[str, list[RevisionView]] = {id: [] for id in ids}
    query = select(RevisionRow).where(RevisionRow.service.in_(ids)).order_by(RevisionRow.service, RevisionRow.number)
    for one in session.scalars(query):
        revisions[one.service].append(_revision(one, replicas.get((one.service, one.number), [])))
    return {
        row.id: ServiceView(
            wanted=row.wanted,
            state=State(row.state),
            reason=row.reason,
            message=row.message,
            sleeping=row.sleeping,
            woken_at=row.woken_at,
            left=row.id in left,
            revisions=revisions[row.id],
        )
        for row in rows
    }


def readable_views(session: Session, rows: Sequence[ServiceRow]) -> dict[str, ServiceView]:
    """`views` of those that can be read; one that cannot keeps no other from being looked after."""
    try:
        return views(session, rows)
    except ValidationError as error:
        if len(rows) == 1:
            log.error("Service %s/%s cannot be read: %s", rows[0].project, rows[0].name, error)
            return {}
    return {id: view for row in rows for id, view in readable_views(session, [row]).items()}


def _replica(replica: ReplicaRow, attempt: Any) -> ReplicaView:
    state = State(attempt.state)
    return ReplicaView(
        attempt=replica.attempt,
        number=attempt.number,
        state=state,
        reason=Reason(attempt.reason),
        message=attempt.message,
        stop_wanted=attempt.wanted == "stop",
        ready=replica.ready and state not in FINAL,
        url=replica.url,
        ready_at=replica.ready_at,
        drain_until=replica.drain_until,
        created_at=attempt.created_at,
        ended_at=attempt.ended_at,
        words=replica.words,
    )


def _revision(row: RevisionRow, attempts: Sequence[ReplicaView]) -> RevisionView:
    return RevisionView(
        number=row.number,
        state=State(row.state),
        definition=Definition.model_validate(row.definition),
        place=Place(row.place),
        replicas=row.replicas,
        minimum=row.minimum,
        maximum=row.maximum,
        began_at=row.began_at,
        weight=row.weight,
        ready_at=row.ready_at,
        reason=row.reason,
        message=row.message,
        attempts=attempts,
    )


def next_attempt(session: Session, service: str, step: str) -> int:
    """The number of the next attempt at a replica of a revision."""
    attempts = table_of(AttemptRow)
    query = select(attempts.c.number).where(attempts.c.subject == service, attempts.c.step == step)
    return (session.scalar(query.order_by(attempts.c.number.desc()).limit(1)) or 0) + 1


def prune_figures(session: Session, moment: datetime) -> None:
    """Forget what was counted long ago."""
    session.execute(delete(FigureRow).where(FigureRow.at < int(moment.timestamp()) - KEPT_SECONDS))
