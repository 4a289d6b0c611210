"""Request bodies on their way into the store."""

from __future__ import annotations

from fastapi import Request

from atelier_core.errors import TooLarge
from atelier_hub.artifacts.store import ArtifactStore, Stored


async def receive(store: ArtifactStore, request: Request, limit: int, what: str) -> Stored:
    """Store the body; one that is larger than `limit` is refused, before it is sent where it says its size."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(what, limit)
    try:
        return await store.put(request.stream(), limit)
    except TooLarge as error:
        raise _too_large(what, limit) from error


def _too_large(what: str, limit: int) -> TooLarge:
    return TooLarge(
        f"{what} is larger than {limit / 1024**3:,.1f} GiB, the most that one output may have here.",
        code="output_too_large",
        hint="Leave out what later steps do not need or divide it; the operator can raise max_output_bytes.",
    )
