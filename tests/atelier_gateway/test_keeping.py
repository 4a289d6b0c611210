"""What outlives the process, what it counts, and what it writes down."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from atelier_core.routing import GatewayStats, Routes
from atelier_gateway.request_log import KEPT_SECONDS, RequestLog
from atelier_gateway.routes_file import RoutesFile
from tests.atelier_gateway.gateway import GatewayProcess, Key, service, until
from tests.atelier_gateway.upstream import Replica

Serve = Callable[..., str]


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[GatewayProcess]:
    """A gateway that the test may kill."""
    running = GatewayProcess(tmp_path).start()
    yield running
    running.stop()


def test_killed_it_serves_again_from_disk(alone: GatewayProcess, replica: Replica, key: Key) -> None:
    alone.put({"vision/a": service(replica.url)}, [key.route])
    for _ in range(3):
        alone.kill()
        begin = time.monotonic()
        alone.start()
        answer = httpx.get(f"{alone.url}/s/vision/a/v2", headers=key.bearer)
        assert answer.status_code == 200 and time.monotonic() - begin < 20
    assert alone.stats()["generation"] == 1


def test_killed_while_routes_come_it_has_old_or_new_ones(alone: GatewayProcess, replica: Replica, key: Key) -> None:
    """What is in force after a kill is what was confirmed last, or what was under way."""
    randomly = random.Random(7)
    many = {f"vision/filler{n}": service(replica.url) for n in range(300)}
    alone.put(many, [key.route])
    for _ in range(4):
        confirmed = [alone.generation]

        def push(done: list[int] = confirmed) -> None:
            while True:
                try:
                    alone.put(many, [key.route])
                except httpx.HTTPError:
                    return
                done.append(alone.generation)

        thread = threading.Thread(target=push)
        thread.start()
        time.sleep(randomly.uniform(0.05, 0.4))
        alone.kill()
        thread.join(20)
        alone.start()
        found = alone.stats()["generation"]
        assert found in (confirmed[-1], confirmed[-1] + 1)
        assert not list((alone.folder / "data").glob(".routes.json-*"))
        alone.generation = found


def test_asked_to_stop_it_finishes_what_it_began(alone: GatewayProcess, replica: Replica, key: Key) -> None:
    alone.put({"vision/a": service(replica.url)}, [key.route])
    answers: list[httpx.Response] = []
    ask = threading.Thread(
        target=lambda: answers.append(httpx.get(f"{alone.url}/s/vision/a/v2?delay=1.5", headers=key.bearer, timeout=20))
    )
    ask.start()
    until(lambda: alone.active() == 1)
    assert alone.stop() == 0
    ask.join(20)
    assert [answer.status_code for answer in answers] == [200]


@pytest.mark.parametrize(
    ("traits", "words"),
    [
        ({"secret_file": "/nonexistent/secret"}, "secret"),
        ({"trusted_proxies": ["nonsense"]}, "trusted_proxies"),
        ({"data_dir": "/proc/nothing"}, "data_dir"),
        ({"port": 70000}, "port"),
    ],
)
def test_what_keeps_it_from_starting_is_one_sentence(tmp_path: Path, traits: dict[str, Any], words: str) -> None:
    broken = GatewayProcess(tmp_path, **traits)
    command = [sys.executable, "-m", "atelier_gateway", "--config", str(tmp_path / "gateway.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert broken.process is None and done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert ("cannot start: " in line or "Bad config" in line) and words in line


def test_a_damaged_file_is_put_aside(alone: GatewayProcess, replica: Replica, key: Key) -> None:
    alone.put({"vision/a": service(replica.url)}, [key.route])
    alone.stop()
    (alone.folder / "data/routes.json").write_text('{"generation": 1, "serv')
    alone.start()
    assert httpx.get(f"{alone.url}/s/vision/a/v2", headers=key.bearer).status_code == 401
    assert (alone.folder / "data/routes.damaged").exists()
    alone.put({"vision/a": service(replica.url)}, [key.route])
    assert httpx.get(f"{alone.url}/s/vision/a/v2", headers=key.bearer).status_code == 200


def test_old_and_bad_routes_are_refused(alone: GatewayProcess, replica: Replica, key: Key) -> None:
    alone.put({"vision/a": service(replica.url)}, [key.route], generation=10)
    url, secret = f"{alone.url}/internal/routes", alone.secret_header
    stale = httpx.put(url, json={"generation": 9}, headers=secret)
    assert (stale.status_code, stale.json()["code"], stale.json()["generation"]) == (409, "stale", 10)
    bad: list[Any] = [
        {}, {"generation": "x"}, {"generation": 11, "services": {"a/b": {"targets": [{"revision": 1, "weight": 101}]}}},
        {"generation": 11, "services": {"a/b": {"allow": ["nonsense"]}}},
        {"generation": 11, "services": {"a/b": service("file:///etc/passwd")}},
    ]  # fmt: skip
    for document in bad:
        answer = httpx.put(url, json=document, headers=secret)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), document
    assert httpx.put(url, content=b"{", headers=secret).status_code == 422
    assert httpx.get(f"{alone.url}/s/vision/a/v2", headers=key.bearer).status_code == 200
    assert alone.put({}, generation=10) == {"generation": 10}, "the same generation again is no harm"
    newer = {"generation": 12, "services": {}, "keys": [], "of_a_later_version": {"x": 1}}
    assert httpx.put(url, json=newer, headers=secret).status_code == 200


def test_a_full_disk_leaves_the_old_routes_in_force(tmp_path: Path) -> None:
    class Full(RoutesFile):
        """A file on a full disk."""

        def save(self, routes: Routes) -> None:
            raise OSError(28, "No space left on device")

    file = RoutesFile(tmp_path / "routes.json")
    file.save(Routes(generation=3))
    with pytest.raises(OSError, match="No space"):
        Full(tmp_path / "routes.json").save(Routes(generation=4))
    assert file.load() == Routes(generation=3)


def test_figures(gateway: GatewayProcess, serve: Serve, replica: Replica, http: httpx.Client) -> None:
    url = serve(service(replica.url), "figures")
    for status in (200, 200, 404, 500):
        http.post(f"{url}/?status={status}", content=b"x" * 100)
    http.get(f"{url}/?delay=0.3")
    httpx.get(url)
    stats = GatewayStats.model_validate(gateway.stats())
    counted = stats.services["vision/figures"][1]
    assert (counted.requests, counted.errors, counted.bytes_in, counted.active) == (5, 1, 400, 0)
    assert sum(counted.latency) == 5 and sum(counted.latency[8:]) >= 1 and len(counted.latency) == 15
    assert counted.last_request is not None and counted.last_request >= stats.since
    assert stats.refused["vision/figures"] == {"unauthorized": 1}
    text = httpx.get(f"{gateway.url}/internal/metrics", headers=gateway.secret_header).text
    labels = 'project="vision",service="figures",revision="1"'
    assert f"atelier_gateway_requests_total{{{labels}}} 5" in text
    assert f'atelier_gateway_seconds_bucket{{{labels},le="+Inf"}} 5' in text


def test_requests_under_way_are_seen(gateway: GatewayProcess, serve: Serve, replica: Replica, key: Key) -> None:
    url = serve(service(replica.url), "underway")
    thread = threading.Thread(target=lambda: httpx.get(f"{url}/?delay=3", headers=key.bearer, timeout=30))
    thread.start()
    until(lambda: gateway.stats()["services"]["vision/underway"].get("1", {"active": 0})["active"] == 1)
    thread.join(30)
    assert gateway.stats()["services"]["vision/underway"]["1"]["active"] == 0


def test_the_request_log(gateway: GatewayProcess, serve: Serve, replica: Replica, key: Key) -> None:
    url = serve(service(replica.url, log={"sample": 1, "bodies": True}), "logged")
    httpx.post(f"{url}/v2/x?secret=1", content=b"gr\xc3\xbc\xc3\x9fe", headers={**key.bearer, "X-Request-Id": "one"})
    httpx.post(f"{url}/v2/y?status=500", content=b"\xff\xfe", headers=key.bearer)
    newest, first = gateway.logged("vision/logged")
    assert (first["id"], first["path"], first["status"], first["revision"]) == ("one", "/v2/x", 200, 1)
    assert first["caller"] == f"key:{key.route['id']}" and first["request"]["text"] == "grüße"
    assert json.loads(first["answer"]["text"])["bytes"] == 7
    assert newest["status"] == 500 and newest["request"]["base64"]
    assert key.token not in json.dumps([newest, first])
    assert len(gateway.logged("vision/logged", limit=1)) == 1
    assert gateway.logged("vision/never") == []


def test_a_log_without_bodies_has_none(gateway: GatewayProcess, serve: Serve, replica: Replica, key: Key) -> None:
    url = serve(service(replica.url, log={"sample": 1}), "bodiless")
    httpx.post(f"{url}/v2/x?secret=1", content=b"private", headers=key.bearer)
    (entry,) = gateway.logged("vision/bodiless")
    assert entry["bytes_in"] == 7 and "private" not in json.dumps(entry) and "secret" not in json.dumps(entry)


def test_sampling(gateway: GatewayProcess, serve: Serve, replica: Replica, http: httpx.Client) -> None:
    url = serve(service(replica.url, log={"sample": 0.3}), "sampled")
    for _ in range(200):
        http.get(url)
    assert 25 < len(gateway.logged("vision/sampled", limit=1000)) < 100


def test_the_request_log_is_bounded_and_survives_a_kill(tmp_path: Path) -> None:
    log = RequestLog(tmp_path, most_bytes=10_000)
    for number in range(1000):
        log.write("a/b", {"number": number, "filler": "x" * 100})
    log.flush()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 25_000
    found = RequestLog(tmp_path).read("a/b", 50)
    assert [entry["number"] for entry in found] == list(range(999, 949, -1))
    log.close()
    with next(tmp_path.glob("*.jsonl")).open("ab") as file:
        file.write(b'{"half": ')
    assert RequestLog(tmp_path).read("a/b", 1)[0]["number"] == 999


def test_lines_as_they_are_on_the_disk(gateway: GatewayProcess, serve: Serve, replica: Replica, key: Key) -> None:
    url = serve(service(replica.url, log={"sample": 1, "bodies": True}), "lines")
    length = {"Inference-Header-Content-Length": "3", "Content-Encoding": "identity"}
    for number in range(3):
        httpx.post(f"{url}/v2/{number}", content=b"body", headers=key.bearer | length)
    params = {"service": "vision/lines"}
    answer = httpx.get(f"{gateway.url}/internal/log/lines", params=params, headers=gateway.secret_header)
    entries = [json.loads(line) for line in answer.text.splitlines()]
    assert [entry["path"] for entry in entries] == ["/v2/0", "/v2/1", "/v2/2"]
    request = entries[0]["request"]
    assert (request["text"], request["bytes"]) == ("body", 4)
    assert (request["inference-header-content-length"], request["content-encoding"]) == ("3", "identity")
    assert "authorization" not in answer.text.lower() and key.token not in answer.text
    never = {"service": "vision/never"}
    assert httpx.get(f"{gateway.url}/internal/log/lines", params=never, headers=gateway.secret_header).content == b""
    assert httpx.get(f"{gateway.url}/internal/log/lines", params=params).status_code == 401


def test_no_line_of_the_request_log_is_kept_for_longer_than_a_week(tmp_path: Path) -> None:
    log, start, day = RequestLog(tmp_path), time.time(), 24 * 3600
    for days in range(20):
        now = start + days * day
        log.write("a/b", {"time": now})
        log.flush()
        os.utime(next(tmp_path.glob("*.jsonl")), (now, now))
        log.age(now)
        kept = [json.loads(line)["time"] for line in b"".join(log.pieces("a/b")).splitlines()]
        assert now in kept and min(kept) > now - KEPT_SECONDS - day
    for hours in range(24 * 8):
        log.age(start + 20 * day + hours * 3600)
    assert list(tmp_path.iterdir()) == [], "what nobody adds to goes, too"
