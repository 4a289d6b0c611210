"""Who a visitor of the gateway is, and what they may do in which project."""

from __future__ import annotations

from atelier_core.errors import Forbidden, Invalid, NotFound, Unauthorized
from atelier_core.names import personal_name
from atelier_hub.auth import (
    ATTEMPT_PREFIX,
    ROLE_SCOPES,
    SIGNED_IN,
    Access,
    Actor,
    AttemptActor,
    Role,
    access_in,
    digest,
)
from atelier_hub.context import Context

ATTEMPT_KIND = "attempt"


def visitor(context: Context, token: str | None, project: str = "", scope: str = SIGNED_IN) -> Access:
    """The access of whoever has `token` to `project`; without one, to the project that is the visitor's own.

    The gateway remembers the answer, so nothing that is remembered here goes into it. Blocking: asks the hub.
    """
    if token and token.startswith(ATTEMPT_PREFIX):
        return _attempt(context, token, project, scope)
    actor = context.auth.actor(token, fresh=True)
    if not project and actor.kind != "user":
        raise Invalid(
            f"{actor.name} has no project of its own.", code="project_needed", hint="Name the project in the request."
        )
    with context.db.read() as session:
        return access_in(session, context.auth.roles, actor, project or personal_name(actor.name), scope)


def _attempt(context: Context, token: str, project: str, scope: str) -> Access:
    """What runs in a project may there what a member may, and nothing anywhere else."""
    found = _find_attempt(context, token)
    if project and project != found.project:
        raise NotFound(
            f"There is no project {project!r} that you may see.",
            code="no_project",
            hint=f"What runs belongs to one project, this to {found.project!r}: call services of that one.",
        )
    if scope not in ROLE_SCOPES[Role.MEMBER] | {SIGNED_IN}:
        raise Forbidden(f"What runs in a project may not do this there: {scope}.", hint="Do it in your own name.")
    actor = Actor(f"{ATTEMPT_KIND}:{found.attempt}", ATTEMPT_KIND)
    return Access(actor, found.project, Role.MEMBER, ROLE_SCOPES[Role.MEMBER])


def _find_attempt(context: Context, token: str) -> AttemptActor:
    if context.attempt_tokens is not None:
        with context.db.read() as session:
            found = context.attempt_tokens.find(session, digest(token))
        if found is not None:
            return found
    raise Unauthorized("This is not the token of a running attempt.", hint="The attempt is over; stop.")
