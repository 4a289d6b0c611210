"""Projects: who belongs to them, and their secrets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from atelier_core.errors import Conflict, Forbidden, Invalid, NotFound
from atelier_core.names import check_project_name, personal_name
from atelier_hub.auth import RANK, Actor, Role
from atelier_hub.clients.jupyterhub import HubClient
from atelier_hub.crypto import Keyring
from atelier_hub.db import Database, emit, now
from atelier_hub.db.events import forget
from atelier_hub.features.projects.store import (
    MemberRow,
    ProjectRow,
    RemovedRow,
    SecretRow,
    other_owners,
    roles_of,
)
from atelier_hub.http.etag import check_version
from atelier_hub.http.paging import Page, Paging, fetch

log = logging.getLogger(__name__)
MemberKind = Literal["user", "group"]


class Project(BaseModel):
    """A project as everybody in it sees it."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    description: str
    personal: bool
    default_backend: str
    settings: dict[str, Any]
    created_at: datetime
    created_by: str
    version: int


class Who(NamedTuple):
    """Whom a membership is about."""

    kind: MemberKind
    name: str


class Member(BaseModel):
    """A user or a hub group with a role."""

    model_config = ConfigDict(from_attributes=True)

    kind: MemberKind
    name: str
    role: Role
    added_at: datetime
    version: int


class SecretName(BaseModel):
    """A secret without its value, which nobody can read back."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    changed_at: datetime
    changed_by: str
    version: int


class Roles:
    """What `auth` asks about projects (`auth.ProjectRoles`)."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def roles(self, session: Session, actor: Actor) -> dict[str, Role]:
        """Every project in which the actor has a role, with the strongest one."""
        best: dict[str, Role] = {}
        for row in roles_of(session, actor.name, actor.groups):
            role = Role(row.role)
            if row.project not in best or RANK[role] > RANK[best[row.project]]:
                best[row.project] = role
        return best

    def role_in(self, session: Session, actor: Actor, project: str) -> tuple[bool, Role | None]:
        """Whether the project exists, and the actor's strongest role there."""
        rows = roles_of(session, actor.name, actor.groups, project)
        role = max((Role(row.role) for row in rows), key=RANK.__getitem__, default=None)
        return role is not None or session.get(ProjectRow, project) is not None, role

    def first_contact(self, actor: Actor) -> None:
        """Make the user's personal project, unless it is there.

        Users and projects share their names, and files, namespaces and defaults go by them: who comes with a name that
        a project of others has is not let in, or would work in that project and take it for their own.
        """
        name = personal_name(actor.name)
        found = self._project(name)
        if found is None:
            # Another replica, or another request of the same user, may have been first: then it is there now.
            with suppress(IntegrityError), self._db.write() as session:
                _insert(session, ProjectRow(name=name, personal=True), actor)
            found = self._project(name)
        if found is None or not found.personal or found.created_by != actor.name:
            log.warning("user %s is not let in: the project %s is somebody else's", actor.name, name)
            raise Forbidden(
                f"There is a project {name!r} that is not yours, and users and projects share their names.",
                code="name_taken",
                hint="Ask an administrator for another user name, or the project's owner to delete it.",
            )

    def _project(self, name: str) -> ProjectRow | None:
        with self._db.read() as session:
            return session.get(ProjectRow, name)


def _insert(session: Session, row: ProjectRow, actor: Actor) -> None:
    row.created_by = actor.name
    session.add(row)
    session.flush()
    if session.get(RemovedRow, row.name) is not None:
        raise Conflict(
            f"The files of an earlier project {row.name!r} are still being removed.",
            code="being_removed",
            hint="Try again in a minute.",
        )
    session.add(MemberRow(project=row.name, kind="user", name=actor.name, role=Role.OWNER))
    emit(session, "project.created", subject=row.name, project=row.name, actor=actor.name)


