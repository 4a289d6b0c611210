"""Tables of projects, members and secrets."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, LargeBinary, String, Text, and_, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from atelier_hub.db import Base, Versioned, now


class ProjectRow(Versioned, Base):
    """A project; a personal one is that of the user in `created_by`."""

    __tablename__ = "projects"

    name: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[str] = mapped_column(Text, default="")
    personal: Mapped[bool] = mapped_column(default=False)
    default_backend: Mapped[str] = mapped_column(String(64), default="")
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)
    created_by: Mapped[str] = mapped_column(default="")


class RemovedRow(Base):
    """The name of a deleted project, until nobody finds its files under it any more."""

    __tablename__ = "removed_projects"

    name: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now)


class MemberRow(Versioned, Base):
    """A user or a hub group with a role."""

    __tablename__ = "members"

    project: Mapped[str] = mapped_column(ForeignKey("projects.name", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True, index=True)
    role: Mapped[str] = mapped_column(String(16))
    added_at: Mapped[datetime] = mapped_column(default=now)


class SecretRow(Versioned, Base):
    """A secret of a project, encrypted."""

    __tablename__ = "secrets"

    project: Mapped[str] = mapped_column(ForeignKey("projects.name", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[bytes] = mapped_column(LargeBinary)
    changed_at: Mapped[datetime] = mapped_column(default=now)
    changed_by: Mapped[str] = mapped_column(default="")


def roles_of(session: Session, user: str | None, groups: Iterable[str], project: str | None = None) -> list[MemberRow]:
    """The memberships by which a user has roles, in `project` or everywhere."""
    by_group = and_(MemberRow.kind == "group", MemberRow.name.in_(sorted(groups)))
    who = by_group if user is None else or_(by_group, and_(MemberRow.kind == "user", MemberRow.name == user))
    statement = select(MemberRow).where(who)
    if project is not None:
        statement = statement.where(MemberRow.project == project)
    return list(session.scalars(statement))


def other_owners(session: Session, project: str, member: MemberRow) -> bool:
    """Whether the project keeps an owner when `member` is gone."""
    owners = session.scalars(select(MemberRow).where(MemberRow.project == project, MemberRow.role == "owner"))
    return any((row.kind, row.name) != (member.kind, member.name) for row in owners)
