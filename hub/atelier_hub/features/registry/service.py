"""What people do with registered models: find, describe, compare and remove them, name and approve versions.

Everything here is read from our own tables, so that it goes on while MLflow is away. How versions come into being is in
`registering`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from atelier_core.errors import Conflict, NotFound
from atelier_core.registry import PRODUCTION, ModelReference, check_alias, parse_reference
from atelier_hub.artifacts.tars import Member, StoredFolder
from atelier_hub.auth import Actor
from atelier_hub.db import emit, now
from atelier_hub.features.registry import store
from atelier_hub.features.registry.bodies import (
    Approval,
    ComparedVersion,
    Comparison,
    Lineage,
    Model,
    ModelVersion,
    VersionDetail,
)
from atelier_hub.features.registry.store import READY, AliasRow, ApprovalRow, ModelRow, VersionRow
from atelier_hub.http.etag import check_version
from atelier_hub.http.paging import Page, Paging, fetch

_SHOWN = 3


@dataclass(frozen=True)
class Uses:
    """What stands on a model: `running` would fail without it, `past` could not be started again."""

    running: Sequence[str] = ()
    past: Sequence[str] = ()


Guard = Callable[[Session, str, str, int | None], Uses]
"""What uses a model of a project: `guard(session, project, model, number)`, no number for any version. Each use is a
phrase that fits into "is used by …": `the service digits`."""


@dataclass
class Registry:
    """The feature's part in the running control plane. Features above add to `guards` what they serve."""

    guards: list[Guard] = field(default_factory=list)


@dataclass(frozen=True)
class ModelContent:
    """What a version holds, for whoever serves it: contents in the artifact store, whatever becomes of MLflow."""

    id: str
    project: str
    name: str
    number: int
    manifest: str
    files: tuple[Member, ...]
    size: int
    framework: str
    flavors: tuple[str, ...]
    signature: dict[str, Any]
    approved: bool

    @property
    def reference(self) -> str:
        """The reference that always means this version."""
        return str(ModelReference(self.name, self.number))

    @property
    def folder(self) -> StoredFolder:
        """The model folder as a tar that is made while it is sent (an `engine.owner.Staged`)."""
        return StoredFolder(self.files)


def content(session: Session, project: str, reference: str) -> ModelContent:
    """The model folder behind `models:/name/3` or `models:/name@alias`; `Conflict` while it is not ready."""
    row = _referred(session, project, parse_reference(reference))
    if row.state != READY:
        hint = "Wait a moment." if row.state == store.IMPORTING else "Register it again."
        message = f"Version {row.number} of {row.model!r} is not ready: {row.message or row.state}."
        raise Conflict(message, code="not_ready", hint=hint)
    return ModelContent(
        id=row.id,
        project=project,
        name=row.model,
        number=row.number,
        manifest=row.manifest,
        files=tuple(store.files_of(session, row.id)),
        size=row.size,
        framework=row.framework,
        flavors=tuple(row.flavors),
        signature=row.signature,
        approved=session.get(ApprovalRow, row.id) is not None,
    )


def resolve(session: Session, project: str, reference: str) -> ModelReference:
    """The reference by number of what `reference` means now."""
    row = _referred(session, project, parse_reference(reference))
    return ModelReference(row.model, row.number)


def page(session: Session, project: str, search: str, paging: Paging) -> Page[Model]:
    """The project's models by name; `search` looks for all its words in name and description."""
    query = select(ModelRow).where(ModelRow.project == project)
    for word in search.split()[:10]:
        query = query.where(
            ModelRow.name.icontains(word, autoescape=True) | ModelRow.description.icontains(word, autoescape=True)
        )
    found = fetch(session, query, [ModelRow.name], paging, convert=lambda row: row)
    return Page(items=_bodies(session, project, found.items), next=found.next)


def get(session: Session, project: str, name: str) -> Model:
    """One model."""
    return _bodies(session, project, [_model(session, project, name)])[0]


def change(session: Session, actor: Actor, project: str, name: str, *, expected: str | None, description: str) -> Model:
    """Describe a model anew."""
    row = _model(session, project, name, lock=True)
    check_version(expected, row.version)
    row.description, row.changed_at, row.version = description, now(), row.version + 1
    emit(session, "model.changed", subject=name, project=project, actor=actor.name)
    session.flush()
    return _bodies(session, project, [row])[0]


def version_page(session: Session, project: str, name: str, paging: Paging) -> Page[ModelVersion]:
    """The versions, newest first."""
    _model(session, project, name)
    query = select(VersionRow).where(VersionRow.project == project, VersionRow.model == name)
    found = fetch(session, query, [VersionRow.number], paging, convert=lambda row: row, descending=True)
    return Page(items=_versions(session, project, found.items), next=found.next)


def get_version(session: Session, project: str, name: str, which: str) -> VersionDetail:
    """One version: by number, `latest`, or `@alias`."""
    return _detail(session, _which(session, project, name, which))


