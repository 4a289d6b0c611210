"""What people do with datasets: describe them, add versions, find and remove them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.orm import Session

from atelier_core.dataset import (
    DatasetReference,
    FoundDataset,
    Kind,
    ManifestFile,
    Resolver,
    check_manifest,
    check_name,
    check_uri,
    kind_of,
    manifest_digest,
)
from atelier_core.errors import Conflict, Invalid, NotFound
from atelier_hub.auth import Actor
from atelier_hub.db import Database, emit, now
from atelier_hub.features.datasets import store
from atelier_hub.features.datasets.store import DatasetRow, FileRow, UseRow, VersionRow
from atelier_hub.http.etag import check_version
from atelier_hub.http.paging import Page, Paging, fetch

_SHOWN = 3


class Version(BaseModel):
    """An immutable version of a dataset: files by their contents, or an address."""

    model_config = ConfigDict(from_attributes=True)

    number: int
    kind: Kind
    uri: str
    manifest: str
    files: int
    size: int
    note: str
    created_at: datetime
    created_by: str


class Dataset(BaseModel):
    """A dataset; `newest` is its newest version, `version` its own ETag."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    project: str
    description: str
    tags: list[str]
    newest: Version | None = None
    created_at: datetime
    created_by: str
    changed_at: datetime
    version: int


class DatasetFile(BaseModel):
    """One file of a version."""

    model_config = ConfigDict(from_attributes=True)

    path: str
    size: int
    digest: str


@dataclass(frozen=True)
class Uses:
    """What stands on a dataset: `running` would fail without it, `past` could not be run again."""

    running: Sequence[str] = ()
    past: Sequence[str] = ()


Guard = Callable[[Session, Sequence[str]], Uses]
"""Which of some runs that used a dataset are not over, and which are there at all."""


@dataclass
class Datasets:
    """The feature's part in the running control plane. Features above add to `guards` what they know of runs."""

    guards: list[Guard] = field(default_factory=list)


@dataclass(frozen=True)
class Content:
    """What a version holds, for whoever stages or reads it."""

    reference: DatasetReference
    kind: Kind
    uri: str
    files: tuple[ManifestFile, ...]


def create(session: Session, actor: Actor, project: str, name: str, description: str, tags: Iterable[str]) -> Dataset:
    """A new dataset without a version."""
    check_name(name)
    if session.get(DatasetRow, (project, name)) is not None:
        hint = "Add a version to it, or choose another name."
        raise Conflict(f"There is a dataset {name!r} already.", code="exists", hint=hint)
    row = DatasetRow(project=project, name=name, description=description, tags=_tags(tags), created_by=actor.name)
    row.search_text = _search_text(row)
    session.add(row)
    session.flush()
    emit(session, "dataset.created", subject=name, project=project, actor=actor.name)
    return _body(session, row)


def page(session: Session, project: str, search: str, tag: str, paging: Paging) -> Page[Dataset]:
    """The project's datasets by name; `search` looks for all its words in name, description and tags."""
    query = select(DatasetRow).where(DatasetRow.project == project)
    for word in [*search.lower().split()[:10], *([f"#{tag.lower()}#"] if tag else [])]:
        query = query.where(DatasetRow.search_text.contains(word, autoescape=True))
    found = fetch(session, query, [DatasetRow.name], paging, convert=lambda row: row)
    newest = _newest(session, project, [row.name for row in found.items])
    items = [_with_newest(row, newest.get(row.name)) for row in found.items]
    return Page(items=items, next=found.next)


def get(session: Session, project: str, name: str) -> Dataset:
    """One dataset."""
    return _body(session, _row(session, project, name))


def change(
    session: Session,
    actor: Actor,
    project: str,
    name: str,
    *,
    expected: str | None,
    description: str | None,
    tags: Iterable[str] | None,
) -> Dataset:
    """Set description or tags."""
    row = _row(session, project, name, lock=True)
    check_version(expected, row.version)
    row.description = row.description if description is None else description
    row.tags = row.tags if tags is None else _tags(tags)
    row.search_text, row.changed_at, row.version = _search_text(row), now(), row.version + 1
    emit(session, "dataset.changed", subject=name, project=project, actor=actor.name)
    return _body(session, row)


