"""Websockets to a service: message by message, as fast as the slower side takes them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

import aiohttp
from yarl import URL

from atelier_gateway.errors import Refusal, unavailable
from atelier_gateway.headers import to_upstream_websocket
from atelier_gateway.parts import Parts
from atelier_gateway.replica import CONNECT_SECONDS, Upstream
from atelier_gateway.services import Address, Visit
from atelier_gateway.table import Service, Target, pick

log = logging.getLogger(__name__)
_DATA = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)
MOST_MESSAGE = 64 * 1024**2
_GOING_AWAY, _TOO_BIG, _BROKEN = 1001, 1009, 1011
_MAY_BE_SENT = frozenset({*range(1000, 1004), *range(1007, 1012), *range(3000, 5000)})


class WebSockets:
    """Connects visitors with replicas."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._session: aiohttp.ClientSession | None = None

    async def handle(self, scope: Any, receive: Any, send: Any, address: Address, request_id: bytes) -> None:
        """Serve one websocket. Raises a refusal as long as it was not accepted."""
        await receive()  # websocket.connect
        visit = Visit(self._parts, scope, address, request_id)
        service = await visit.enter_counted()
        service.load.active += 1
        try:
            targets = await visit.targets(service)
            target, upstream, socket = await self._connect(visit, service, targets)
            await _relay(target, upstream, socket, _Visitor(scope, receive, send, request_id, service))
        finally:
            service.load.active -= 1

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()

    async def _connect(
        self, visit: Visit, service: Service, targets: Sequence[Target]
    ) -> tuple[Target, Upstream, aiohttp.ClientWebSocketResponse]:
        tried: set[Upstream] = set()
        while True:
            found = pick(targets, tried)
            if found is None:
                raise unavailable("The service has no replica that could answer now.", code="no_replica")
            target, upstream = found
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return target, upstream, await self._open(visit, service, upstream)
            except aiohttp.WSServerHandshakeError as error:
                raise _refused_by_service(error.status) from error
            except (aiohttp.ClientError, TimeoutError, OSError):
                upstream.failed()
                tried.add(upstream)

    async def _open(self, visit: Visit, service: Service, upstream: Upstream) -> aiohttp.ClientWebSocketResponse:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), middlewares=(_stay,)
            )
        headers = to_upstream_websocket(visit.scope["headers"]) + visit.forwarded()
        url = f"{upstream.url.rstrip('/')}{visit.address.target.decode('latin-1')}"
        return await self._session.ws_connect(
            URL(url, encoded=True),
            headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers],
            protocols=visit.scope.get("subprotocols", ()),
            max_msg_size=min(service.limits.response_bytes, MOST_MESSAGE),
            autoclose=False,
        )


async def _stay(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """A replica that names another address is not followed: the gateway reaches what a service may not."""
    answer = await handler(request)
    if 300 <= answer.status < 400:
        answer.close()
        raise aiohttp.WSServerHandshakeError(
            answer.request_info, answer.history, message="it sends elsewhere", status=answer.status
        )
    return answer


class _Visitor:
    """The visitor's side of a websocket."""

    def __init__(self, scope: Any, receive: Any, send: Any, request_id: bytes, service: Service) -> None:
        self.receive = receive
        self.send = send
        self.limit = service.limits.request_bytes
        self.request_id = request_id
        self.bytes_in = self.bytes_out = 0
        self.farewell = _GOING_AWAY
        """The code with which the service is told that the visitor has gone."""

    async def accept(self, subprotocol: str | None) -> None:
        headers = [(b"x-request-id", self.request_id)]
        await self.send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": headers})

    async def to(self, socket: aiohttp.ClientWebSocketResponse) -> int:
        """Pass on what the visitor says; the code with which it ends."""
        while True:
            message = await self.receive()
            if message["type"] == "websocket.disconnect":
                self.farewell = _sendable(message.get("code"))
                return 1000
            text, data = message.get("text"), message.get("bytes")
            size = len(text) if text is not None else len(data or b"")
            self.bytes_in += size
            if size > self.limit:
                return _TOO_BIG
            if text is not None:
                await socket.send_str(text)
            else:
                await socket.send_bytes(data or b"")

    async def from_(self, socket: aiohttp.ClientWebSocketResponse) -> int:
        """Pass on what the service says; the code with which it ends."""
        while True:
            message = await socket.receive()
            if message.type is aiohttp.WSMsgType.ERROR:
                return _TOO_BIG
            if message.type not in _DATA:
                return _sendable(socket.close_code)
            self.bytes_out += len(message.data)
            key = "text" if message.type is aiohttp.WSMsgType.TEXT else "bytes"
            await self.send({"type": "websocket.send", key: message.data})

    async def end(self, code: int) -> None:
        try:
            await self.send({"type": "websocket.close", "code": code})
        except Exception as error:  # the server's way of saying that the visitor has gone already
            log.debug("the websocket was closed already: %s", error)


async def _relay(
    target: Target, upstream: Upstream, socket: aiohttp.ClientWebSocketResponse, visitor: _Visitor
) -> None:
    started = time.perf_counter()
    target.counter.begin()
    upstream.outstanding += 1
    upstream.succeeded()
    code = _BROKEN
    try:
        await visitor.accept(socket.protocol)
        sides = {asyncio.create_task(visitor.to(socket)), asyncio.create_task(visitor.from_(socket))}
        try:
            done, _left = await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
            code = next((one.result() for one in done if one.exception() is None), _BROKEN)
        finally:
            for side in sides:
                side.cancel()
            await asyncio.gather(*sides, return_exceptions=True)
        await visitor.end(code)
    finally:
        await socket.close(code=visitor.farewell)
        upstream.outstanding -= 1
        target.counter.active -= 1
        target.counter.add(
            time.perf_counter() - started,
            failed=code == _BROKEN,
            bytes_in=visitor.bytes_in,
            bytes_out=visitor.bytes_out,
        )


def _sendable(code: int | None) -> int:
    """Some codes only say how a connection ended, and may not be sent."""
    if code is None or code == 1005:
        return 1000
    return code if code in _MAY_BE_SENT else _BROKEN


def _refused_by_service(status: int) -> Refusal:
    return Refusal(
        status if 400 <= status < 500 else 502,
        f"The service did not accept a websocket (status {status}).",
        code="websocket_refused",
        hint="Check the path: not every address of a service takes websockets.",
    )


async def refuse(scope: Any, send: Any, refusal: Refusal, request_id: bytes) -> None:
    """Turn a websocket away with a status, where the server can."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": refusal.message[:100]})
        return
    body = refusal.body()
    headers = [*refusal.headers(request_id), (b"content-length", str(len(body)).encode())]
    await send({"type": "websocket.http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
