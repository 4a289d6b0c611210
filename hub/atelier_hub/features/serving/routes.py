"""REST of services: deployments, traffic, replicas and their logs, figures, keys; and what the gateway asks."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, Field

from atelier_core.errors import NotFound
from atelier_core.routing import Key
from atelier_core.service import validate
from atelier_hub.auth import Access, require, require_gateway, token_of
from atelier_hub.context import Context, Ctx
from atelier_hub.engine import store as attempts
from atelier_hub.engine.reading import LogReader
from atelier_hub.engine.store import Attempt
from atelier_hub.features.serving import drift, from_steps, keys, moving, service, traffic, usage
from atelier_hub.features.serving.drift import Drift
from atelier_hub.features.serving.from_steps import parts_of
from atelier_hub.features.serving.keys import NewServiceKey, ServiceKey
from atelier_hub.features.serving.reconcile import Services
from atelier_hub.features.serving.service import NewDeployment
from atelier_hub.features.serving.usage import ReplicaUse
from atelier_hub.features.serving.views import Replica, Revision, Service, Stats
from atelier_hub.http.body import Body
from atelier_hub.http.etag import IfMatch, set_etag
from atelier_hub.http.paging import Page, PagingQuery
from atelier_hub.streams import LIMITED

router = APIRouter(tags=["services"])
router.routes += from_steps.router.routes
Reader = Annotated[Access, Depends(require("services:read"))]
Writer = Annotated[Access, Depends(require("services:write"))]
Name = Annotated[str, Path(alias="service", min_length=1, max_length=40)]
Id = Annotated[str, Path(min_length=1, max_length=63)]


class Deployment(Body):
    """A definition to deploy. The same `idempotency_key` twice is one deployment."""

    definition: dict[str, Any]
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=200)


class Shares(Body):
    """Which revision gets how many percent of the traffic; those that are not named get none."""

    shares: dict[Annotated[int, Field(ge=1, le=2**31 - 1)], Annotated[float, Field(ge=0, le=100)]] = Field(
        min_length=1, max_length=20
    )


class Way(Body):
    """The revision to go back to; without one away from a trial, or to the revision before."""

    revision: int | None = Field(default=None, ge=1, le=2**31 - 1)


class Scaling(Body):
    """The least and the most replicas."""

    minimum: int = Field(ge=0, le=100)
    maximum: int = Field(ge=1, le=100)


class NewKey(Body):
    """A key to make; no `services` means all of the project, no time that it does not expire."""

    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$")
    services: list[Annotated[str, Field(min_length=1, max_length=40)]] = Field(default=[], max_length=100)
    expires_at: AwareDatetime | None = None


class Sleeper(Body):
    """A service that a request waits for, as `project/name`."""

    service: str = Field(min_length=3, max_length=300, pattern=r"^[^/\x00]+/[^/\x00]+$")


@router.post("/projects/{project}/services", status_code=201)
def deploy_service(project: str, body: Deployment, ctx: Ctx, access: Writer, response: Response) -> Service:
    """Deploy a definition: a new revision, of a new service where there is none of its name."""
    new = NewDeployment(validate(body.definition), body.idempotency_key)
    found = service.deploy(parts_of(ctx), access, project, new)
    return _changed(ctx, response, found)


@router.get("/projects/{project}/services")
def list_services(project: str, ctx: Ctx, access: Reader, paging: PagingQuery) -> Page[Service]:
    """The project's services."""
    with ctx.db.read() as session:
        return service.page(session, ctx.settings, project, paging)


@router.get("/projects/{project}/services/{service}")
def get_service(project: str, service_name: Name, ctx: Ctx, access: Reader, response: Response) -> Service:
    """One service."""
    with ctx.db.read() as session:
        found = service.get(session, ctx.settings, project, service_name)
    set_etag(response, found.version)
    return found


@router.delete("/projects/{project}/services/{service}", status_code=202)
def delete_service(project: str, service_name: Name, ctx: Ctx, access: Writer, if_match: IfMatch) -> None:
    """End all replicas and forget the service. It is gone when nothing of it is left on any engine."""
    with ctx.db.write() as session:
        service.delete(session, access, project, service_name, if_match)
    ctx.get(Services).poke()


@router.get("/projects/{project}/services/{service}/revisions")
def list_service_revisions(
    project: str, service_name: Name, ctx: Ctx, access: Reader, paging: PagingQuery
) -> Page[Revision]:
    """What was deployed, newest first."""
    with ctx.db.read() as session:
        return service.revision_page(session, project, service_name, paging)


@router.get("/projects/{project}/services/{service}/stats")
def service_stats(project: str, service_name: Name, ctx: Ctx, access: Reader) -> Stats:
    """What the gateway counted in the last hour, by revision."""
    with ctx.db.read() as session:
        return service.stats(session, project, service_name)


@router.get("/projects/{project}/services/{service}/drift")
async def service_drift(
    project: str,
    service_name: Name,
    ctx: Ctx,
    access: Reader,
    revision: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
) -> Drift:
    """How far the inputs of the requests that were kept are from what the model was trained on."""
    return await drift.look(ctx, project, service_name, revision)


@router.put("/projects/{project}/services/{service}/traffic")
def set_service_traffic(
    project: str, service_name: Name, body: Shares, ctx: Ctx, access: Writer, if_match: IfMatch, response: Response
) -> Service:
    """Give running revisions their shares of the traffic; one that gets all of it is current from now on."""
    with ctx.db.write() as session:
        found = moving.set_traffic(session, parts_of(ctx), access, project, service_name, if_match, body.shares)
    return _changed(ctx, response, found)