def delete(
    session: Session,
    actor: Actor,
    project: str,
    name: str,
    *,
    expected: str | None,
    force: bool,
    guards: Iterable[Guard],
) -> None:
    """Remove a dataset with its versions; contents that nothing else holds leave the store later."""
    row = _row(session, project, name, lock=True)
    check_version(expected, row.version)
    _check_unused(session, guards, DatasetReference(name), project, force)
    session.delete(row)
    emit(session, "dataset.deleted", subject=name, project=project, actor=actor.name)


def add_version(
    session: Session, actor: Actor, project: str, name: str, *, files: Sequence[ManifestFile], uri: str, note: str
) -> Version:
    """A new version; the one that is there if the newest is the same."""
    if bool(files) == bool(uri):
        raise Invalid("A version is either files or a URI.", code="bad_manifest", hint="Give one of the two.")
    row = _row(session, project, name, lock=True)
    newest = _newest(session, project, [name]).get(name)
    manifest, ordered = "", []
    if uri:
        check_uri(uri)
    else:
        ordered = check_manifest(files)
        manifest = manifest_digest(ordered)
    if newest is not None and (newest.manifest, newest.uri) == (manifest, uri):
        return Version.model_validate(newest)
    check_contents(session, project, ordered)
    version = VersionRow(
        id="d" + secrets.token_hex(9),
        project=project,
        dataset=name,
        number=row.numbers + 1,
        kind="uri" if uri else kind_of(ordered),
        uri=uri,
        manifest=manifest,
        files=len(ordered),
        size=sum(file.size for file in ordered),
        note=note,
        created_by=actor.name,
    )
    session.add(version)
    row.numbers = row.latest = version.number
    row.changed_at = now()
    session.flush()
    if ordered:
        store.add_files(session, version.id, ordered)
    data = {"version": version.number, "kind": version.kind, "size": version.size}
    emit(session, "dataset.version_added", subject=name, project=project, actor=actor.name, data=data)
    return Version.model_validate(version)


def delete_version(
    session: Session, actor: Actor, project: str, name: str, number: str, *, force: bool, guards: Iterable[Guard]
) -> None:
    """Remove one version; its number is not given again."""
    row = _row(session, project, name, lock=True)
    version = _version(session, project, name, number)
    _check_unused(session, guards, DatasetReference(name, version.number), project, force)
    session.delete(version)
    session.flush()
    row.latest, row.changed_at = store.newest_number(session, project, name), now()
    data = {"version": version.number}
    emit(session, "dataset.version_removed", subject=name, project=project, actor=actor.name, data=data)


def version_page(session: Session, project: str, name: str, paging: Paging) -> Page[Version]:
    """The versions, newest first."""
    _row(session, project, name)
    query = select(VersionRow).where(VersionRow.project == project, VersionRow.dataset == name)
    return fetch(session, query, [VersionRow.number], paging, convert=Version.model_validate, descending=True)


def get_version(session: Session, project: str, name: str, number: str) -> Version:
    """One version; `latest` is the newest."""
    return Version.model_validate(_version(session, project, name, number))


def file_page(session: Session, project: str, name: str, number: str, below: str, paging: Paging) -> Page[DatasetFile]:
    """The files of a version by path, only those below a folder if asked."""
    version = _version(session, project, name, number)
    query = select(FileRow).where(FileRow.version == version.id)
    if below.strip("/"):
        query = query.where(FileRow.path.startswith(below.strip("/") + "/", autoescape=True))
    return fetch(session, query, [FileRow.path], paging, convert=DatasetFile.model_validate)


def get_file(session: Session, project: str, name: str, number: str, path: str) -> DatasetFile:
    """One file of a version; without a path the only one."""
    version = _version(session, project, name, number)
    if not path and version.kind == "file":
        (only,) = store.files_of(session, version.id)
        path = only.path
    row = session.get(FileRow, (version.id, path))
    if row is None:
        hint = f"It is at {version.uri}." if version.kind == "uri" else "List them: GET …/files."
        message = f"Version {version.number} of {name!r} has no file {path[:100]!r}."
        raise NotFound(message, code="no_file", hint=hint)
    return DatasetFile.model_validate(row)


def use(session: Session, project: str, references: Iterable[DatasetReference], run: str) -> None:
    """Remember that a run uses these versions; one that is gone meanwhile is refused."""
    for reference in sorted(set(references)):
        version = _version(session, project, reference.name, str(reference.version or "latest"))
        session.merge(UseRow(version=version.id, run=run))


