"""REST of projects, members and secrets."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import Field, field_validator

from atelier_core.errors import Forbidden, Invalid
from atelier_hub.auth import Access, Role, require
from atelier_hub.context import Context, Ctx
from atelier_hub.features.projects import service
from atelier_hub.features.projects.leftovers import Leftovers
from atelier_hub.features.projects.service import Member, MemberKind, Project, SecretName, Who
from atelier_hub.http.body import Body
from atelier_hub.http.etag import IfMatch, set_etag
from atelier_hub.http.paging import Page, PagingQuery

router = APIRouter(tags=["projects"])

# Not in the path: a group may be called `/org/team`, and proxies refuse, decode or merge what looks like a path.
MemberName = Annotated[str, Query(min_length=1, max_length=200)]
_NAMED = r"^[A-Za-z_][A-Za-z0-9_.-]{0,62}$"
SecretPath = Annotated[str, Path(pattern=_NAMED)]
_SETTINGS_LIMIT = 64 * 1024


class ProjectFields(Body):
    """What may be changed of a project; what is left out stays."""

    description: str = Field(default="", max_length=4000)
    default_backend: str = Field(default="", max_length=64, description="Empty: the platform's default.")
    settings: dict[str, Any] = Field(default_factory=dict)

    @field_validator("settings")
    @classmethod
    def _small_json(cls, value: dict[str, Any]) -> dict[str, Any]:
        if len(json.dumps(value, allow_nan=False)) > _SETTINGS_LIMIT:
            raise ValueError("settings are larger than 64 KiB")
        return value


class NewProject(ProjectFields):
    """A project to make."""

    name: str


class NewMember(Body):
    """A member to add."""

    kind: MemberKind = "user"
    name: str = Field(min_length=1, max_length=200)
    role: Role

    @field_validator("name")
    @classmethod
    def _visible(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("a name has no control characters")
        return value


class MemberRole(Body):
    """Another role."""

    role: Role


class NewSecret(Body):
    """A secret to keep."""

    name: str = Field(pattern=_NAMED)
    value: str = Field(max_length=65536, repr=False)


class SecretValue(Body):
    """Another value."""

    value: str = Field(max_length=65536, repr=False)


def _fields(ctx: Context, body: ProjectFields) -> dict[str, Any]:
    fields = body.model_dump(exclude_unset=True, exclude={"name"})
    backend = fields.get("default_backend")
    if backend and backend not in ctx.settings.backends:
        raise Invalid(
            f"There is no back end {backend!r} here.", hint=f"There is: {', '.join(sorted(ctx.settings.backends))}."
        )
    return fields


@router.get("/projects")
def list_projects(
    ctx: Ctx, paging: PagingQuery, access: Annotated[Access, Depends(require("signed-in"))]
) -> Page[Project]:
    """The projects that you have a role in; all of them for administrators."""
    with ctx.db.read() as session:
        names = None if access.actor.admin else ctx.auth.roles.roles(session, access.actor)
        return service.page(session, names, paging)


@router.post("/projects", status_code=201)
def create_project(
    ctx: Ctx, body: NewProject, response: Response, access: Annotated[Access, Depends(require("signed-in"))]
) -> Project:
    """Make a project; you become its owner."""
    if access.actor.kind != "user":
        raise Forbidden("Only a person can own a project.")
    fields = _fields(ctx, body)
    service.check_name(ctx.hub, body.name, access.actor)
    with ctx.db.write() as session:
        project = service.create(session, access.actor, body.name, fields)
    set_etag(response, project.version)
    return project


@router.get("/projects/{project}")
def get_project(
    ctx: Ctx, project: str, response: Response, access: Annotated[Access, Depends(require("project:read"))]
) -> Project:
    """One project."""
    with ctx.db.read() as session:
        found = service.get(session, project)
    set_etag(response, found.version)
    return found


@router.patch("/projects/{project}")
def change_project(
    *,
    ctx: Ctx,
    project: str,
    body: ProjectFields,
    if_match: IfMatch,
    response: Response,
    access: Annotated[Access, Depends(require("project:write"))],
) -> Project:
    """Change a project's description, default back end or settings."""
    fields = _fields(ctx, body)
    with ctx.db.write() as session:
        changed = service.change(session, access.actor, project, if_match, fields)
    set_etag(response, changed.version)
    return changed


