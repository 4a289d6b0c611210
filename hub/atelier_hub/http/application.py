"""The FastAPI application: all features' routes under one prefix, every one with a declared scope."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import BaseRoute, Router

from atelier_hub import features
from atelier_hub.auth import Access, Role, check_routes, public, require
from atelier_hub.context import Context, Ctx
from atelier_hub.http import errors
from atelier_hub.http.limits import BodyLimit

log = logging.getLogger(__name__)
VERSION = "0.1.0"
STOP_SECONDS = 20.0
FIRST_WAIT, LONGEST_WAIT = 0.2, 30.0
router = APIRouter(tags=["platform"])


class Health(BaseModel):
    """Whether the control plane answers."""

    version: str
    status: str


class Me(BaseModel):
    """Who you are here."""

    name: str
    kind: str
    admin: bool
    groups: list[str]
    projects: dict[str, Role]


@router.get("/health", dependencies=[Depends(public)])
def health() -> Health:
    """Whether the control plane answers."""
    return Health(version=VERSION, status="ok")


@router.get("/me")
def me(ctx: Ctx, access: Annotated[Access, Depends(require("signed-in"))]) -> Me:
    """Who you are, and your projects with your role in each."""
    actor = access.actor
    with ctx.db.read() as session:
        roles = ctx.auth.roles.roles(session, actor)
    return Me(name=actor.name, kind=actor.kind, admin=actor.admin, groups=sorted(actor.groups), projects=roles)


def routers() -> list[APIRouter]:
    """The routers of the platform itself and of every feature."""
    from atelier_hub.feed import router as feed_router

    return [router, feed_router, *(module.router for module in features.modules("routes"))]


def routes() -> list[BaseRoute]:
    """Every route of the control plane, by its path below the prefix."""
    return [route for one in routers() for route in one.routes]


def operation_id(route: APIRoute) -> str:
    """What generated clients call an operation: the function's name, of which there is one in all features."""
    return route.name


def create(context: Context) -> FastAPI:
    """The application around `context`; fails if a route does not say who may call it."""
    for module in features.modules("startup"):
        module.setup(context)
    app = FastAPI(
        title="Atelier",
        version=VERSION,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.context = context
    checked = routes()
    check_routes(checked)
    # What the routers made: to include a router analyses its routes anew, which is a third of a start.
    app.mount(f"{context.settings.base_path}/api", Router(checked, redirect_slashes=False))
    errors.install(app)
    app.add_middleware(BodyLimit)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    context: Context = app.state.context
    await context.feed.start()
    tasks = [asyncio.create_task(_keep_running(name, run), name=name) for name, run in context.tasks.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            _done, left = await asyncio.wait(tasks, timeout=STOP_SECONDS)
            for task in left:
                log.error("background task %s did not stop within %g s", task.get_name(), STOP_SECONDS)
        await context.feed.stop()


async def _keep_running(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """A background task that fails is a bug; it is logged, and the work goes on."""
    wait, loop = FIRST_WAIT, asyncio.get_running_loop()
    while True:
        since = loop.time()
        try:
            return await run()
        except Exception:
            if loop.time() - since > LONGEST_WAIT:  # it went well for long: this is another failure
                wait = FIRST_WAIT
            log.exception("background task %s failed; again in %.1f s", name, wait)
        await asyncio.sleep(wait)
        wait = min(wait * 2, LONGEST_WAIT)
