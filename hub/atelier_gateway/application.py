"""The gateway as an ASGI application: who answers what, and what is said when nobody does."""

from __future__ import annotations

import logging
from typing import Any

from atelier_gateway import batch, headers, services
from atelier_gateway.connection import UpstreamError
from atelier_gateway.errors import Refusal, VisitorGone, answer, not_found, reply_json
from atelier_gateway.internal import Internal
from atelier_gateway.mlflow import MLflow
from atelier_gateway.parts import Parts
from atelier_gateway.websocket import WebSockets, refuse

log = logging.getLogger(__name__)


class Gateway:
    """Paths count with and without `base_path`; what is internal only without it, so never through the hub's proxy."""

    def __init__(self, parts: Parts, base_path: str, *, mlflow: bool) -> None:
        self.parts = parts
        self._base = base_path.rstrip("/").encode()
        self._internal = Internal(parts)
        self._websockets = WebSockets(parts)
        self._mlflow = MLflow(parts.control_plane) if mlflow else None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request or websocket."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)

    async def close(self) -> None:
        """Let go of everything."""
        await self._websockets.close()
        await self.parts.close()

    async def _http(self, scope: Any, receive: Any, send: Any) -> None:
        request_id = headers.request_id(scope["headers"])
        started = Started(send)
        try:
            await self._dispatch(scope, receive, started, request_id)
        except Refusal as refusal:
            if started.begun:
                log.warning("an answer broke off: %s", refusal.message)
            else:
                await answer(
                    send, refusal, request_id, head=scope["method"] == "HEAD", close=_has_body(scope["headers"])
                )
        except UpstreamError as error:
            log.warning("an answer broke off: %s", error)
        except VisitorGone:
            return
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            if not started.begun:
                await answer(send, _internal_error(), request_id)

    async def _dispatch(self, scope: Any, receive: Any, send: Any, request_id: bytes) -> None:
        path, public = self._path(scope)
        if path.startswith(b"/s/"):
            address = services.parse(path, scope["query_string"], self._base if public else b"")
            visit = services.Visit(self.parts, scope, address, request_id)
            await visit.answer(receive, send)
        elif path.startswith(b"/batch/"):
            await batch.answer(self.parts, scope, receive, send, path, request_id)
        elif path == b"/health":
            await reply_json(send, {"status": "ok", "generation": self.parts.table.generation})
        elif self._mlflow is not None and (path == b"/mlflow" or path.startswith(b"/mlflow/")):
            query = scope["query_string"]
            target = (path.removeprefix(b"/mlflow") or b"/") + (b"?" + query if query else b"")
            await self._mlflow.handle(scope, receive, send, target, request_id)
        elif path.startswith(b"/internal/") and not public:
            await self._internal.handle(path, scope, receive, send)
        else:
            raise not_found("such address at the gateway")

    async def _websocket(self, scope: Any, receive: Any, send: Any) -> None:
        path, public = self._path(scope)
        request_id = headers.request_id(scope["headers"])
        try:
            if not path.startswith(b"/s/"):
                raise not_found("websocket at this address")
            address = services.parse(path, scope["query_string"], self._base if public else b"")
            await self._websockets.handle(scope, receive, send, address, request_id)
        except Refusal as refusal:
            await refuse(scope, send, refusal, request_id)

    def _path(self, scope: Any) -> tuple[bytes, bool]:
        """The path as it was sent, without the base; whether it had it. Nothing is decoded or made shorter."""
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        if self._base and raw.startswith(self._base + b"/"):
            return raw[len(self._base) :], True
        return raw, False


class Started:
    """`send`, which knows whether an answer has begun."""

    def __init__(self, send: Any) -> None:
        self._send = send
        self.begun = False

    async def __call__(self, message: Any) -> None:
        """Send."""
        self.begun = True
        await self._send(message)


def _has_body(raw: headers.RawHeaders) -> bool:
    """Whether something may be left to read when a request is refused."""
    lengths = headers.values(raw, b"content-length")
    return bool(headers.values(raw, b"transfer-encoding")) or any(length != b"0" for length in lengths)


def _internal_error() -> Refusal:
    return Refusal(
        500,
        "Something went wrong inside the gateway.",
        code="internal",
        hint="Try again; the gateway's log says more.",
        closes=True,
    )
