"""The event log: what happened, in one order for everybody.

Ids come from one counter row. It is raised at the very end of the transaction, so that it is locked shortly, always
after every other row (no deadlock), and no id becomes visible before a smaller one: replay after an id misses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, String, bindparam, delete, insert, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from atelier_hub.db.base import Base, now, table_of

CHANNEL = "atelier_events"
_COUNTER = "events"
_PENDING = "pending_events"


class CounterRow(Base):
    """A number that only grows."""

    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger, default=0)


class EventRow(Base):
    """Something that happened; never changed afterwards. `project` is empty for what belongs to no project."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_project_id", "project", "id"),
        Index("ix_events_subject", "subject_kind", "subject", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    project: Mapped[str] = mapped_column(default="")
    kind: Mapped[str] = mapped_column(String(64))
    subject_kind: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str]
    actor: Mapped[str] = mapped_column(default="")
    data: Mapped[dict[str, Any]]


# Plain statements, made once: every step of every run writes events.
_COUNTERS = table_of(CounterRow)
_RAISE = (
    update(_COUNTERS)
    .where(_COUNTERS.c.name == _COUNTER)
    .values(value=_COUNTERS.c.value + bindparam("count"))
    .returning(_COUNTERS.c.value)
)
_INSERT = insert(table_of(EventRow))


def emit(
    session: Session,
    kind: str,
    *,
    subject: str,
    project: str = "",
    actor: str = "",
    data: Mapping[str, Any] | None = None,
) -> None:
    """Say that `kind` (`run.started`: subject kind and past tense) happened; written when the transaction commits."""
    subject_kind, _, verb = kind.partition(".")
    if not verb:
        raise ValueError(f"event kind {kind!r} is not <subject>.<past tense>")
    event = {
        "at": now(),
        "project": project,
        "kind": kind,
        "subject_kind": subject_kind,
        "subject": subject,
        "actor": actor,
        "data": dict(data or {}),
    }
    session.info.setdefault(_PENDING, []).append(event)


def write_pending(session: Session) -> list[dict[str, Any]]:
    """Give the pending events their ids; returns them as they are written. Called just before commit."""
    pending: list[dict[str, Any]] = session.info.pop(_PENDING, [])
    if not pending:
        return []
    session.flush()
    last: int = session.execute(_RAISE, {"count": len(pending)}).scalar_one()
    first = last - len(pending) + 1
    written = [{**event, "id": first + n} for n, event in enumerate(pending)]
    session.execute(_INSERT, written)
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"NOTIFY {CHANNEL}, '{int(last)}'"))
    return written


def forget(session: Session, project: str) -> None:
    """Remove the events of a project that is being deleted."""
    session.info[_PENDING] = [event for event in session.info.get(_PENDING, []) if event["project"] != project]
    session.execute(delete(EventRow).where(EventRow.project == project))
