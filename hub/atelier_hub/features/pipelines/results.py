"""What a step left: attempts, artifacts, logs and result views."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from atelier_core.errors import NotFound
from atelier_core.states import State
from atelier_hub.context import Context
from atelier_hub.engine import store
from atelier_hub.engine.reading import LogReader
from atelier_hub.engine.store import Artifact, Attempt
from atelier_hub.engine.usage import UsageFigures, Usages, figures
from atelier_hub.features.pipelines import service


class AttemptBody(BaseModel):
    """One try at a step."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    number: int
    backend: str
    state: State
    reason: str
    message: str
    exit_code: int | None
    replicas: int
    values: dict[str, Any] = {}
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class ArtifactBody(BaseModel):
    """A stored output."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    run: str
    step: str
    attempt: str
    name: str
    type: str
    kind: str
    digest: str
    size: int
    created_at: datetime


class StepUsage(UsageFigures):
    """What a running step uses now, all replicas of its attempt together."""

    step: str
    attempt: int


async def usage(ctx: Context, project: str, run: str) -> list[StepUsage]:
    """What the running steps use, in order of their start."""

    def look() -> list[Attempt]:
        with ctx.db.read() as session:
            service.get_run(session, project, run)
            return store.running_attempts(session, run)

    running = await asyncio.to_thread(look)
    known = await ctx.get(Usages).of(running)
    return [StepUsage(step=one.step, attempt=one.number, **figures(known[one.id]).model_dump()) for one in running]


def attempts(session: Session, run: str, step: str) -> list[AttemptBody]:
    """All attempts at a step, oldest first."""
    return [AttemptBody.model_validate(one) for one in store.attempts_of(session, run, step)]


def artifacts(session: Session, run: str) -> list[ArtifactBody]:
    """What the run's steps left."""
    return [ArtifactBody.model_validate(one) for one in store.artifacts_of(session, run)]


def get_artifact(session: Session, project: str, artifact: str) -> Artifact:
    """One artifact of the project."""
    found = store.get_artifact(session, artifact)
    if found is None or found.project != project:
        raise NotFound(f"There is no artifact {artifact!r} in project {project!r}.")
    return found


def results_artifact(session: Session, run: str, step: str) -> Artifact | None:
    """The stored results folder of the step's last attempt that left one."""
    found = [one for one in store.artifacts_of(session, run, {step}) if one.name == "results"]
    return found[-1] if found else None


async def log_stream(
    ctx: Context, project: str, run: str, step: str, number: int | None, replica: str, offset: int, follow: bool
) -> AsyncIterator[bytes]:
    """The log of one attempt (the last one by default) from `offset`."""

    def look() -> Attempt | None:
        with ctx.db.read() as session:
            service.get_step(session, project, run, step)
            found = store.attempts_of(session, run, step)
        wanted = [one for one in found if number in (None, one.number)]
        if number is not None and not wanted:
            raise NotFound(f"Step {step!r} has no attempt {number}.", hint=f"It has {len(found)}.")
        return wanted[-1] if wanted else None

    first = await asyncio.to_thread(look)
    return LogReader(ctx, first, replica, offset, follow, look).stream()
