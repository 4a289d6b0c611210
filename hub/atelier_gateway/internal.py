"""`/internal/…`: for the control plane alone, which shows the shared secret."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from pydantic import ValidationError

from atelier_core.routing import Routes
from atelier_gateway.errors import Refusal, not_found, reply, reply_json
from atelier_gateway.headers import values
from atelier_gateway.parts import Parts, Stale

SECRET_HEADER = b"x-atelier-gateway"
MOST_ROUTES_BYTES = 64 * 1024**2
MOST_LINES, LINES = 1000, 100


class Internal:
    """Routes in, figures out."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._handlers: dict[tuple[str, bytes], Callable[[Any, Any, Any], Awaitable[None]]] = {
            ("PUT", b"/internal/routes"): self._put_routes,
            ("GET", b"/internal/routes"): self._get_routes,
            ("GET", b"/internal/stats"): self._stats,
            ("GET", b"/internal/metrics"): self._metrics,
            ("GET", b"/internal/log"): self._log,
            ("GET", b"/internal/log/lines"): self._log_lines,
        }

    async def handle(self, path: bytes, scope: Any, receive: Any, send: Any) -> None:
        """Answer, if the secret is right; whoever does not know it learns nothing."""
        shown = values(scope["headers"], SECRET_HEADER)
        if len(shown) != 1 or not hmac.compare_digest(shown[0], self._parts.secret.encode()):
            raise Refusal(401, "This is for the control plane.", code="not_the_control_plane")
        handler = self._handlers.get((scope["method"], path))
        if handler is None:
            raise not_found("such thing inside the gateway")
        await handler(scope, receive, send)

    async def _put_routes(self, scope: Any, receive: Any, send: Any) -> None:
        body = await _read(receive)
        try:
            routes = Routes.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the document"
            raise Refusal(422, f"{where}: {first['msg']}", code="invalid", hint="Send a whole document.") from None
        try:
            await self._parts.change(routes)
        except Stale:
            now = self._parts.table.generation
            await reply_json(send, {**_stale(routes.generation, now), "generation": now}, 409)
            return
        except OSError as error:
            raise Refusal(
                507, f"The routes cannot be saved: {error.strerror}.", code="storage_full", hint="Make room."
            ) from error
        await reply_json(send, {"generation": routes.generation})

    async def _get_routes(self, scope: Any, receive: Any, send: Any) -> None:
        services = {
            name: {
                "sleeping": service.route.sleeping,
                "active": service.load.active,
                "targets": [
                    {
                        "revision": target.revision,
                        "weight": target.weight,
                        "replicas": [
                            {"id": one.id, "url": one.url, "outstanding": one.outstanding, "paused": one.paused}
                            for one in target.replicas
                        ],
                    }
                    for target in service.targets
                ],
            }
            for name, service in self._parts.table.services.items()
        }
        await reply_json(send, {"generation": self._parts.table.generation, "services": services})

    async def _stats(self, scope: Any, receive: Any, send: Any) -> None:
        stats = self._parts.counters.stats(self._parts.table.generation, self._parts.waking.waiting())
        await reply(send, 200, stats.model_dump_json().encode(), [(b"content-type", b"application/json")])

    async def _metrics(self, scope: Any, receive: Any, send: Any) -> None:
        text = self._parts.counters.prometheus(self._parts.waking.waiting())
        await reply(send, 200, text.encode(), [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")])

    async def _log(self, scope: Any, receive: Any, send: Any) -> None:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        service, limit = query.get("service", [""])[0], query.get("limit", [str(LINES)])[0]
        if not service or not limit.isdecimal():
            raise Refusal(422, "Say which service, and how many lines.", code="invalid", hint="?service=P/N&limit=100")
        self._parts.log.flush()
        items = await asyncio.to_thread(self._parts.log.read, service, min(int(limit[:9]), MOST_LINES))
        await reply_json(send, {"items": items})

    async def _log_lines(self, scope: Any, receive: Any, send: Any) -> None:
        """All of it, the oldest first, as it is on the disk: the gateway has better things to do than to read it."""
        service = parse_qs(scope["query_string"].decode("latin-1")).get("service", [""])[0]
        if not service:
            raise Refusal(422, "Say which service.", code="invalid", hint="?service=P/N")
        self._parts.log.flush()
        pieces = self._parts.log.pieces(service)
        await send({"type": "http.response.start", "status": 200, "headers": _JSON_LINES})
        while piece := await asyncio.to_thread(next, pieces, b""):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


_JSON_LINES = [(b"content-type", b"application/x-ndjson")]


def _stale(sent: int, now: int) -> dict[str, str]:
    message = f"These routes are of generation {sent}, and {now} is in force."
    return {"message": message, "code": "stale", "hint": "Send a newer document.", "error": message}


async def _read(receive: Any) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MOST_ROUTES_BYTES:
            raise Refusal(413, "The document is too large.", code="too_large", closes=True)
        if not message.get("more_body", False):
            return bytes(body)
