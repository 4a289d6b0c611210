"""The application. What is asked thousands of times a second goes past the framework, the rest is Starlette's."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from atelier_serve import body, v1
from atelier_serve.errors import Refused, internal, loading
from atelier_serve.routes import application
from atelier_serve.served import Served
from atelier_serve.state import State

log = logging.getLogger(__name__)
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_JSON = (b"content-type", b"application/json")
_BINARY = (b"content-type", b"application/octet-stream")
_CLOSE = (b"connection", b"close")


class App:
    """The ASGI application of one model."""

    def __init__(self, state: State) -> None:
        self._state = state
        model = f"/v2/models/{state.name}"
        self._infer_paths = {f"{model}/infer", f"{model}/versions/{state.version}/infer"}
        self._predict_path = f"/v1/models/{state.name}:predict"
        self._rest = application(state)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            path = scope["path"]
            if path in self._infer_paths:
                return await self._infer(scope, receive, send, Served.answer)
            if path == self._predict_path:
                return await self._infer(scope, receive, send, v1.answer)
        return await self._rest(scope, receive, send)

    async def _infer(self, scope: Scope, receive: Receive, send: Send, compute: Callable[..., Any]) -> None:
        state, start = self._state, time.perf_counter()
        state.metrics.active += 1
        close, header_length = state.stopping, None
        try:
            status, answer, header_length = 200, *await self._answer(scope, receive, compute)
        except Refused as error:
            status, answer = error.status, orjson.dumps(error.document())
            close = close or status in (408, 413)
        except Exception:
            log.exception("An inference request failed.")
            status, answer = 500, orjson.dumps(internal().document())
        finally:
            state.metrics.active -= 1
        state.metrics.add(status, time.perf_counter() - start)
        await _send(send, status, answer, header_length, close)

    async def _answer(self, scope: Scope, receive: Receive, compute: Callable[..., Any]) -> tuple[bytes, int | None]:
        state = self._state
        # Read first: an answer before the end of a request would break the connection.
        raw, header_length = await body.read(scope, receive, state.max_bytes)
        if state.served is None or state.lanes is None:
            raise loading()
        served = state.served
        found: tuple[bytes, int | None] = await state.lanes.run(lambda: compute(served, raw, header_length), len(raw))
        return found


async def _send(send: Send, status: int, answer: bytes, header_length: int | None, close: bool) -> None:
    headers = [_JSON if header_length is None else _BINARY, (b"content-length", b"%d" % len(answer))]
    if header_length is not None:
        headers.append((b"inference-header-content-length", b"%d" % header_length))
    if close:
        headers.append(_CLOSE)
    if status == 503:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
