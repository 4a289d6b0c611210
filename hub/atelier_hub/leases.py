"""Named leases: one holder at a time over all replicas, by the database's clock, with a fencing number."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BigInteger, ColumnElement, Float, String, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from atelier_core.errors import Conflict
from atelier_hub.db.base import Base

_CLOCK = {
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    "postgresql": "(extract(epoch from clock_timestamp())::float8)",
}


class LeaseRow(Base):
    """Who holds what until when (seconds of the database's clock). `fence` grows with every new holder."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(128), default="")
    fence: Mapped[int] = mapped_column(BigInteger, default=0)
    expires_at: Mapped[float] = mapped_column(Float(53), default=0.0)


@dataclass(frozen=True)
class Lease:
    """A lease that was held when this was made; `holds` says whether it still is."""

    name: str
    holder: str
    fence: int


def acquire(session: Session, name: str, holder: str, seconds: float) -> Lease | None:
    """Take the lease if it is free or expired, or keep it if `holder` has it; none if another holds or takes it.

    It waits for nobody: a process that was paused inside a transaction keeps its locks for a while.
    """
    dialect = session.get_bind().dialect.name
    insert = sqlite_insert if dialect == "sqlite" else postgres_insert
    session.execute(insert(LeaseRow).values(name=name, holder="", fence=0, expires_at=0.0).on_conflict_do_nothing())
    clock = _clock(session)
    row = session.execute(
        select(LeaseRow.holder, LeaseRow.fence, (LeaseRow.expires_at > clock).label("valid"))
        .where(LeaseRow.name == name)
        .with_for_update(skip_locked=True)
    ).first()
    if row is None or (row.valid and row.holder not in {holder, ""}):
        return None
    fence = row.fence if row.valid and row.holder == holder else row.fence + 1
    session.execute(
        update(LeaseRow)
        .where(LeaseRow.name == name)
        .values(holder=holder, fence=fence, expires_at=clock + seconds)
        .execution_options(synchronize_session=False)
    )
    return Lease(name, holder, fence)


def renew(session: Session, lease: Lease, seconds: float) -> bool:
    """Hold on for `seconds` from now; false if it was lost."""
    clock = _clock(session)
    done = session.execute(
        update(LeaseRow)
        .where(*_mine(lease), LeaseRow.expires_at > clock)
        .values(expires_at=clock + seconds)
        .returning(LeaseRow.name)
        .execution_options(synchronize_session=False)
    )
    return done.first() is not None


def release(session: Session, lease: Lease) -> None:
    """Let go; nothing happens if it was lost."""
    session.execute(
        update(LeaseRow).where(*_mine(lease)).values(expires_at=0.0).execution_options(synchronize_session=False)
    )


def holds(session: Session, lease: Lease) -> None:
    """Raise `Conflict` unless the lease is still held; until this transaction ends nobody else can take it.

    Transactions of the holder share it and do not wait for each other, nor for `renew`.
    """
    statement = (
        select(LeaseRow.name)
        .where(*_mine(lease), LeaseRow.expires_at > _clock(session))
        .with_for_update(read=True, key_share=True)
    )
    if session.execute(statement).first() is None:
        raise Conflict(f"The lease {lease.name!r} was lost; another replica goes on.", code="lease_lost")


def _mine(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return (LeaseRow.name == lease.name, LeaseRow.holder == lease.holder, LeaseRow.fence == lease.fence)


def _clock(session: Session) -> ColumnElement[float]:
    return literal_column(_CLOCK[session.get_bind().dialect.name], Float(53))