@router.post("/projects/{project}/services/{service}/rollback")
def roll_back_service(
    project: str, service_name: Name, body: Way, ctx: Ctx, access: Writer, response: Response
) -> Service:
    """Away from a trial, or back to an earlier revision."""
    with ctx.db.write() as session:
        found = moving.roll_back(session, parts_of(ctx), access, project, service_name, body.revision)
    return _changed(ctx, response, found)


@router.put("/projects/{project}/services/{service}/replicas")
def scale_service(
    project: str, service_name: Name, body: Scaling, ctx: Ctx, access: Writer, if_match: IfMatch, response: Response
) -> Service:
    """Change the least and the most replicas of what runs."""
    with ctx.db.write() as session:
        found = service.scale(
            session, parts_of(ctx), access, project, service_name, if_match, body.minimum, body.maximum
        )
    return _changed(ctx, response, found)


@router.get("/projects/{project}/services/{service}/replicas")
def list_replicas(project: str, service_name: Name, ctx: Ctx, access: Reader) -> Page[Replica]:
    """The replicas, newest first; those that ended stay for an hour."""
    with ctx.db.read() as session:
        return Page(items=service.replicas(session, project, service_name))


@router.get("/projects/{project}/services/{service}/usage")
async def service_usage(project: str, service_name: Name, ctx: Ctx, access: Reader) -> Page[ReplicaUse]:
    """What the service's running replicas use now: processor, memory and, where known, accelerators."""
    return Page(items=await usage.of_service(ctx, project, service_name))


@router.get(
    "/projects/{project}/services/{service}/replicas/{replica}/logs", response_class=Response, responses=LIMITED
)
async def replica_logs(
    project: str,
    service_name: Name,
    replica: Id,
    ctx: Ctx,
    access: Reader,
    follow: bool = False,
    offset: Annotated[int, Query(ge=0, le=2**62)] = 0,
) -> Response:
    """What a replica wrote, from `offset`; `follow` goes on until it has ended."""
    attempt = await asyncio.to_thread(_replica, ctx, project, service_name, replica)
    stream = LogReader(ctx, attempt, "main-0", offset, follow, lambda: attempt).stream()
    headers = {"Content-Security-Policy": "sandbox; default-src 'none'", "X-Content-Type-Options": "nosniff"}
    response = StreamingResponse(stream, media_type="text/plain; charset=utf-8", headers=headers)
    return ctx.streams.held(access.actor.name, response) if follow else response


def _replica(ctx: Context, project: str, name: str, replica: str) -> Attempt:
    with ctx.db.read() as session:
        row = service.find(session, project, name)
        found = attempts.get_attempt(session, replica)
    if found is None or found.subject != row.id:
        raise NotFound(f"The service {name!r} has no replica {replica!r}.", code="no_replica")
    return found


@router.post("/projects/{project}/services/{service}/stop")
def stop_service(project: str, service_name: Name, ctx: Ctx, access: Writer, response: Response) -> Service:
    """End all replicas; the service can be started again."""
    with ctx.db.write() as session:
        found = service.stop(session, parts_of(ctx), access, project, service_name)
    return _changed(ctx, response, found)


@router.post("/projects/{project}/services/{service}/start")
def start_service(project: str, service_name: Name, ctx: Ctx, access: Writer, response: Response) -> Service:
    """Run a stopped service again with what served last, or wake one that sleeps."""
    with ctx.db.write() as session:
        found = service.start(session, parts_of(ctx), access, project, service_name)
    return _changed(ctx, response, found)


@router.post("/projects/{project}/service-keys", status_code=201)
def create_service_key(project: str, body: NewKey, ctx: Ctx, access: Writer) -> NewServiceKey:
    """Make a key with which services are called; its secret is shown this once."""
    expires: datetime | None = body.expires_at
    with ctx.db.write() as session:
        made = keys.create(session, access.actor, project, body.name, body.services, expires)
    ctx.get(Services).poke()
    return made


@router.get("/projects/{project}/service-keys")
def list_service_keys(project: str, ctx: Ctx, access: Reader, paging: PagingQuery) -> Page[ServiceKey]:
    """The project's keys, without their secrets."""
    with ctx.db.read() as session:
        return keys.page(session, project, paging)


@router.delete("/projects/{project}/service-keys/{key}", status_code=204)
def revoke_service_key(project: str, key: Id, ctx: Ctx, access: Writer) -> None:
    """Make a key worthless."""
    with ctx.db.write() as session:
        keys.revoke(session, access.actor, project, key)
    ctx.get(Services).poke()


@router.get("/gateway/key", dependencies=[Depends(require_gateway)], tags=["gateway"])
def service_key_of_visitor(ctx: Ctx, request: Request) -> Key:
    """The key that the visitor shows: one that was made a moment ago opens services before the routes tell of it."""
    with ctx.db.read() as session:
        return traffic.find_key(session, token_of(request) or "")


@router.post("/gateway/wake", status_code=202, dependencies=[Depends(require_gateway)], tags=["gateway"])
def wake_service(body: Sleeper, ctx: Ctx) -> None:
    """A request waits for a service that sleeps."""
    with ctx.db.write() as session:
        service.wake_up(session, body.service)
    ctx.get(Services).poke()


def _changed(ctx: Context, response: Response, found: Service) -> Service:
    set_etag(response, found.version)
    ctx.get(Services).poke()
    return found
