"""What passes the gateway, and what does not: headers, bodies, streams, websockets."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import httpx
import pytest

from tests.atelier_gateway.gateway import BASE, GatewayProcess, Key, service
from tests.atelier_gateway.upstream import PIECE, Replica

Serve = Callable[..., str]
BIG = 200 * 1024**2
ROOMY = {"request_bytes": 2**40, "response_bytes": 2**40}


def seen(answer: httpx.Response) -> dict[str, list[str]]:
    """The headers that reached the service."""
    found: dict[str, list[str]] = {}
    for name, value in answer.json()["headers"]:
        found.setdefault(name, []).append(value)
    return found


def test_path_query_and_body_arrive_as_they_were(serve: Serve, replica: Replica, http: httpx.Client) -> None:
    url = serve(service(replica.url))
    answer = http.post(f"{url}/v2/a%2Fb/../c%20d?x=%41&x=2", content=b"abc")
    body = answer.json()
    assert body["method"] == "POST" and body["query"] == "x=%41&x=2" and body["bytes"] == 3
    assert http.get(url).json()["path"] == "/"
    base = url.replace("/s/", f"{BASE}/s/")
    assert http.get(f"{base}/v2/a%2Fb").json()["path"] == "/v2/a%2Fb"


def test_nothing_of_the_platform_reaches_a_service(serve: Serve, replica: Replica, key: Key) -> None:
    url = serve(service(replica.url))
    sent = {
        **key.bearer, "Cookie": "jupyterhub-session-id=x; mine=1", "X-Atelier-Gateway": "x", "X-Atelier-Project": "y",
        "X_Atelier_Gateway": "x", "Forwarded": "for=1.2.3.4", "X-Forwarded-For": "1.2.3.4", "X-Real-IP": "1.2.3.4",
        "Connection": "close, X-Secret-Hop", "X-Secret-Hop": "x", "Proxy-Authorization": "x", "TE": "trailers",
        "X-Own": "stays", "Content-Type": "application/json", "X-MLFLOW-WORKSPACE": "other",
    }  # fmt: skip
    found = seen(httpx.get(f"{url}/v2", headers=sent))
    assert found["x-own"] == ["stays"] and found["content-type"] == ["application/json"]
    assert found["x-forwarded-for"] == ["1.2.3.4"] and found["host"] == [replica.url.removeprefix("http://")]
    assert found["x-forwarded-prefix"] == ["/s/" + url.partition("/s/")[2]]
    gone = {name.lower().replace("_", "-") for name in sent} - {"x-own", "content-type", "x-forwarded-for"}
    assert not gone & {name.replace("_", "-") for name in found}
    assert key.token not in str(found)


def test_nothing_for_the_hubs_origin_comes_from_a_service(serve: Serve, replica: Replica, http: httpx.Client) -> None:
    answer = http.get(f"{serve(service(replica.url))}/cookies")
    assert answer.headers["x-own"] == "stays" and answer.text.startswith("<script>")
    assert not {"set-cookie", "clear-site-data", "x-hop", "x-atelier-gateway"} & set(answer.headers)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox") and "same-origin" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_request_ids(serve: Serve, replica: Replica, http: httpx.Client) -> None:
    url = serve(service(replica.url))
    answer = http.get(url, headers={"X-Request-Id": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1" and seen(answer)["x-request-id"] == ["mine-1"]
    bad = http.get(url, headers={"X-Request-Id": "no spaces, please"})
    assert bad.headers["x-request-id"] == seen(bad)["x-request-id"][0] != "no spaces, please"
    assert httpx.get(url).headers["x-request-id"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PURGE"])
def test_methods(serve: Serve, replica: Replica, http: httpx.Client, method: str) -> None:
    url = serve(service(replica.url), "methods")
    for _ in range(3):  # on the same connections
        answer = http.request(method, url)
        assert answer.status_code == 200
        if method == "HEAD":
            assert answer.content == b"" and int(answer.headers["content-length"]) > 0
        else:
            assert answer.json()["method"] == method


@pytest.mark.parametrize("status", [200, 204, 304, 400, 404, 418, 500, 503])
def test_statuses(serve: Serve, replica: Replica, http: httpx.Client, status: int) -> None:
    url = serve(service(replica.url), "statuses")
    for _ in range(2):
        answer = http.get(f"{url}/?status={status}")
        assert answer.status_code == status and bool(answer.content) == (status not in (204, 304))


SMUGGLED = [
    "Content-Length: 4\nTransfer-Encoding: chunked\n",
    "Content-Length: 4\nContent-Length: 5\n",
    "Transfer-Encoding: chunked, identity\n",
    "Transfer-Encoding: xchunked\n",
    "Content-Length: +4\n",
    "Content-Length: 4\nTransfer_Encoding: chunked\n",
    "X-Evil: a\rContent-Length: 50\nContent-Length: 4\n",
    "Transfer-Encoding : chunked\n",
    " Transfer-Encoding: chunked\nContent-Length: 4\n",
]


@pytest.mark.parametrize("headers", SMUGGLED)
def test_a_request_cannot_hide_another(
    gateway: GatewayProcess, serve: Serve, replica: Replica, key: Key, headers: str
) -> None:
    url = serve(service(replica.url), "smuggling")
    path = url.removeprefix(gateway.url)
    before = replica.state()["served"]
    hidden = f"0\n\nGET {path}/smuggled HTTP/1.1\nHost: x\nX-Own: hidden\n\n"
    head = f"POST {path}/outer HTTP/1.1\nHost: x\nAuthorization: Bearer {key.token}\nConnection: close\n{headers}\n"
    with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2])), timeout=10) as line:
        line.sendall((head + hidden).replace("\n", "\r\n").encode())
        answer = _all(line)
    assert b"/smuggled" not in answer
    assert answer.count(b"HTTP/1.1 ") <= 1, answer
    assert replica.state()["served"] - before <= 1


def _all(line: socket.socket) -> bytes:
    found = b""
    try:
        while piece := line.recv(65536):
            found += piece
    except ConnectionResetError:
        pass
    return found


def pieces(total: int) -> Iterator[bytes]:
    for _ in range(total // len(PIECE)):
        yield PIECE


def test_200_mb_both_ways_in_bounded_memory(
    gateway: GatewayProcess, serve: Serve, replica: Replica, http: httpx.Client
) -> None:
    url = serve(service(replica.url, limits=ROOMY))
    http.get(url)
    before = gateway.memory()
    digest = hashlib.sha256()
    for piece in pieces(BIG):
        digest.update(piece)
    answer = http.put(f"{url}/upload", content=pieces(BIG), timeout=120)
    assert answer.json()["bytes"] == BIG and answer.json()["sha256"] == digest.hexdigest()
    assert seen(answer)["transfer-encoding"] == ["chunked"]
    for options in ("", "&chunked=1"):
        received = hashlib.sha256()
        with http.stream("GET", f"{url}/download?bytes={BIG}{options}", timeout=120) as stream:
            for piece in stream.iter_raw():
                received.update(piece)
        assert received.hexdigest() == digest.hexdigest()
    assert gateway.memory() - before < 24 * 1024**2


def wait_closed(replica: Replica) -> None:
    """Until the service has been told that nobody waits any more."""
    until = time.monotonic() + 10
    while replica.state()["open"] and time.monotonic() < until:
        time.sleep(0.05)
    assert replica.state()["open"] == 0


def test_slow_readers_fill_nobodys_memory(
    gateway: GatewayProcess, serve: Serve, replica: Replica, http: httpx.Client
) -> None:
    url = serve(service(replica.url, limits=ROOMY))
    http.get(url)
    before = gateway.memory()
    with http.stream("GET", f"{url}/download?bytes={BIG}") as slow:
        first = next(slow.iter_raw())
        time.sleep(1.5)
        assert gateway.memory() - before < 16 * 1024**2 and first
        begin = time.monotonic()
        assert http.get(f"{url}/v2").status_code == 200
        assert time.monotonic() - begin < 10
    wait_closed(replica)


def test_slow_writers_are_waited_for_and_then_not(
    gateway: GatewayProcess, serve: Serve, replica: Replica, key: Key
) -> None:
    url = serve(service(replica.url, limits={"timeout": 4.0}))
    path = url.removeprefix(gateway.url)
    with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2])), timeout=10) as line:
        head = f"POST {path}/v2 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key.token}\r\nContent-Length: 8\r\n\r\n"
        line.sendall(head.encode())
        for _ in range(3):
            time.sleep(1.5)  # slower than the timeout in all, but always moving
            line.sendall(b"ab")
        time.sleep(0.3)
        line.settimeout(0.1)
        with pytest.raises(TimeoutError):
            line.recv(1)
        line.settimeout(10)
        assert b"408" in line.recv(65536).partition(b"\r\n")[0]


def test_events_come_one_by_one(serve: Serve, replica: Replica, http: httpx.Client) -> None:
    url = serve(service(replica.url))
    begin = time.monotonic()
    with http.stream("GET", f"{url}/events?count=5&every=0.3") as stream:
        times = [time.monotonic() - begin for line in stream.iter_lines() if line.startswith("data:")]
    assert len(times) == 5 and times[-1] - times[0] > 0.9


async def test_request_and_answer_flow_at_the_same_time(serve: Serve, replica: Replica, key: Key) -> None:
    url = serve(service(replica.url))
    turns: asyncio.Queue[bytes] = asyncio.Queue()

    async def body() -> Any:
        for number in range(5):
            yield await turns.get() if number else b"0"

    async with (
        aiohttp.ClientSession(headers=key.bearer) as session,
        session.post(f"{url}/duplex", data=body()) as answer,
    ):
        for number in range(5):
            piece = await asyncio.wait_for(answer.content.readany(), 5)
            assert piece == b"%d" % number
            turns.put_nowait(b"%d" % (number + 1))


def test_an_answer_before_the_request_was_read(serve: Serve, replica: Replica, http: httpx.Client) -> None:
    url = serve(service(replica.url, limits=ROOMY))
    for _ in range(3):
        answer = http.post(f"{url}/early", content=b"x" * 50_000)
        assert (answer.status_code, answer.text) == (422, "no")


def test_limits_of_size(serve: Serve, replica: Replica, http: httpx.Client) -> None:
    url = serve(service(replica.url, limits={"request_bytes": 100_000, "response_bytes": 100_000}))
    assert http.post(url, content=b"x" * 100_000).status_code == 200
    said = http.post(url, content=b"x" * 100_001)
    assert (said.status_code, said.json()["code"]) == (413, "too_large")
    assert httpx_or_reset(lambda: http.post(url, content=pieces(10 * len(PIECE)))) in (413, None)
    assert http.get(f"{url}/download?bytes=100000").status_code == 200
    large = http.get(f"{url}/download?bytes=100001")
    assert (large.status_code, large.json()["code"]) == (502, "response_too_large")
    with pytest.raises(httpx.RemoteProtocolError), http.stream("GET", f"{url}/download?bytes=900000&chunked=1") as one:
        one.read()


def httpx_or_reset(ask: Callable[[], httpx.Response]) -> int | None:
    """The status, or none if the connection ended while the request was still being sent."""
    try:
        return ask().status_code
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        return None


def test_rate_is_per_caller(serve: Serve, replica: Replica, key: Key) -> None:
    other = Key()
    url = serve(service(replica.url, limits={"rate": 0.5, "burst": 3}), keys=(other,))
    statuses = [httpx.get(url, headers=key.bearer).status_code for _ in range(6)]
    assert statuses[:3] == [200] * 3 and statuses.count(429) >= 2
    refused = next(a for a in (httpx.get(url, headers=key.bearer) for _ in range(5)) if a.status_code == 429)
    assert int(refused.headers["retry-after"]) >= 1 and refused.json()["code"] == "rate_limited"
    assert httpx.get(url, headers=other.bearer).status_code == 200
    time.sleep(2.1)
    assert httpx.get(url, headers=key.bearer).status_code == 200


def test_concurrency(serve: Serve, replica: Replica, key: Key) -> None:
    url = serve(service(replica.url, limits={"concurrency": 2}))
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(httpx.get(f"{url}/?delay=4", headers=key.bearer, timeout=60).status_code)

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(statuses) == [200, 200, 429, 429, 429]
    assert httpx.get(url, headers=key.bearer).status_code == 200


def test_a_service_that_does_not_answer_in_time(serve: Serve, replica: Replica, http: httpx.Client) -> None:
    url = serve(service(replica.url, limits={"timeout": 0.4}))
    answer = http.get(f"{url}/?delay=5")
    assert (answer.status_code, answer.json()["code"]) == (504, "upstream_timeout")


def test_a_visitor_who_leaves_ends_the_work(serve: Serve, replica: Replica, key: Key) -> None:
    url = serve(service(replica.url))
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{url}/hang", headers=key.bearer, timeout=httpx.Timeout(30, read=0.8))
    wait_closed(replica)


async def test_websockets(gateway: GatewayProcess, serve: Serve, replica: Replica, key: Key) -> None:
    url = serve(service(replica.url), "sockets").replace("http", "ws", 1)
    async with aiohttp.ClientSession(headers=key.bearer) as session:
        async with session.ws_connect(f"{url}/chat?x=1", protocols=["v1.x", "v2.x"], max_msg_size=0) as socket_:
            assert socket_.protocol == "v1.x"
            hello = json.loads(await socket_.receive_str(timeout=10))
            assert hello["path"] == "/chat" and "authorization" not in hello["headers"]
            await socket_.send_str("gruß")
            assert await socket_.receive_str(timeout=10) == "gruß"
            await socket_.send_bytes(PIECE * 40)
            assert await socket_.receive_bytes(timeout=10) == PIECE * 40
            await socket_.send_str("bye")
            assert (await socket_.receive(timeout=10)).type is aiohttp.WSMsgType.CLOSE and socket_.close_code == 3007
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(f"{url}/refused")
        assert refused.value.status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError) as stranger:
            await session.ws_connect(f"{url}/chat", headers={"Authorization": "Bearer nobody"})
        assert stranger.value.status in (401, 503)
    counted = gateway.stats()["services"]["vision/sockets"]["1"]
    assert counted["requests"] == 1 and counted["bytes_in"] > 40 * len(PIECE) and counted["active"] == 0


async def test_websocket_messages_are_bounded(serve: Serve, replica: Replica, key: Key) -> None:
    url = serve(service(replica.url, limits={"request_bytes": 1000})).replace("http", "ws", 1)
    async with aiohttp.ClientSession(headers=key.bearer) as session, session.ws_connect(f"{url}/chat") as socket_:
        await socket_.receive_str(timeout=10)
        await socket_.send_bytes(b"x" * 1001)
        assert (await socket_.receive(timeout=10)).type is aiohttp.WSMsgType.CLOSE
        assert socket_.close_code == 1009
