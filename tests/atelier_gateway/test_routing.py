"""Where requests go: by weight, header, cookie, to the least busy replica, and past those that are gone."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import aiohttp
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier_core.routing import Replica as ReplicaRoute
from atelier_core.routing import Routes, ServiceRoute
from atelier_core.routing import Target as TargetRoute
from atelier_gateway.counting import Counters
from atelier_gateway.table import Table, pick
from tests.atelier_gateway.gateway import GatewayProcess, Key, service
from tests.atelier_gateway.upstream import Replica

Serve = Callable[..., str]
INFER = "v2/models/m/infer"


def target(revision: int, *urls: str, **options: Any) -> dict[str, Any]:
    replicas = [{"id": f"{revision}-{n}", "url": url} for n, url in enumerate(urls)]
    return {"revision": revision, "replicas": replicas, **options}


def who(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["name"])


# --- weights, as a property of the table ---


def _table(targets: list[TargetRoute]) -> Table:
    table = Table(Counters())
    table.load(Routes(generation=1, services={"p/s": ServiceRoute(targets=tuple(targets))}))
    return table


_WEIGHTS = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 3)), min_size=1, max_size=5)


@given(_WEIGHTS)
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
async def test_shares_follow_the_weights(weights: list[tuple[int, int]]) -> None:
    targets = [
        TargetRoute(
            revision=number,
            weight=weight,
            replicas=tuple(ReplicaRoute(id=str(n), url=f"http://r{number}-{n}:1") for n in range(replicas)),
        )
        for number, (weight, replicas) in enumerate(weights)
    ]
    found = _table(targets).services["p/s"]
    rounds = 2000
    chosen: Counter[int] = Counter()
    for _ in range(rounds):
        picked = pick(found.candidates([]), ())
        if picked is not None:
            chosen[picked[0].revision] += 1
    ready = {number: weight for number, (weight, replicas) in enumerate(weights) if weight and replicas}
    assert set(chosen) <= set(ready), "no share without a weight and a replica"
    assert sum(chosen.values()) == (rounds if ready else 0)
    for number, weight in ready.items():
        share = weight / sum(ready.values())
        assert abs(chosen[number] / rounds - share) < 5 * (share * (1 - share) / rounds) ** 0.5 + 1e-9


@given(st.lists(st.integers(0, 3), min_size=2, max_size=6))
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
async def test_the_least_busy_replica_is_taken(outstanding: list[int]) -> None:
    replicas = tuple(ReplicaRoute(id=str(n), url=f"http://r{n}:1") for n in range(len(outstanding)))
    table = _table([TargetRoute(revision=1, weight=1, replicas=replicas)])
    for upstream, busy in zip(table.upstreams(), outstanding, strict=True):
        upstream.outstanding = busy
    picked = {pick(table.services["p/s"].targets, ())[1].id for _ in range(50)}  # type: ignore[index]
    least = {str(n) for n, busy in enumerate(outstanding) if busy == min(outstanding)}
    assert picked == least


# --- the running gateway ---


def test_header_and_cookie_win_over_weight(serve: Serve, replica: Replica, second: Replica, http: httpx.Client) -> None:
    canary = target(2, second.url, headers={"X-Revision": "new"}, cookies={"revision": "new"})
    url = serve({"targets": [target(1, replica.url, weight=100), canary]})
    assert {who(http.get(url)) for _ in range(20)} == {"first"}
    assert {who(http.get(url, headers={"X-Revision": "new"})) for _ in range(5)} == {"second"}
    assert {who(http.get(url, headers={"X-Revision": "old"})) for _ in range(5)} == {"first"}
    assert who(http.get(url, headers={"Cookie": "a=b; revision=new"})) == "second"
    assert who(http.get(url, headers={"Cookie": "xrevision=new"})) == "first"


def test_a_revision_by_header_only_takes_nothing_else(serve: Serve, replica: Replica, http: httpx.Client) -> None:
    url = serve({"targets": [target(1, replica.url, headers={"x-atelier-revision": "1"})]})
    assert http.get(url).json()["code"] == "no_traffic"
    assert who(http.get(url, headers={"X-Atelier-Revision": "1"})) == "first"


def test_who_asks_for_a_revision_gets_no_other(serve: Serve, replica: Replica, http: httpx.Client) -> None:
    url = serve({"targets": [target(1, replica.url, weight=100), target(2, headers={"x-rev": "2"})]})
    answer = http.get(url, headers={"x-rev": "2"})
    assert (answer.status_code, answer.json()["code"]) == (503, "no_replica") and answer.headers["retry-after"]


def test_mirrored_requests_are_copies(
    gateway: GatewayProcess, serve: Serve, replica: Replica, second: Replica, http: httpx.Client
) -> None:
    url = serve({"targets": [target(1, replica.url, weight=100), target(2, second.url, mirror=100)]}, "mirrored")
    before = second.state()["served"]
    assert {who(http.post(url, content=b"x" * 5000)) for _ in range(20)} == {"first"}
    until = time.monotonic() + 60
    while second.state()["served"] - before < 20 and time.monotonic() < until:
        time.sleep(0.05)
    assert second.state()["served"] - before == 20
    counted = gateway.stats()["services"]["vision/mirrored"]
    assert counted["1"]["requests"] == counted["2"]["requests"] == 20
    assert counted["2"]["bytes_in"] == 20 * 5000


def test_a_mirror_that_fails_or_hangs_is_not_felt(serve: Serve, replica: Replica, http: httpx.Client) -> None:
    dead = target(2, "http://127.0.0.1:9", mirror=100)
    url = serve({"targets": [target(1, replica.url, weight=100), dead]})
    begin = time.monotonic()
    assert [http.get(url).status_code for _ in range(100)] == [200] * 100
    assert time.monotonic() - begin < 5


def test_without_replicas_there_is_a_sentence(serve: Serve, http: httpx.Client) -> None:
    for one in (service(), {"targets": []}, service("http://127.0.0.1:9")):
        answer = http.get(serve(one))
        assert (answer.status_code, answer.json()["code"]) == (503, "no_replica")
        assert answer.headers["retry-after"] and answer.json()["hint"]


def test_refused_connections_are_skipped_and_left_alone(
    gateway: GatewayProcess, serve: Serve, replica: Replica, http: httpx.Client
) -> None:
    url = serve(service("http://127.0.0.1:9", replica.url), "skipping")
    assert [who(http.post(url, content=b"x")) for _ in range(20)] == ["first"] * 20
    counted = gateway.stats()["services"]["vision/skipping"]["1"]
    assert (counted["requests"], counted["errors"]) == (20, 0)


def test_idle_connections_that_the_service_ended_cost_nothing(
    serve: Serve, replica: Replica, http: httpx.Client
) -> None:
    url = serve(service(replica.url))
    for pause in (0, 1.9, 2.0, 2.1, 2.5):  # it ends them after two seconds
        time.sleep(pause)
        assert who(http.post(url, content=b"x")) == "first"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "work", 502), ("GET", "work", 200), ("PUT", "work", 200), ("POST", INFER, 200)],
)
def test_what_may_have_been_done_is_not_done_again(
    serve: Serve, replica: Replica, new_replica: Callable[[str], Replica], method: str, path: str, status: int, key: Key
) -> None:
    """A replica that dies over a request: sent to another one where twice is as once, else said to be unknown."""
    url = serve(service(new_replica("dying").url, replica.url))
    content = b"x" if method == "POST" else None
    found = [
        httpx.request(method, f"{url}/{path}?crash=dying", content=content, headers=key.bearer, timeout=30)
        for _ in range(4)
    ]
    assert sorted({answer.status_code for answer in found}) == sorted({200, status}), [one.text for one in found]
    assert all(one.json()["code"] == "upstream_failed" for one in found if one.status_code == 502)


def test_an_answer_that_breaks_off_breaks_off(
    serve: Serve, new_replica: Callable[[str], Replica], http: httpx.Client
) -> None:
    url = serve(service(new_replica("breaking").url))
    with pytest.raises(httpx.RemoteProtocolError), http.stream("GET", f"{url}/crash?begin=1") as answer:
        answer.read()


class Load:
    """Many visitors at once, until told to stop; every answer is counted."""

    def __init__(self, url: str, key: Key, visitors: int = 8) -> None:
        self.url, self.key, self.visitors = url, key, visitors
        self.statuses: Counter[int | str] = Counter()
        self.names: Counter[str] = Counter()

    async def __aenter__(self) -> Load:
        self._session = aiohttp.ClientSession(headers=self.key.bearer)
        self._running = True
        self._tasks = [asyncio.create_task(self._visit()) for _ in range(self.visitors)]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._running = False
        await asyncio.wait_for(asyncio.gather(*self._tasks), 30)
        await self._session.close()

    async def _visit(self) -> None:
        while self._running:
            try:
                async with self._session.post(self.url, data=b"x" * 500) as answer:
                    self.statuses[answer.status] += 1
                    if answer.status == 200:
                        self.names[(await answer.json(content_type=None))["name"]] += 1
            except aiohttp.ClientError as error:
                self.statuses[type(error).__name__] += 1


async def test_killed_replicas_lose_no_request(serve: Serve, new_replica: Callable[[str], Replica], key: Key) -> None:
    replicas = [await asyncio.to_thread(new_replica, name) for name in ("a", "b")]
    url = serve(service(*(one.url for one in replicas)))
    async with Load(f"{url}/{INFER}?delay=0.005", key) as load:
        for victim in (replicas[0], replicas[1], replicas[0]):
            await asyncio.sleep(0.8)
            victim.kill()
            await asyncio.sleep(0.8)
            await asyncio.to_thread(victim.start)
            await asyncio.sleep(0.8)  # until it is tried again
    assert set(load.statuses) == {200}, load.statuses
    assert load.statuses[200] > 100 and set(load.names) == {"a", "b"}


async def test_a_rolling_update_loses_no_request(
    gateway: GatewayProcess, serve: Serve, new_replica: Callable[[str], Replica], key: Key
) -> None:
    """As the control plane does it: the new one is in the routes, then the old one is out, then it is ended."""
    old = await asyncio.to_thread(new_replica, "old0")
    url = serve(service(old.url), "rolling")
    async with Load(f"{url}/work?delay=0.02", key) as load:
        for number in range(3):
            new = await asyncio.to_thread(new_replica, f"new{number}")
            both = [target(number, old.url, weight=50), target(number + 1, new.url, weight=50)]
            await asyncio.to_thread(serve, {"targets": both}, "rolling")
            await asyncio.sleep(0.3)
            await asyncio.to_thread(serve, {"targets": [target(number + 1, new.url, weight=100)]}, "rolling")
            await asyncio.to_thread(old.stop)  # what it has begun, it finishes
            old = new
    assert set(load.statuses) == {200}, load.statuses
    assert set(load.names) == {"old0", "new0", "new1", "new2"}