@router.delete("/projects/{project}", status_code=204)
def delete_project(
    ctx: Ctx, project: str, if_match: IfMatch, access: Annotated[Access, Depends(require("project:delete"))]
) -> None:
    """Remove a project and all that belongs to it."""
    with ctx.db.write() as session:
        service.delete(session, access.actor, project, if_match, ctx.delete_guards)
    ctx.get(Leftovers).deleted()


@router.get("/projects/{project}/members")
def list_members(
    ctx: Ctx, project: str, paging: PagingQuery, access: Annotated[Access, Depends(require("members:read"))]
) -> Page[Member]:
    """Who belongs to the project."""
    with ctx.db.read() as session:
        return service.members(session, project, paging)


@router.post("/projects/{project}/members", status_code=201)
def add_member(
    ctx: Ctx,
    project: str,
    body: NewMember,
    response: Response,
    access: Annotated[Access, Depends(require("members:write"))],
) -> Member:
    """Add a user or a hub group."""
    with ctx.db.write() as session:
        member = service.add_member(session, access.actor, project, Who(body.kind, body.name), body.role)
    set_etag(response, member.version)
    return member


@router.patch("/projects/{project}/members")
def change_member(
    *,
    ctx: Ctx,
    project: str,
    kind: MemberKind,
    name: MemberName,
    body: MemberRole,
    if_match: IfMatch,
    response: Response,
    access: Annotated[Access, Depends(require("members:write"))],
) -> Member:
    """Give a member another role."""
    with ctx.db.write() as session:
        member = service.change_member(
            session, access.actor, project, Who(kind, name), expected=if_match, role=body.role
        )
    set_etag(response, member.version)
    return member


@router.delete("/projects/{project}/members", status_code=204)
def remove_member(
    *,
    ctx: Ctx,
    project: str,
    kind: MemberKind,
    name: MemberName,
    if_match: IfMatch,
    access: Annotated[Access, Depends(require("members:leave"))],
) -> None:
    """End a membership: an owner anybody's, everybody their own."""
    myself = kind == "user" and name == access.actor.name
    if not myself and "members:write" not in access.scopes:
        raise Forbidden("Only an owner may remove others.", hint="Ask an owner of the project.")
    with ctx.db.write() as session:
        service.remove_member(session, access.actor, project, Who(kind, name), if_match)


@router.get("/projects/{project}/secrets")
def list_secrets(
    ctx: Ctx, project: str, paging: PagingQuery, access: Annotated[Access, Depends(require("secrets:read"))]
) -> Page[SecretName]:
    """The names of the project's secrets; values cannot be read back."""
    with ctx.db.read() as session:
        return service.secret_names(session, project, paging)


@router.post("/projects/{project}/secrets", status_code=201)
def add_secret(
    ctx: Ctx,
    project: str,
    body: NewSecret,
    response: Response,
    access: Annotated[Access, Depends(require("secrets:write"))],
) -> SecretName:
    """Keep a new secret, encrypted."""
    with ctx.db.write() as session:
        secret = service.add_secret(session, ctx.keyring, access.actor, project, name=body.name, value=body.value)
    set_etag(response, secret.version)
    return secret


@router.put("/projects/{project}/secrets/{name}")
def change_secret(
    *,
    ctx: Ctx,
    project: str,
    name: SecretPath,
    body: SecretValue,
    if_match: IfMatch,
    response: Response,
    access: Annotated[Access, Depends(require("secrets:write"))],
) -> SecretName:
    """Replace the value of a secret."""
    with ctx.db.write() as session:
        secret = service.change_secret(
            session, ctx.keyring, access.actor, project, name=name, expected=if_match, value=body.value
        )
    set_etag(response, secret.version)
    return secret


@router.delete("/projects/{project}/secrets/{name}", status_code=204)
def remove_secret(
    ctx: Ctx,
    project: str,
    name: SecretPath,
    if_match: IfMatch,
    access: Annotated[Access, Depends(require("secrets:write"))],
) -> None:
    """Forget a secret."""
    with ctx.db.write() as session:
        service.remove_secret(session, access.actor, project, name, if_match)