def check_name(hub: HubClient, name: str, actor: Actor) -> None:
    """Refuse a name that no project may have, or that a user has. Asks the hub: call it outside a transaction."""
    check_project_name(name)
    if name == actor.name or hub.user_exists(name):
        raise Conflict(
            f"{name!r} is the name of a user, and users and projects share their names.",
            code="name_taken",
            hint="Choose another name; a user's own project is there from the first sign-in.",
        )


def create(session: Session, actor: Actor, name: str, fields: dict[str, Any]) -> Project:
    """A new project that belongs to the actor."""
    if session.get(ProjectRow, name) is not None:
        raise Conflict(f"The name {name!r} is taken.", code="name_taken", hint="Choose another name.")
    row = ProjectRow(name=name, **fields)
    _insert(session, row, actor)
    session.flush()
    return Project.model_validate(row)


def page(session: Session, names: Iterable[str] | None, paging: Paging) -> Page[Project]:
    """The projects with these names; all of them for none."""
    statement = select(ProjectRow)
    if names is not None:
        statement = statement.where(ProjectRow.name.in_(sorted(names)))
    return fetch(session, statement, [ProjectRow.name], paging, convert=Project.model_validate)


def names(session: Session) -> list[str]:
    """Every project's name."""
    return list(session.scalars(select(ProjectRow.name).order_by(ProjectRow.name)))


def get(session: Session, name: str) -> Project:
    """One project."""
    return Project.model_validate(_row(session, name))


def change(session: Session, actor: Actor, name: str, expected: str | None, fields: dict[str, Any]) -> Project:
    """Set some fields of a project."""
    row = _row(session, name, lock=True)
    check_version(expected, row.version)
    for field, value in fields.items():
        setattr(row, field, value)
    row.version += 1
    emit(session, "project.changed", subject=name, project=name, actor=actor.name, data={"fields": sorted(fields)})
    return Project.model_validate(row)


def delete(
    session: Session,
    actor: Actor,
    name: str,
    expected: str | None,
    guards: Iterable[Callable[[Session, str], None]] = (),
) -> None:
    """Remove a project with its members and secrets; each guard may refuse, or remove what its feature keeps there."""
    row = _row(session, name, lock=True)
    check_version(expected, row.version)
    if row.personal:
        raise Conflict("A personal project stays as long as its user does.", code="personal_project")
    for guard in guards:
        guard(session, name)
    session.delete(row)
    session.flush()
    # The name may be used again, by people who must not read what happened in the old project.
    forget(session, name)
    session.add(RemovedRow(name=name))
    emit(session, "project.deleted", subject=name, actor=actor.name)


def _row(session: Session, name: str, lock: bool = False) -> ProjectRow:
    row = session.get(ProjectRow, name, with_for_update=lock or None)
    if row is None:
        raise NotFound(f"There is no project {name!r}.")
    return row


def members(session: Session, project: str, paging: Paging) -> Page[Member]:
    """Who belongs to the project."""
    statement = select(MemberRow).where(MemberRow.project == project)
    return fetch(session, statement, [MemberRow.kind, MemberRow.name], paging, convert=Member.model_validate)


def add_member(session: Session, actor: Actor, project: str, who: Who, role: Role) -> Member:
    """Give a user or a hub group a role."""
    _row(session, project, lock=True)
    if session.get(MemberRow, (project, *who)) is not None:
        raise Conflict(
            f"The {who.kind} {who.name!r} is a member already.", code="exists", hint="Change the role instead."
        )
    row = MemberRow(project=project, kind=who.kind, name=who.name, role=role)
    session.add(row)
    session.flush()
    _say(session, "added", row, actor)
    return Member.model_validate(row)


def change_member(
    session: Session, actor: Actor, project: str, who: Who, *, expected: str | None, role: Role
) -> Member:
    """Give a member another role."""
    row = _member(session, project, who)
    check_version(expected, row.version)
    if role != Role.OWNER:
        _keep_an_owner(session, row)
    row.role, row.version = role, row.version + 1
    _say(session, "changed", row, actor)
    return Member.model_validate(row)


