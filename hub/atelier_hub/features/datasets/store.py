"""Tables of datasets: versions with their files, and uploads on their way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, Index, String, Text, func, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from atelier_core.dataset import ManifestFile
from atelier_hub.db import Base, Versioned, now, table_of


class DatasetRow(Versioned, Base):
    """A dataset of a project. `version` is its ETag; `latest` is the newest version's number (0: none)."""

    __tablename__ = "datasets"

    project: Mapped[str] = mapped_column(ForeignKey("projects.name", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    description: Mapped[str] = mapped_column(Text, default="")
    tags: Mapped[list[str]]
    search_text: Mapped[str] = mapped_column(Text, default="")
    """Name, description and tags in lower case, for the search."""
    numbers: Mapped[int] = mapped_column(default=0)
    """How many versions there ever were: a number is not given twice."""
    latest: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=now)
    created_by: Mapped[str]
    changed_at: Mapped[datetime] = mapped_column(default=now)


class VersionRow(Base):
    """An immutable version. `manifest` is the digest of its list of files; a URI has none."""

    __tablename__ = "dataset_versions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project", "dataset"],
            ["datasets.project", "datasets.name"],
            ondelete="CASCADE",
            name="fk_dataset_versions_datasets",
        ),
        Index("ix_dataset_versions_dataset", "project", "dataset", "number", unique=True),
    )

    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    project: Mapped[str]
    dataset: Mapped[str] = mapped_column(String(60))
    number: Mapped[int]
    kind: Mapped[str] = mapped_column(String(10))
    uri: Mapped[str] = mapped_column(Text, default="")
    manifest: Mapped[str] = mapped_column(String(80), default="")
    files: Mapped[int] = mapped_column(default=0)
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    note: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(default=now)
    created_by: Mapped[str]


class FileRow(Base):
    """One file of a version; `digest` keeps its content in the store."""

    __tablename__ = "dataset_files"

    version: Mapped[str] = mapped_column(ForeignKey("dataset_versions.id", ondelete="CASCADE"), primary_key=True)
    path: Mapped[str] = mapped_column(String(1000), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str] = mapped_column(String(80), index=True)


class UseRow(Base):
    """That a run uses a version."""

    __tablename__ = "dataset_uses"

    version: Mapped[str] = mapped_column(ForeignKey("dataset_versions.id", ondelete="CASCADE"), primary_key=True)
    run: Mapped[str] = mapped_column(String(20), primary_key=True)


class UploadRow(Base):
    """A file on its way. `received` bytes are there, in pieces; once whole and right, `digest` keeps the content."""

    __tablename__ = "dataset_uploads"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    project: Mapped[str] = mapped_column(ForeignKey("projects.name", ondelete="CASCADE"), index=True)
    wanted: Mapped[str] = mapped_column(String(80))
    size: Mapped[int] = mapped_column(BigInteger)
    received: Mapped[int] = mapped_column(BigInteger, default=0)
    digest: Mapped[str | None] = mapped_column(String(80), index=True)
    touched_at: Mapped[datetime] = mapped_column(default=now)
    created_by: Mapped[str]


class PieceRow(Base):
    """A stored piece of an upload; `place` is its name in the store."""

    __tablename__ = "dataset_upload_pieces"

    upload: Mapped[str] = mapped_column(ForeignKey("dataset_uploads.id", ondelete="CASCADE"), primary_key=True)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(BigInteger)
    place: Mapped[str] = mapped_column(String(80))


def add_files(session: Session, version: str, files: Sequence[ManifestFile]) -> None:
    """Store a manifest."""
    rows = [{"version": version, "path": file.path, "size": file.size, "digest": file.digest} for file in files]
    session.execute(insert(table_of(FileRow)), rows)


def files_of(session: Session, version: str) -> list[ManifestFile]:
    """A manifest, in the order of its paths."""
    found = session.execute(select(FileRow.path, FileRow.size, FileRow.digest).where(FileRow.version == version))
    return sorted(ManifestFile(*row) for row in found)


def known_digests(session: Session, project: str, digests: Iterable[str]) -> dict[str, int]:
    """Which contents the project has already, in a version or in a finished upload, with their sizes."""
    wanted = sorted(set(digests))
    found: dict[str, int] = {}
    for start in range(0, len(wanted), 500):
        some = wanted[start : start + 500]
        in_versions = (
            select(FileRow.digest, FileRow.size)
            .join(VersionRow, VersionRow.id == FileRow.version)
            .where(VersionRow.project == project, FileRow.digest.in_(some))
        )
        uploaded = select(UploadRow.digest, UploadRow.size).where(
            UploadRow.project == project, UploadRow.digest.in_(some)
        )
        found |= {digest: size for digest, size in session.execute(in_versions.distinct())}
        found |= {str(digest): size for digest, size in session.execute(uploaded)}
    return found


def runs_using(session: Session, project: str, dataset: str, number: int | None) -> list[str]:
    """The runs that use a version, or any version."""
    query = (
        select(UseRow.run)
        .join(VersionRow, VersionRow.id == UseRow.version)
        .where(VersionRow.project == project, VersionRow.dataset == dataset)
    )
    if number is not None:
        query = query.where(VersionRow.number == number)
    return sorted(set(session.scalars(query)))


def newest_number(session: Session, project: str, dataset: str) -> int:
    """The number of the newest version that is there."""
    query = select(func.max(VersionRow.number)).where(VersionRow.project == project, VersionRow.dataset == dataset)
    return session.scalar(query) or 0
