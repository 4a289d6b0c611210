"""Who is calling, and what they may do. Deny by default: a route without a declared scope stops the start.

Only a token counts (`Authorization: Bearer …` or `token …`): no cookie, no other header, no network address.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from fastapi import Request
from sqlalchemy.orm import Session

from atelier_core.errors import Conflict, Forbidden, NotFound, Unauthorized
from atelier_hub.clients.jupyterhub import HubClient

SERVICE_SCOPES = frozenset({"access:services", "access:services!service=atelier", "custom:atelier:use"})
ADMIN_SCOPE = "custom:atelier:admin"
ATTEMPT_PREFIX = "atat_"
SERVICE_PREFIX = "service:"


class Role(StrEnum):
    """What a member is in a project, weakest first."""

    VIEWER = "viewer"
    MEMBER = "member"
    MAINTAINER = "maintainer"
    OWNER = "owner"


RANK = {role: rank for rank, role in enumerate(Role)}

_VIEWER = frozenset(
    {"project:read", "members:read", "runs:read", "artifacts:read", "datasets:read", "events:read", "members:leave"}
    | {"models:read", "services:read", "services:call"}
)
_MEMBER = _VIEWER | {
    "runs:write",
    "artifacts:write",
    "datasets:write",
    "secrets:read",
    "models:write",
    "services:write",
}
_MAINTAINER = _MEMBER | {"project:write", "secrets:write", "models:approve"}
_OWNER = _MAINTAINER | {"members:write", "project:delete"}

ROLE_SCOPES: Mapping[Role, frozenset[str]] = {
    Role.VIEWER: _VIEWER,
    Role.MEMBER: _MEMBER,
    Role.MAINTAINER: _MAINTAINER,
    Role.OWNER: _OWNER,
}
# Hub admins see every project and can repair its membership; they do not run things in other people's names.
ADMIN_SCOPES = _VIEWER | {"secrets:read", "members:write", "project:delete"}

# Beyond the roles: nobody, anybody signed in, a running attempt, the gateway.
PUBLIC, SIGNED_IN, ATTEMPT, GATEWAY, ADMIN = "public", "signed-in", "attempt", "gateway", "admin"
SCOPES = _OWNER | {PUBLIC, SIGNED_IN, ATTEMPT, GATEWAY, ADMIN}
GATEWAY_HEADER = "X-Atelier-Gateway"
# Where a revoked token must not work for even one cache time.
UNCACHED = frozenset({ADMIN, "secrets:read", "secrets:write", "members:write", "members:leave", "project:delete"})


@dataclass(frozen=True)
class Actor:
    """Who calls: a person or a service that the hub knows."""

    name: str
    kind: str = "user"
    groups: frozenset[str] = frozenset()
    admin: bool = False


@dataclass(frozen=True)
class Access:
    """An actor in a project, after the check. Without a project in the path `project` is empty."""

    actor: Actor
    project: str = ""
    role: Role | None = None
    scopes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class AttemptActor:
    """A running attempt that showed its token."""

    attempt: str
    project: str
    over: bool = False


class AttemptTokens(Protocol):
    """Who owns an attempt token; the pipelines feature keeps the table and registers itself."""

    def find(self, session: Session, token_sha256: str) -> AttemptActor | None:
        """The attempt with this token (hex digest) while it lives; none once it is over."""


class ProjectRoles(Protocol):
    """Who is what in which project; the projects feature knows."""

    def roles(self, session: Session, actor: Actor) -> dict[str, Role]:
        """Every project in which the actor has a role."""

    def role_in(self, session: Session, actor: Actor, project: str) -> tuple[bool, Role | None]:
        """Whether the project exists, and the actor's role there."""

    def first_contact(self, actor: Actor) -> None:
        """Called when an actor shows up for the first time since the start; raises `Forbidden` to keep them out."""


