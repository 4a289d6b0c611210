"""What replicas use now: for people, and for scaling."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta

from atelier_core.service_view import RevisionView
from atelier_core.states import State
from atelier_hub.context import Context
from atelier_hub.db import now
from atelier_hub.engine import store as attempts
from atelier_hub.engine.store import Attempt
from atelier_hub.engine.usage import AttemptUsage, UsageFigures, Usages, figures
from atelier_hub.features.serving import service
from atelier_hub.features.serving.probing import Asked

log = logging.getLogger(__name__)

_EVERY = 3.0
_OLD = 30.0
_SETTLES = timedelta(seconds=5)  # what a replica used to become ready says nothing about its load


class ReplicaUse(UsageFigures):
    """What one replica of a revision uses now."""

    replica: str
    revision: int


async def of_service(ctx: Context, project: str, name: str) -> list[ReplicaUse]:
    """What the running replicas of a service use."""

    def look() -> list[Attempt]:
        with ctx.db.read() as session:
            return attempts.running_attempts(session, service.find(session, project, name).id)

    running = await asyncio.to_thread(look)
    known = await ctx.get(Usages).of(running)
    return [
        ReplicaUse(replica=one.id, revision=int(one.step.removeprefix("r")), **figures(known[one.id]).model_dump())
        for one in running
    ]


class Busy:
    """How busy the replicas are of those revisions that scale by it; looked at beside the rounds, which never wait."""

    def __init__(self, usages: Usages) -> None:
        self._usages = usages
        self._known: dict[str, AttemptUsage] = {}
        self._task: asyncio.Task[None] | None = None
        self._due = 0.0

    def look(self, revisions: Sequence[RevisionView], running: Mapping[str, Asked]) -> None:
        """Ask anew if it is time to."""
        wanted = [
            running[one.attempt].attempt
            for revision in revisions
            if revision.state is State.RUNNING and revision.definition.scale.cpu is not None
            for one in revision.ready
            if one.attempt in running
        ]
        moment = time.monotonic()
        if wanted and self._task is None and moment >= self._due:
            self._due = moment + _EVERY
            self._task = asyncio.get_running_loop().create_task(self._look(wanted), name="replicas in use")

    def percent(self, revision: RevisionView) -> list[float]:
        """What its replicas use of the processor time that each is given, where that is known."""
        found = []
        for one in revision.ready:
            known = self._known.get(one.attempt)
            settled = one.ready_at is not None and now() - one.ready_at > _SETTLES
            if known is None or known.seen is None or not settled or time.monotonic() - known.seen.moment > _OLD:
                continue
            given = sum(each.cpu_given for each in known.seen.replicas)
            if given:
                found.append(100 * sum(each.cpu for each in known.seen.replicas) / given)
        return found

    async def close(self) -> None:
        """End what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _look(self, wanted: Sequence[Attempt]) -> None:
        try:
            self._known = await self._usages.of(wanted)
        except Exception:
            log.exception("What replicas use could not be found out")
        finally:
            self._task = None
