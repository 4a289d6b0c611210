"""A limit for bodies, so that nobody fills the memory. Routes that stream to the store count for themselves."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from atelier_core.errors import TooLarge
from atelier_hub.http.errors import answer

JSON_LIMIT = 8 * 1024**2
# Bodies here go to the store piece by piece; the routes count for themselves.
STREAMS = re.compile(
    r"/api/(attempts/[^/]+/(outputs|logs)/|projects/[^/]+/((snapshots|artifacts)(/|$)|uploads/[^/]+$))"
)


class BodyLimit:
    """Refuses bodies over `JSON_LIMIT`, whether they announce their size or not."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what comes in."""
        if scope["type"] != "http" or STREAMS.search(scope["path"]):
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length) > JSON_LIMIT:
            await answer(_too_large())(scope, receive, send)
            return
        await self.app(scope, _counting(receive), send)


def _counting(receive: Receive) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > JSON_LIMIT:
            raise _too_large()
        return message

    return counted


def _too_large() -> TooLarge:
    return TooLarge(
        f"The body is larger than {JSON_LIMIT // 1024**2} MiB.", hint="Upload files as artifacts, not inside requests."
    )
