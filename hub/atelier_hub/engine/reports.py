"""What shims say of the attempts that they carry: which process is which replica, and how each ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ForeignKey, String, Text, bindparam, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from atelier_core.states import Reason
from atelier_hub.db import Base, table_of
from atelier_hub.engine.store import Attempt


class ClaimRow(Base):
    """Which process may be a replica: the first to ask. A Job may start a pod twice; the second is refused."""

    __tablename__ = "attempt_claims"

    attempt: Mapped[str] = mapped_column(ForeignKey("attempts.id", ondelete="CASCADE"), primary_key=True)
    replica: Mapped[str] = mapped_column(String(80), primary_key=True)
    uid: Mapped[str] = mapped_column(String(80))


ENGINE = "engine"  # stands for a replica where the engine itself found the attempt's end


class ReportRow(Base):
    """How a replica ended, as its shim said."""

    __tablename__ = "attempt_reports"

    attempt: Mapped[str] = mapped_column(ForeignKey("attempts.id", ondelete="CASCADE"), primary_key=True)
    replica: Mapped[str] = mapped_column(String(80), primary_key=True)
    exit_code: Mapped[int | None]
    reason: Mapped[str] = mapped_column(String(40), default="")
    message: Mapped[str] = mapped_column(Text, default="")
    output_values: Mapped[dict[str, Any]] = mapped_column(default=dict)


@dataclass(frozen=True)
class Report:
    """How a replica ended, as its shim said."""

    replica: str
    exit_code: int | None
    reason: Reason
    message: str
    values: dict[str, Any]


_REPORTS = select(table_of(ReportRow)).where(ReportRow.attempt == bindparam("attempt")).order_by(ReportRow.replica)


def claim_replica(session: Session, attempt: str, replica: str, uid: str) -> bool:
    """Whether `uid` is the one process that may be this replica."""
    row = session.get(ClaimRow, (attempt, replica))
    if row is None:
        session.add(ClaimRow(attempt=attempt, replica=replica, uid=uid))
        return True
    return row.uid == uid


def save_report(session: Session, report: ReportRow) -> None:
    """Keep how a replica ended; the first report stands."""
    if session.get(ReportRow, (report.attempt, report.replica)) is None:
        session.add(report)


def is_over(session: Session, attempt: Attempt) -> bool:
    """Whether the attempt is to do nothing any more, though something of it may still run: it has ended or was asked
    to, or the engine has decided how it ended."""
    decided = session.get(ReportRow, (attempt.id, ENGINE)) is not None
    return attempt.final or attempt.wanted == "stop" or decided


def reports_of(session: Session, attempt: str) -> list[Report]:
    """The reports so far."""
    rows = session.execute(_REPORTS, {"attempt": attempt})
    return [
        Report(row.replica, row.exit_code, Reason(row.reason), row.message, row.output_values or {}) for row in rows
    ]
