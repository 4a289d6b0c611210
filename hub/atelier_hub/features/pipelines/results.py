"""What a step left: attempts, artifacts, logs and result views."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from atelier_core.errors import AtelierError, NotFound
from atelier_core.states import State
from atelier_hub.context import Context
from atelier_hub.engine import store
from atelier_hub.engine.driver import Driver
from atelier_hub.engine.store import Artifact, Attempt
from atelier_hub.features.pipelines import service

_POLL = 0.3  # seconds between looks at a log that is shipped in pieces


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
    return _Follower(ctx, first, replica, offset, follow, look).stream()


class _Follower:
    """Reads a log from the store as far as it is there, else from the engine; each byte once."""

    def __init__(self, ctx: Context, attempt: Attempt | None, replica: str, offset: int, follow: bool, look) -> None:  # type: ignore[no-untyped-def]
        self._ctx, self._attempt, self._replica = ctx, attempt, replica
        self._at, self._follow, self._look = offset, follow, look
        self._logs = ctx.logs

    async def stream(self) -> AsyncIterator[bytes]:
        """Pieces of the log until it ends (or, without `follow`, until nothing more is there now)."""
        while True:
            over = self._attempt is not None and self._attempt.final
            before = self._at
            async for piece in self._stored():
                yield piece
            if self._at == before:
                async for piece in self._live():
                    yield piece
            if over or not self._follow:
                if self._at == before or not self._follow:
                    return
                continue
            await asyncio.sleep(_POLL)
            self._attempt = await asyncio.to_thread(self._again)

    def _again(self) -> Attempt | None:
        if self._attempt is None:
            return self._look()  # type: ignore[no-any-return]
        with self._ctx.db.read() as session:
            return store.get_attempt(session, self._attempt.id)

    async def _stored(self) -> AsyncIterator[bytes]:
        if self._attempt is None:
            return
        found = self._logs.read(self._attempt.id, self._replica, self._at)
        while True:
            piece = await asyncio.to_thread(next, found, b"")
            if not piece:
                return
            self._at += len(piece)
            yield piece

    async def _live(self) -> AsyncIterator[bytes]:
        attempt, driver = self._attempt, self._ctx.get(Driver)
        if attempt is None or attempt.cleaned or attempt.state is State.QUEUED or not driver.is_open(attempt.backend):
            return
        if await asyncio.to_thread(self._logs.end, attempt.id, self._replica):
            return  # it is shipped in pieces
        place = 0
        with suppress(AtelierError):
            async for data in driver.backends[attempt.backend].logs(attempt.handle, self._replica, self._follow):
                fresh = data[max(0, self._at - place) :]
                place += len(data)
                if fresh:
                    self._at += len(fresh)
                    yield fresh