def token_of(request: Request) -> str | None:
    """The token of the request, if it has one."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return (token.strip() or None) if kind.lower() in {"bearer", "token"} else None


def digest(token: str) -> str:
    """How tokens are kept: never as they are."""
    return hashlib.sha256(token.encode()).hexdigest()


class Authenticator:
    """Token to actor, remembered for `cache_seconds`."""

    def __init__(self, hub: HubClient, roles: ProjectRoles, cache_seconds: float = 45) -> None:
        self.hub = hub
        self.roles = roles
        self._seconds = cache_seconds
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, Actor | None]] = {}
        self._met: set[str] = set()

    def actor(self, token: str | None, *, fresh: bool = False) -> Actor:
        """Whom the hub says the token belongs to; `fresh` asks the hub whatever is remembered."""
        if not token or not token.isascii() or token.startswith(ATTEMPT_PREFIX):  # the hub's tokens are ASCII
            raise _anonymous()
        key = digest(token)
        found, actor = (False, None) if fresh else self._remembered(key)
        if not found:
            actor = _to_actor(self.hub.user_of(token))
            self._remember(key, actor)
        if actor is None:
            raise _anonymous()
        if actor.kind == "user" and actor.name not in self._met:
            self.roles.first_contact(actor)
            self._met.add(actor.name)
        return actor

    def _remembered(self, key: str) -> tuple[bool, Actor | None]:
        with self._lock:
            until, actor = self._known.get(key, (0.0, None))
            return until > time.monotonic(), actor

    def _remember(self, key: str, actor: Actor | None) -> None:
        moment = time.monotonic()
        with self._lock:
            if len(self._known) > 10_000:
                self._known = {k: v for k, v in self._known.items() if v[0] > moment}
            self._known[key] = (moment + self._seconds, actor)


def _to_actor(model: dict[str, Any] | None) -> Actor | None:
    if model is None:
        return None
    scopes = set(model.get("scopes", ()))
    admin = ADMIN_SCOPE in scopes
    if not admin and not scopes & SERVICE_SCOPES:
        raise Forbidden(
            "This token is valid, but not for Atelier.",
            code="token_without_scope",
            hint="Make a new token with the scope access:services!service=atelier, or restart your server to get one.",
        )
    kind = model.get("kind", "user")
    # A hub service may have the name of a user; it must never become that user, nor a user the service.
    if kind == "user" and model["name"].startswith(SERVICE_PREFIX):
        raise Forbidden(
            f"{model['name']!r} is a name that only services have here.",
            code="reserved_name",
            hint="Ask an administrator of the hub for another user name.",
        )
    name = model["name"] if kind == "user" else SERVICE_PREFIX + model["name"]
    return Actor(name=name, kind=kind, groups=frozenset(model.get("groups") or ()), admin=admin)


def _anonymous() -> Unauthorized:
    return Unauthorized(
        "You are not signed in, or your token is not valid any more.",
        hint="Sign in at JupyterHub and use a token from there (Authorization: Bearer …).",
    )


def require(scope: str) -> Callable[[Request], Access]:
    """The dependency by which a route declares its scope; checked in the project if `{project}` is in the path."""
    if scope not in SCOPES or scope in {PUBLIC, ATTEMPT, GATEWAY}:
        raise ValueError(f"{scope!r} is not in the scope table")

    def check(request: Request) -> Access:
        context = request.app.state.context
        actor = context.auth.actor(token_of(request), fresh=scope in UNCACHED)
        if scope == ADMIN and not actor.admin:
            raise Forbidden("Only administrators of the hub may do this.")
        project = request.path_params.get("project")
        if project is None:
            return Access(actor)
        with context.db.read() as session:
            return access_in(session, context.auth.roles, actor, project, scope)

    check.scope = scope  # type: ignore[attr-defined]
    return check


def access_in(session: Session, roles: ProjectRoles, actor: Actor, project: str, scope: str) -> Access:
    """The actor's access to `project`, if it includes `scope`; a project one has no part in does not exist."""
    exists, role = roles.role_in(session, actor, project)
    if not exists or (role is None and not actor.admin):
        raise NotFound(
            f"There is no project {project!r} that you may see.",
            code="no_project",
            hint="Check the name, or ask its owner.",
        )
    scopes = (ROLE_SCOPES[role] if role else frozenset()) | (ADMIN_SCOPES if actor.admin else frozenset())
    if scope not in scopes and scope not in {SIGNED_IN, ADMIN}:
        raise Forbidden(
            f"Your role in project {project!r} ({role or 'administrator'}) does not include {scope}.",
            hint="Ask an owner of the project for a higher role.",
        )
    return Access(actor, project, role, scopes)


def public() -> None:
    """The dependency of routes that everybody may call."""


public.scope = PUBLIC  # type: ignore[attr-defined]


def require_attempt(request: Request) -> AttemptActor:
    """The dependency of `/attempts/{attempt}/…`: the attempt's own token, and no other."""
    context = request.app.state.context
    token = token_of(request)
    tokens: AttemptTokens | None = context.attempt_tokens
    if token and token.startswith(ATTEMPT_PREFIX) and tokens is not None:
        with context.db.read() as session:
            actor = tokens.find(session, digest(token))
        if actor is not None and actor.attempt == request.path_params.get("attempt"):
            return actor
    raise Unauthorized("This is not the token of a running attempt.", hint="The attempt is over; stop.")


require_attempt.scope = ATTEMPT  # type: ignore[attr-defined]


def require_running_attempt(request: Request) -> AttemptActor:
    """The same while the attempt goes on: what was cancelled or given up only says how it ended."""
    actor = require_attempt(request)
    if actor.over:
        raise Conflict("The attempt is over.", code="gone", hint="Stop the command and leave.")
    return actor


require_running_attempt.scope = ATTEMPT  # type: ignore[attr-defined]


def require_gateway(request: Request) -> None:
    """The dependency of `/gateway/…`: the secret that gateway and control plane share, and nothing else."""
    secret: str = request.app.state.context.settings.gateway_secret
    shown = request.headers.get(GATEWAY_HEADER, "")
    if not secret or not hmac.compare_digest(shown.encode(), secret.encode()):
        raise Unauthorized(
            "Only the gateway may ask this.", code="not_the_gateway", hint="Call the service through the gateway."
        )


require_gateway.scope = GATEWAY  # type: ignore[attr-defined]


def declared_scopes(dependant: Any) -> list[str]:
    """The scopes that a route's dependencies declare."""
    own = [dependant.call.scope] if hasattr(dependant.call, "scope") else []
    return own + [scope for inner in dependant.dependencies for scope in declared_scopes(inner)]


def check_routes(routes: Iterable[Any]) -> None:
    """Fail unless there are routes and every one of them declares exactly one scope."""
    checked = 0
    for route in routes:
        dependant = getattr(route, "dependant", None)
        if dependant is None or len(declared_scopes(dependant)) != 1:
            raise RuntimeError(f"{route!r} must declare exactly one scope (auth.require)")
        checked += 1
    if not checked:
        raise RuntimeError("no route was found, so none was checked")