def remove_member(session: Session, actor: Actor, project: str, who: Who, expected: str | None) -> None:
    """End a membership."""
    row = _member(session, project, who)
    check_version(expected, row.version)
    _keep_an_owner(session, row)
    session.delete(row)
    _say(session, "removed", row, actor)


def _member(session: Session, project: str, who: Who) -> MemberRow:
    _row(session, project, lock=True)  # one change of members at a time, or two owners could leave at once
    row = session.get(MemberRow, (project, *who))
    if row is None:
        raise NotFound(f"The {who.kind} {who.name!r} is not a member of {project!r}.")
    return row


def _keep_an_owner(session: Session, row: MemberRow) -> None:
    if row.role != Role.OWNER:
        return
    project = _row(session, row.project)
    if project.personal and (row.kind, row.name) == ("user", project.created_by):
        raise Conflict("A personal project always belongs to its user.", code="personal_project")
    if not other_owners(session, row.project, row):
        raise Conflict(
            "The last owner cannot leave or take a lower role.",
            code="last_owner",
            hint="Make somebody else owner first.",
        )


def _say(session: Session, verb: str, row: MemberRow, actor: Actor) -> None:
    data = {"kind": row.kind, "name": row.name, "role": row.role}
    emit(session, f"member.{verb}", subject=row.name, project=row.project, actor=actor.name, data=data)


def secret_names(session: Session, project: str, paging: Paging) -> Page[SecretName]:
    """The names of the project's secrets."""
    statement = select(SecretRow).where(SecretRow.project == project)
    return fetch(session, statement, [SecretRow.name], paging, convert=SecretName.model_validate)


def add_secret(session: Session, keyring: Keyring, actor: Actor, project: str, *, name: str, value: str) -> SecretName:
    """Keep a new secret."""
    _row(session, project)
    if session.get(SecretRow, (project, name)) is not None:
        raise Conflict(f"There is a secret {name!r} already.", code="exists", hint="Replace its value instead.")
    row = SecretRow(project=project, name=name, value=keyring.encrypt(value), changed_by=actor.name)
    session.add(row)
    session.flush()
    emit(session, "secret.added", subject=name, project=project, actor=actor.name)
    return SecretName.model_validate(row)


def change_secret(
    session: Session, keyring: Keyring, actor: Actor, project: str, *, name: str, expected: str | None, value: str
) -> SecretName:
    """Replace the value of a secret."""
    row = _secret(session, project, name)
    check_version(expected, row.version)
    row.value, row.version = keyring.encrypt(value), row.version + 1
    row.changed_at, row.changed_by = now(), actor.name
    emit(session, "secret.changed", subject=name, project=project, actor=actor.name)
    return SecretName.model_validate(row)


def remove_secret(session: Session, actor: Actor, project: str, name: str, expected: str | None) -> None:
    """Forget a secret."""
    row = _secret(session, project, name)
    check_version(expected, row.version)
    session.delete(row)
    emit(session, "secret.removed", subject=name, project=project, actor=actor.name)


def reveal(session: Session, keyring: Keyring, project: str, name: str) -> str:
    """The value of a secret, for the engine alone: no route returns it."""
    row = session.get(SecretRow, (project, name))
    if row is None:
        raise Invalid(
            f"Project {project!r} has no secret {name!r}.",
            code="secret_missing",
            hint=f"Set it (atelier secret set {name} --project {project}), or correct the name in the definition.",
        )
    return keyring.decrypt(row.value)


def _secret(session: Session, project: str, name: str) -> SecretRow:
    row = session.get(SecretRow, (project, name), with_for_update=True)
    if row is None:
        raise NotFound(f"Project {project!r} has no secret {name!r}.")
    return row
