"""Tables of the registry: models, versions with their files, aliases, approvals, and which runs MLflow knows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, Index, String, Text, func, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from atelier_hub.artifacts.tars import Member
from atelier_hub.db import Base, Versioned, now, table_of

IMPORTING, READY, FAILED = "importing", "ready", "failed"


class ModelRow(Versioned, Base):
    """A registered model of a project. `version` is its ETag; `latest` is the newest version's number (0: none)."""

    __tablename__ = "models"

    project: Mapped[str] = mapped_column(ForeignKey("projects.name", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    description: Mapped[str] = mapped_column(Text, default="")
    latest: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=now)
    created_by: Mapped[str]
    changed_at: Mapped[datetime] = mapped_column(default=now)


class VersionRow(Base):
    """A version. Its number is MLflow's; its content is ours once `state` is ready, whatever becomes of MLflow."""

    __tablename__ = "model_versions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project", "model"], ["models.project", "models.name"], ondelete="CASCADE", name="fk_model_versions_models"
        ),
        Index("ix_model_versions_model", "project", "model", "number", unique=True),
        Index("ix_model_versions_manifest", "project", "model", "manifest"),
        Index("ix_model_versions_run", "run"),
    )

    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    project: Mapped[str]
    model: Mapped[str] = mapped_column(String(255))
    number: Mapped[int]
    state: Mapped[str] = mapped_column(String(10), default=READY, index=True)
    message: Mapped[str] = mapped_column(Text, default="")
    manifest: Mapped[str] = mapped_column(String(80), default="")
    files: Mapped[int] = mapped_column(default=0)
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    framework: Mapped[str] = mapped_column(String(60), default="")
    flavors: Mapped[list[str]]
    signature: Mapped[dict[str, Any]]
    metrics: Mapped[dict[str, Any]]
    parameters: Mapped[dict[str, Any]]
    note: Mapped[str] = mapped_column(Text, default="")
    run: Mapped[str] = mapped_column(String(20), default="")
    step: Mapped[str] = mapped_column(String(200), default="")
    output: Mapped[str] = mapped_column(String(200), default="")
    pipeline: Mapped[str] = mapped_column(default="")
    revision: Mapped[str] = mapped_column(String(40), default="")
    snapshot: Mapped[str] = mapped_column(String(80), default="")
    datasets: Mapped[list[str]]
    mlflow_run: Mapped[str] = mapped_column(String(64), default="")
    mlflow_model: Mapped[str] = mapped_column(String(64), default="")
    created_at: Mapped[datetime] = mapped_column(default=now)
    created_by: Mapped[str]


class FileRow(Base):
    """One file of a version; `digest` keeps its content in the store."""

    __tablename__ = "model_files"

    version: Mapped[str] = mapped_column(ForeignKey("model_versions.id", ondelete="CASCADE"), primary_key=True)
    path: Mapped[str] = mapped_column(String(1000), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str] = mapped_column(String(80), index=True)


class AliasRow(Base):
    """Which version an alias means."""

    __tablename__ = "model_aliases"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project", "model"], ["models.project", "models.name"], ondelete="CASCADE", name="fk_model_aliases_models"
        ),
    )

    project: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(String(255), primary_key=True)
    alias: Mapped[str] = mapped_column(String(255), primary_key=True)
    number: Mapped[int]
    set_at: Mapped[datetime] = mapped_column(default=now)
    set_by: Mapped[str]


class ApprovalRow(Base):
    """That a maintainer found a version good enough for production."""

    __tablename__ = "model_approvals"

    version: Mapped[str] = mapped_column(ForeignKey("model_versions.id", ondelete="CASCADE"), primary_key=True)
    note: Mapped[str] = mapped_column(Text, default="")
    approved_at: Mapped[datetime] = mapped_column(default=now)
    approved_by: Mapped[str]


