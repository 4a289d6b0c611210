"""What a running step may do with services: deploy one in the name of whoever runs it, and look at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from sqlalchemy.orm import Session

from atelier_core.errors import Forbidden, NotFound
from atelier_core.service import validate
from atelier_hub.auth import ROLE_SCOPES, SERVICE_PREFIX, Access, Actor, AttemptActor, require_running_attempt
from atelier_hub.context import Context, Ctx
from atelier_hub.features.serving import service
from atelier_hub.features.serving.reconcile import Services
from atelier_hub.features.serving.replicas import Replicas
from atelier_hub.features.serving.service import NewDeployment, Parts
from atelier_hub.features.serving.sources import ServingOffer
from atelier_hub.features.serving.views import Service
from atelier_hub.http.body import Body

router = APIRouter(prefix="/attempts/{attempt}/services", tags=["services"])
WRITE = "services:write"
Running = Annotated[AttemptActor, Depends(require_running_attempt)]


def _nobody(session: Session, attempt: str) -> str:
    raise NotFound("Only steps of a run deploy services.", code="no_step")


@dataclass
class StepOwners:
    """Who runs a step: said by the feature that has runs."""

    find: Callable[[Session, str], str] = _nobody


class StepDeployment(Body):
    """A definition to deploy; a step that does it twice has done it once."""

    definition: dict[str, Any]


def parts_of(ctx: Context) -> Parts:
    """What deploying needs of the control plane."""
    return Parts(ctx.db, ctx.store, ctx.settings, ctx.get(ServingOffer), ctx.get(Replicas))


@router.post("", status_code=201)
def deploy_from_attempt(attempt: str, body: StepDeployment, ctx: Ctx, actor: Running) -> Service:
    """Deploy a definition in the name of whoever runs the step."""
    definition = validate(body.definition)
    access = _access(ctx, actor)
    found = service.deploy(
        parts_of(ctx), access, actor.project, NewDeployment(definition, f"{actor.attempt}/{definition.name}")
    )
    ctx.get(Services).poke()
    return found


@router.get("/{service}")
def service_for_attempt(
    attempt: str, name: Annotated[str, Path(alias="service", min_length=1, max_length=40)], ctx: Ctx, actor: Running
) -> Service:
    """How a service of the step's project is."""
    with ctx.db.read() as session:
        return service.get(session, ctx.settings, actor.project, name)


def _access(ctx: Context, attempt: AttemptActor) -> Access:
    """That of the person as it is now: who has left the project deploys nothing there by what still runs."""
    with ctx.db.read() as session:
        name = ctx.get(StepOwners).find(session, attempt.attempt)
    groups = frozenset() if name.startswith(SERVICE_PREFIX) else ctx.auth.hub.groups_of(name)
    person = Actor(name, groups=groups or frozenset())
    with ctx.db.read() as session:
        role = ctx.auth.roles.role_in(session, person, attempt.project)[1]
    if groups is None or role is None or WRITE not in ROLE_SCOPES[role]:
        raise Forbidden(
            f"{name} may not deploy in the project {attempt.project!r} any more.",
            hint="Ask an owner of the project for a role that may, or let somebody who has one run the pipeline.",
        )
    return Access(person, attempt.project, role, ROLE_SCOPES[role])
