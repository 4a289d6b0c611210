"""What replicas use now."""

from __future__ import annotations

import asyncio

from atelier_hub.context import Context
from atelier_hub.engine import store as attempts
from atelier_hub.engine.store import Attempt
from atelier_hub.engine.usage import UsageFigures, Usages, figures
from atelier_hub.features.serving import service


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