class TrackedRunRow(Base):
    """How much of a run MLflow knows: `told` is the length of the run's log then; `over` when there is no more."""

    __tablename__ = "tracked_runs"

    run: Mapped[str] = mapped_column(String(20), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name", ondelete="CASCADE"), index=True)
    mlflow_run: Mapped[str] = mapped_column(String(64), default="")
    told: Mapped[int] = mapped_column(default=-1)
    over: Mapped[bool] = mapped_column(default=False, index=True)


class WorkspaceRow(Base):
    """A workspace at MLflow. It outlives its project until MLflow has removed what is in it (`removed`).

    Passwords are made from `nonce`, so that those of an earlier project of the same name open nothing.
    """

    __tablename__ = "tracking_workspaces"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    nonce: Mapped[str] = mapped_column(String(32))
    removed: Mapped[bool] = mapped_column(default=False)


def add_files(session: Session, version: str, files: Sequence[Member]) -> None:
    """Store what a version holds."""
    rows = [{"version": version, "path": one.path, "size": one.size, "digest": one.digest} for one in files]
    if rows:
        session.execute(insert(table_of(FileRow)), rows)


def files_of(session: Session, version: str) -> list[Member]:
    """What a version holds, in the order of the paths."""
    found = session.execute(select(FileRow.path, FileRow.size, FileRow.digest).where(FileRow.version == version))
    return sorted(Member(*row) for row in found)


def one_version(session: Session, project: str, model: str, number: int) -> VersionRow | None:
    """A version by its number."""
    return session.scalar(
        select(VersionRow).where(VersionRow.project == project, VersionRow.model == model, VersionRow.number == number)
    )


def newest_number(session: Session, project: str, model: str) -> int:
    """The number of the newest version that is there."""
    query = select(func.max(VersionRow.number)).where(VersionRow.project == project, VersionRow.model == model)
    return session.scalar(query) or 0


def newest_of(session: Session, project: str, models: Sequence[str]) -> list[VersionRow]:
    """The newest version of each of some models."""
    query = (
        select(VersionRow)
        .join(ModelRow, (ModelRow.project == VersionRow.project) & (ModelRow.name == VersionRow.model))
        .where(ModelRow.project == project, ModelRow.name.in_(list(models)), VersionRow.number == ModelRow.latest)
    )
    return list(session.scalars(query))


def same_content(session: Session, project: str, model: str, manifest: str) -> VersionRow | None:
    """The version that holds exactly this content."""
    query = select(VersionRow).where(
        VersionRow.project == project, VersionRow.model == model, VersionRow.manifest == manifest
    )
    return session.scalars(query.order_by(VersionRow.number).limit(1)).first()


def aliases_of(session: Session, project: str, models: Sequence[str]) -> dict[str, dict[str, int]]:
    """The aliases of some models: model → alias → number."""
    found: dict[str, dict[str, int]] = {model: {} for model in models}
    query = select(AliasRow.model, AliasRow.alias, AliasRow.number)
    query = query.where(AliasRow.project == project, AliasRow.model.in_(list(models)))
    for model, alias, number in session.execute(query.order_by(AliasRow.model, AliasRow.alias)):
        found[model][alias] = number
    return found


class NamedAlias(NamedTuple):
    """What an alias means, and since when."""

    number: int | None
    set_at: datetime | None


NO_ALIAS = NamedAlias(None, None)


class Named(NamedTuple):
    """What a project's models are called: (model, number) of every version, and model → alias → its meaning."""

    versions: set[tuple[str, int]]
    aliases: dict[str, dict[str, NamedAlias]]


def named(session: Session, project: str) -> Named:
    """The versions and aliases of a project."""
    versions = session.execute(select(VersionRow.model, VersionRow.number).where(VersionRow.project == project))
    found = Named({(model, number) for model, number in versions}, {})
    for row in session.scalars(select(AliasRow).where(AliasRow.project == project)):
        found.aliases.setdefault(row.model, {})[row.alias] = NamedAlias(row.number, row.set_at)
    return found


def approvals_of(session: Session, versions: Sequence[str]) -> dict[str, ApprovalRow]:
    """The approvals of some versions."""
    return {
        row.version: row for row in session.scalars(select(ApprovalRow).where(ApprovalRow.version.in_(list(versions))))
    }
