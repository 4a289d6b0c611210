"""Visitors and services that mean harm: heads without end, and websockets that lead elsewhere."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import aiohttp
import httpx
import pytest

from tests.atelier_gateway.gateway import GatewayProcess, Key, service
from tests.atelier_gateway.upstream import Replica

Serve = Callable[..., str]
LINE = b"x-more: " + b"y" * 4000 + b"\r\n"
MOST = 100 * 1024**2  # what a sender without end sends before it gives up


def _endlessly(line: socket.socket, piece: bytes) -> int:
    """Send until the other side hangs up; how much it took."""
    sent = 0
    try:
        while sent < MOST:
            line.sendall(piece)
            sent += len(piece)
    except OSError:
        pass
    return sent


@contextmanager
def _raw_service(begin: bytes, piece: bytes = b"") -> Iterator[tuple[str, list[int]]]:
    """Answers each connection with `begin`, then `piece` again and again; its URL, and how much it got rid of."""
    taken: list[int] = []

    def serve() -> None:
        while True:
            try:
                line, _ = listening.accept()
            except OSError:
                return
            with line:
                line.settimeout(20)
                line.recv(65536)
                line.sendall(begin)
                taken.append(_endlessly(line, piece) if piece else 0)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", taken
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(30)


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\n", LINE),
        (b"HTTP/1.1 200 OK\r\nx-one: ", b"y" * 4000),
        (b"", b"HTTP/1.1 103 Early Hints\r\n" + LINE + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", LINE),
    ],
    ids=["headers", "one header", "hints", "trailers"],
)
def test_an_answer_without_end_of_its_head(serve: Serve, http: httpx.Client, begin: bytes, piece: bytes) -> None:
    with _raw_service(begin, piece) as (url, taken):
        try:
            answer = http.post(f"{serve(service(url))}/v2", content=b"x")
            assert (answer.status_code, answer.json()["code"]) == (502, "upstream_failed")
        except httpx.RemoteProtocolError:
            assert b"chunked" in begin  # the answer had begun
    assert taken
    assert max(taken) < 10 * 1024**2


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"GET /health HTTP/1.1\r\nHost: x\r\n", LINE),
        (b"GET /", b"y" * 4000),
        (b"POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"y" * 4000),
    ],
    ids=["headers", "address", "chunk"],
)
def test_a_request_without_end_of_its_head(gateway: GatewayProcess, begin: bytes, piece: bytes) -> None:
    with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2])), timeout=20) as line:
        line.sendall(begin)
        assert _endlessly(line, piece) < 10 * 1024**2
    assert httpx.get(f"{gateway.url}/health").status_code == 200


def test_a_long_head_is_none_without_end(serve: Serve, replica: Replica, http: httpx.Client) -> None:
    answer = http.get(f"{serve(service(replica.url))}/v2?{'q' * 8000}", headers={"X-Long": "y" * 30_000})
    assert answer.status_code == 200


async def test_a_websocket_is_not_led_elsewhere(serve: Serve, key: Key) -> None:
    """What the gateway reaches, a service may not reach through it."""
    with _raw_service(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n") as (secret, asked):
        begin = f"HTTP/1.1 307 Elsewhere\r\nlocation: {secret}/secret\r\ncontent-length: 0\r\n\r\n"
        with _raw_service(begin.encode()) as (url, _):
            address = serve(service(url)).replace("http", "ws", 1)
            async with aiohttp.ClientSession(headers=key.bearer) as session:
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await session.ws_connect(f"{address}/chat")
        assert refused.value.status == 502
        assert asked == []