def resolver(db: Database, project: str) -> Resolver:
    """Finds the project's datasets for whoever compiles a pipeline; each look is a transaction of its own."""

    def resolve(reference: DatasetReference) -> FoundDataset | None:
        with db.read() as session:
            dataset = session.get(DatasetRow, (project, reference.name))
            if dataset is None:
                return None
            row = session.scalar(_one_version(project, reference.name, reference.version or dataset.latest))
        if row is None:
            return FoundDataset(0, "file") if reference.version is None else None
        return FoundDataset(row.number, row.kind, row.uri)  # type: ignore[arg-type]

    return resolve


def content(session: Session, project: str, reference: DatasetReference) -> Content:
    """What a version holds."""
    row = _version(session, project, reference.name, str(reference.version or "latest"))
    files = tuple(store.files_of(session, row.id))
    return Content(DatasetReference(reference.name, row.number), row.kind, row.uri, files)  # type: ignore[arg-type]


def _row(session: Session, project: str, name: str, lock: bool = False) -> DatasetRow:
    row = session.get(DatasetRow, (project, name), with_for_update=lock or None)
    if row is None:
        hint = "List them: GET …/datasets."
        raise NotFound(f"There is no dataset {name[:100]!r} in project {project!r}.", code="no_dataset", hint=hint)
    return row


def _one_version(project: str, name: str, number: int):  # type: ignore[no-untyped-def]
    return select(VersionRow).where(
        VersionRow.project == project, VersionRow.dataset == name, VersionRow.number == number
    )


def _version(session: Session, project: str, name: str, number: str) -> VersionRow:
    dataset = _row(session, project, name)
    found = session.scalar(_one_version(project, name, dataset.latest if number == "latest" else int(number)))
    if found is None:
        hint = f"The newest is {dataset.latest}." if dataset.latest else "Add a version: it has none."
        raise NotFound(f"The dataset {name!r} has no version {number}.", code="no_version", hint=hint)
    return found


def _newest(session: Session, project: str, names: Sequence[str]) -> dict[str, VersionRow]:
    query = (
        select(VersionRow)
        .join(DatasetRow, (DatasetRow.project == VersionRow.project) & (DatasetRow.name == VersionRow.dataset))
        .where(DatasetRow.project == project, DatasetRow.name.in_(names), VersionRow.number == DatasetRow.latest)
    )
    return {row.dataset: row for row in session.scalars(query)}


def _body(session: Session, row: DatasetRow) -> Dataset:
    session.flush()
    return _with_newest(row, _newest(session, row.project, [row.name]).get(row.name))


def _with_newest(row: DatasetRow, newest: VersionRow | None) -> Dataset:
    body = Dataset.model_validate(row)
    body.newest = Version.model_validate(newest) if newest is not None else None
    return body


def _tags(tags: Iterable[str]) -> list[str]:
    return sorted({tag.strip().lower() for tag in tags if tag.strip()})


def _search_text(row: DatasetRow) -> str:
    marked = " ".join(f"#{tag}#" for tag in row.tags)
    return f"{row.name} {row.description} {marked}".lower()


def check_contents(session: Session, project: str, files: Sequence[ManifestFile]) -> None:
    """Every content must have been sent to this project: knowing a digest is not having the file."""
    known = store.known_digests(session, project, (file.digest for file in files))
    missing = [file for file in files if known.get(file.digest) != file.size]
    if missing:
        shown = ", ".join(file.path for file in missing[:_SHOWN])
        raise Conflict(
            f"{len(missing)} of {len(files)} files have not been uploaded, or have another size: {shown}.",
            code="missing_content",
            hint="Upload them (POST …/uploads says which are missing), then add the version again.",
        )


def _check_unused(
    session: Session, guards: Iterable[Guard], reference: DatasetReference, project: str, force: bool
) -> None:
    runs = store.runs_using(session, project, reference.name, reference.version)
    uses = [guard(session, runs) for guard in guards] if runs else []
    running = [name for use in uses for name in use.running]
    past = [name for use in uses for name in use.past]
    if running:
        shown = ", ".join(running[:_SHOWN])
        message = f"{len(running)} runs that are not over use {reference}: {shown}."
        raise Conflict(message, code="in_use", hint="Wait for them, or cancel them first.")
    if past and not force:
        shown = ", ".join(past[:_SHOWN])
        message = f"{len(past)} finished runs used {reference} and could not be repeated without it: {shown}."
        raise Conflict(message, code="was_used", hint="Send force=true to remove it all the same.")