def files(session: Session, project: str, name: str, which: str) -> tuple[int, list[Member]]:
    """The number of a version, and what it holds."""
    row = _which(session, project, name, which)
    return row.number, store.files_of(session, row.id)


def compare(session: Session, project: str, name: str, numbers: Iterable[int]) -> Comparison:
    """Versions of a model side by side."""
    rows = [_which(session, project, name, str(number)) for number in numbers]
    compared = [
        ComparedVersion(
            name=row.model,
            number=row.number,
            metrics=row.metrics,
            parameters=row.parameters,
            datasets=row.datasets,
        )
        for row in rows
    ]
    return Comparison(
        versions=compared,
        metrics=sorted({key for row in rows for key in row.metrics}),
        parameters=sorted({key for row in rows for key in row.parameters}),
    )


def check_may_be_named(session: Session, project: str, name: str, alias: str, number: int) -> VersionDetail:
    """The version that is to get `alias`; only approved ones are for production."""
    check_alias(alias)
    row = _which(session, project, name, str(number))
    if alias == PRODUCTION and session.get(ApprovalRow, row.id) is None:
        raise Conflict(
            f"Version {number} of {name!r} is not approved, so it cannot be called {PRODUCTION!r}.",
            code="not_approved",
            hint="A maintainer of the project approves it: atelier model approve.",
        )
    return _detail(session, row)


def set_alias(session: Session, actor: Actor, project: str, name: str, alias: str, number: int) -> Model:
    """Let an alias mean a version; MLflow knows already."""
    row = _model(session, project, name, lock=True)
    check_may_be_named(session, project, name, alias, number)
    known = session.get(AliasRow, (project, name, alias))
    if known is None or known.number != number:
        session.merge(
            AliasRow(project=project, model=name, alias=alias, number=number, set_by=actor.name, set_at=now())
        )
        data = {"alias": alias, "version": number, "before": known.number if known else None}
        emit(session, "model.alias_set", subject=name, project=project, actor=actor.name, data=data)
    session.flush()
    return _bodies(session, project, [row])[0]


def remove_alias(session: Session, actor: Actor, project: str, name: str, alias: str) -> None:
    """Let an alias mean nothing any more."""
    _model(session, project, name, lock=True)
    known = session.get(AliasRow, (project, name, alias))
    if known is not None:
        session.delete(known)
        data = {"alias": alias, "version": known.number}
        emit(session, "model.alias_removed", subject=name, project=project, actor=actor.name, data=data)


def require_alias(session: Session, project: str, name: str, alias: str) -> int:
    """The number of the version that an alias means."""
    known = session.get(AliasRow, (project, name, alias))
    if known is None:
        _model(session, project, name)
        raise NotFound(f"No version of {name!r} is called {alias[:60]!r}.", code="no_alias", hint="Set it first.")
    return known.number


def approve(session: Session, actor: Actor, project: str, name: str, number: int, note: str) -> VersionDetail:
    """Say that a version is good enough for production."""
    _model(session, project, name, lock=True)
    row = _which(session, project, name, str(number))
    if row.state != READY:
        message = f"Version {number} of {name!r} is not ready: {row.message or row.state}."
        raise Conflict(message, code="not_ready", hint="Wait until it is, or register it again.")
    if session.get(ApprovalRow, row.id) is None:
        session.add(ApprovalRow(version=row.id, note=note, approved_by=actor.name))
        data = {"version": number, "note": note}
        emit(session, "model.approved", subject=name, project=project, actor=actor.name, data=data)
        session.flush()
    return _detail(session, row)


def revoke(session: Session, actor: Actor, project: str, name: str, number: int) -> VersionDetail:
    """Take an approval back; not while the version is called production."""
    _model(session, project, name, lock=True)
    row = _which(session, project, name, str(number))
    production = session.get(AliasRow, (project, name, PRODUCTION))
    if production is not None and production.number == number:
        raise Conflict(
            f"Version {number} of {name!r} is called {PRODUCTION!r}.",
            code="in_use",
            hint="Call another version that, or remove the alias, first.",
        )
    known = session.get(ApprovalRow, row.id)
    if known is not None:
        session.delete(known)
        session.flush()
        data = {"version": number}
        emit(session, "model.approval_revoked", subject=name, project=project, actor=actor.name, data=data)
    return _detail(session, row)


def check_unused(
    session: Session, project: str, name: str, number: int | None, *, force: bool, guards: Iterable[Guard]
) -> None:
    """Refuse the removal of what is served, and warn where something stood on it."""
    uses = [guard(session, project, name, number) for guard in guards]
    running, past = [use for one in uses for use in one.running], [use for one in uses for use in one.past]
    what = f"Version {number} of {name!r}" if number is not None else f"{name!r}"
    past += [f"the alias {alias}" for alias in _aliases_on(session, project, name, number)]
    if running:
        message = f"{what} is used by {_listed(running)}."
        raise Conflict(message, code="in_use", hint="Stop what uses it, or deploy another version there, first.")
    if past and not force:
        message = f"{what} is not running anywhere, but is used by {_listed(past)}."
        raise Conflict(message, code="was_used", hint="Send force=true to remove it all the same.")


