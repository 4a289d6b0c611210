"""Who is let in: a table of strangers, keys, networks, and what lies inside."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.atelier_gateway.gateway import BASE, GatewayProcess, Key, service
from tests.atelier_gateway.upstream import Replica

Serve = Callable[..., str]
OTHER_PROJECT = Key("audio")
OTHER_SERVICE = Key("vision", "elsewhere")
EXPIRED = Key("vision", expires_at=datetime.now(UTC) - timedelta(seconds=1))
UNKNOWN = Key("vision")
KEYS = (OTHER_PROJECT, OTHER_SERVICE, EXPIRED)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Basic YTpi"}, 401),
        (UNKNOWN.bearer, 401),
        (EXPIRED.bearer, 401),
        (OTHER_PROJECT.bearer, 403),
        (OTHER_SERVICE.bearer, 403),
        ({"Cookie": f"token={OTHER_PROJECT.token}; jupyterhub-session-id=x"}, 401),
        ({"X-Forwarded-User": "admin", "X-Atelier-Actor": "admin", "X-Atelier-Gateway": "guess"}, 401),
        ({"Authorization": f"Bearer {'x' * 5000}"}, 401),
    ],
)
def test_strangers_are_refused_and_learn_nothing(
    gateway: GatewayProcess, serve: Serve, replica: Replica, headers: dict[str, str], status: int
) -> None:
    url = serve(service(replica.url), "guarded", KEYS)
    before = replica.state()["served"]
    answer = httpx.get(f"{url}/v2", headers=headers)
    assert answer.status_code == status
    assert set(answer.json()) == {"message", "code", "hint", "error"} and answer.json()["error"]
    assert replica.state()["served"] == before
    missing = httpx.get(f"{url}-missing/v2", headers=headers)
    assert (missing.status_code, missing.json()["code"]) == (status, answer.json()["code"])
    assert missing.text.replace("guarded-missing", "guarded") == answer.text


def test_two_tokens_are_none(serve: Serve, replica: Replica, key: Key) -> None:
    url = serve(service(replica.url))
    headers = [("Authorization", f"Bearer {key.token}"), ("Authorization", "Bearer other")]
    assert httpx.get(url, headers=headers).status_code == 401
    assert httpx.get(url, params={"token": key.token}).status_code == 401


def test_keys_open_what_they_are_for(serve: Serve, replica: Replica) -> None:
    one, later = Key("vision", "mine"), Key("vision", "mine", expires_at=datetime.now(UTC) + timedelta(hours=1))
    url = serve(service(replica.url), "mine", (one, later))
    for key in (one, later):
        assert httpx.get(f"{url}/v2/x", headers=key.bearer).json()["path"] == "/v2/x"
        assert httpx.get(f"{url}/v2/x", headers={"Authorization": f"token {key.token}"}).status_code == 200


def test_public_services_need_no_key(serve: Serve, replica: Replica) -> None:
    url = serve(service(replica.url, public=True))
    assert httpx.get(f"{url}/v2").status_code == 200
    assert httpx.get(f"{url}/v2", headers={"Authorization": "Bearer whatever"}).status_code == 200


@pytest.mark.parametrize(
    ("allow", "forwarded", "status"),
    [
        (["127.0.0.0/8"], "", 200),
        (["10.0.0.0/8"], "", 403),
        (["10.0.0.0/8"], "10.1.2.3", 200),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", 200),
        (["10.0.0.0/8"], "10.1.2.3, 192.168.0.1", 403),  # what the visitor wrote stands before what the proxy did
        (["10.0.0.0/8"], "192.168.0.1, 10.1.2.3", 200),
        (["10.0.0.0/8"], "10.1.2.3, 127.0.0.1", 200),
        (["10.0.0.0/8"], "10.1.2.3, nonsense", 403),
        (["2001:db8::/32"], "2001:db8::7", 200),
        (["2001:db8::/32"], "10.1.2.3", 403),
    ],
)
def test_allowed_networks(
    serve: Serve, replica: Replica, http: httpx.Client, allow: list[str], forwarded: str, status: int
) -> None:
    url = serve(service(replica.url, allow=allow), "networks")
    answer = http.get(url, headers={"X-Forwarded-For": forwarded} if forwarded else {})
    assert answer.status_code == status, answer.text
    if status == 403:
        assert answer.json()["code"] == "address_not_allowed"


def test_a_visitor_cannot_forge_an_address_past_an_untrusted_proxy(
    tmp_path_factory: pytest.TempPathFactory, replica: Replica, key: Key
) -> None:
    alone = GatewayProcess(tmp_path_factory.mktemp("untrusting"), trusted_proxies=["192.0.2.1/32"]).start()
    try:
        alone.put({"vision/x": service(replica.url, allow=["10.0.0.0/8"])}, [key.route])
        answer = httpx.get(f"{alone.url}/s/vision/x/", headers={**key.bearer, "X-Forwarded-For": "10.0.0.1"})
        assert answer.status_code == 403
    finally:
        alone.stop()


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["routes", "stats", "metrics", "log?service=a/b", "other"])
def test_the_inside_needs_the_secret(gateway: GatewayProcess, key: Key, method: str, path: str) -> None:
    for headers in ({}, key.bearer, {"X-Atelier-Gateway": ""}, {"X-Atelier-Gateway": gateway.secret[:-1]}):
        answer = httpx.request(method, f"{gateway.url}/internal/{path}", headers=headers)
        assert answer.status_code == 401 and answer.json()["code"] == "not_the_control_plane"


def raw(gateway: GatewayProcess, request: str) -> str:
    """The status line of what a hand-written request gets."""
    with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2])), timeout=10) as line:
        line.sendall(request.replace("\n", "\r\n").encode())
        return line.recv(65536).decode("latin-1").partition("\r\n")[0]


@pytest.mark.parametrize(
    "path",
    [
        f"{BASE}/internal/stats",
        f"{BASE}/../internal/stats",
        f"{BASE}//internal/stats",
        f"{BASE}/%2e%2e/internal/stats",
        f"{BASE}/s/../internal/stats",
        f"{BASE}{BASE}/internal/stats",
        f"{BASE}/%69nternal/stats",
        "/./internal/stats",
        "//internal/stats",
        "/x/../internal/stats",
    ],
)
def test_the_inside_cannot_be_reached_from_outside(gateway: GatewayProcess, path: str) -> None:
    head = f"Host: x\nX-Atelier-Gateway: {gateway.secret}\nConnection: close\n\n"
    assert raw(gateway, f"GET {path} HTTP/1.1\n{head}").split()[1] in ("404", "401")
    assert raw(gateway, f"GET /internal/stats HTTP/1.1\n{head}").split()[1] == "200"


def test_health_needs_nobody(gateway: GatewayProcess) -> None:
    for path in ("/health", f"{BASE}/health"):
        assert httpx.get(f"{gateway.url}{path}").json()["status"] == "ok"
    assert httpx.get(f"{gateway.url}/nothing").status_code == 404