def check_deletion(
    session: Session, project: str, name: str, *, expected: str | None, force: bool, guards: Iterable[Guard]
) -> None:
    """Whether a model may be removed."""
    check_version(expected, _model(session, project, name).version)
    check_unused(session, project, name, None, force=force, guards=guards)


def delete_model(
    session: Session, actor: Actor, project: str, name: str, *, expected: str | None, force: bool, guards: list[Guard]
) -> None:
    """Remove a model with its versions; contents that nothing else holds leave the store later."""
    row = _model(session, project, name, lock=True)
    check_version(expected, row.version)
    check_unused(session, project, name, None, force=force, guards=guards)
    session.delete(row)
    emit(session, "model.deleted", subject=name, project=project, actor=actor.name)


def delete_version(
    session: Session, actor: Actor, project: str, name: str, number: int, *, force: bool, guards: list[Guard]
) -> None:
    """Remove one version with the aliases that mean it."""
    model = _model(session, project, name, lock=True)
    row = _which(session, project, name, str(number))
    check_unused(session, project, name, number, force=force, guards=guards)
    session.execute(
        delete(AliasRow).where(AliasRow.project == project, AliasRow.model == name, AliasRow.number == number)
    )
    session.delete(row)
    session.flush()
    model.latest, model.changed_at = store.newest_number(session, project, name), now()
    data = {"version": number}
    emit(session, "model.version_removed", subject=name, project=project, actor=actor.name, data=data)


def _aliases_on(session: Session, project: str, name: str, number: int | None) -> list[str]:
    found = store.aliases_of(session, project, [name])[name]
    return [alias for alias, on in found.items() if number in (None, on)]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _model(session: Session, project: str, name: str, lock: bool = False) -> ModelRow:
    row = session.get(ModelRow, (project, name), with_for_update=lock or None)
    if row is None:
        message = f"There is no model {name[:100]!r} in project {project!r}."
        raise NotFound(message, code="no_model", hint="List them: atelier model list.")
    return row


def _which(session: Session, project: str, name: str, which: str) -> VersionRow:
    if which.startswith("@"):
        return _referred(session, project, ModelReference(name, None, which[1:]))
    return _referred(session, project, ModelReference(name, None if which == "latest" else int(which)))


def _referred(session: Session, project: str, reference: ModelReference) -> VersionRow:
    model = _model(session, project, reference.name)
    number = reference.version or model.latest
    if reference.alias:
        number = require_alias(session, project, reference.name, reference.alias)
    row = store.one_version(session, project, reference.name, number)
    if row is None:
        hint = f"The newest is {model.latest}." if model.latest else "Register one: it has none."
        raise NotFound(f"The model {reference.name!r} has no version {number}.", code="no_version", hint=hint)
    return row


def _bodies(session: Session, project: str, rows: Collection[ModelRow]) -> list[Model]:
    names = [row.name for row in rows]
    aliases = store.aliases_of(session, project, names)
    newest = {row.model: row for row in store.newest_of(session, project, names)}
    versions = dict(zip(newest, _versions(session, project, list(newest.values())), strict=True))
    return [
        Model(
            name=row.name,
            project=row.project,
            description=row.description,
            newest=versions.get(row.name),
            aliases=aliases[row.name],
            created_at=row.created_at,
            created_by=row.created_by,
            changed_at=row.changed_at,
            version=row.version,
        )
        for row in rows
    ]


def _versions(session: Session, project: str, rows: Sequence[VersionRow]) -> list[ModelVersion]:
    aliases = store.aliases_of(session, project, [row.model for row in rows])
    approvals = store.approvals_of(session, [row.id for row in rows])
    return [ModelVersion(**_fields(row, aliases[row.model], approvals.get(row.id))) for row in rows]


def _detail(session: Session, row: VersionRow) -> VersionDetail:
    aliases = store.aliases_of(session, row.project, [row.model])[row.model]
    lineage = Lineage.model_validate({name: getattr(row, name) for name in Lineage.model_fields})
    return VersionDetail(
        **_fields(row, aliases, session.get(ApprovalRow, row.id)),
        name=row.model,
        project=row.project,
        reference=str(ModelReference(row.model, row.number)),
        manifest=row.manifest,
        parameters=row.parameters,
        signature=row.signature,
        lineage=lineage,
        mlflow_model=row.mlflow_model,
    )


def _fields(row: VersionRow, aliases: dict[str, int], approval: ApprovalRow | None) -> dict[str, Any]:
    own = ("number", "state", "message", "framework", "flavors", "files", "size", "metrics", "note")
    fields = {name: getattr(row, name) for name in (*own, "created_at", "created_by")}
    fields["aliases"] = [alias for alias, number in aliases.items() if number == row.number]
    fields["approval"] = approval and Approval(
        note=approval.note, approved_at=approval.approved_at, approved_by=approval.approved_by
    )
    return fields
