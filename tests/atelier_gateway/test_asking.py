"""What the gateway asks the control plane: who somebody is, MLflow's accounts, replicas for those who sleep."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from atelier_gateway import remembered
from atelier_gateway.errors import Refusal
from atelier_gateway.remembered import Remembered
from tests.atelier_gateway.gateway import GatewayProcess, Key, service, until
from tests.atelier_gateway.orders import Orders
from tests.atelier_gateway.upstream import PIECE, Replica

PROJECT = "vision"


@pytest.fixture
def orders() -> Iterator[Orders]:
    running = Orders().start()
    yield running
    running.stop()


@pytest.fixture
def asking(orders: Orders, tmp_path: Path) -> Iterator[GatewayProcess]:
    """A gateway whose control plane is `orders`."""
    running = GatewayProcess(tmp_path, orders.url).start()
    yield running
    running.stop()
    assert "Traceback" not in running.log_file.read_text(), running.log_file.read_text()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# --- who somebody is ---


def _access(question: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    name = question["token"]
    if name == "nobody":
        return 401, {"message": "You are not signed in.", "code": "unauthorized", "hint": "Sign in."}
    if question["project"] != PROJECT:
        return 404, {"message": f"There is no project {question['project']}.", "code": "no_project", "hint": "Check."}
    scopes = ["services:call"] if name != "reader" else ["project:read"]
    return 200, {"actor": name, "project": PROJECT, "scopes": scopes}


def test_answers_are_remembered(orders: Orders, asking: GatewayProcess, replica: Replica) -> None:
    orders.answers["access"] = _access
    asking.put({"vision/a": service(replica.url), "audio/a": service(replica.url)})
    cases = [("ada", "vision", 200), ("nobody", "vision", 401), ("ada", "audio", 404), ("reader", "vision", 403)]
    for token, project, status in cases * 3:
        answer = httpx.get(f"{asking.url}/s/{project}/a/v2", headers=bearer(token))
        assert answer.status_code == status, (token, project, answer.text)
        assert status == 200 or set(answer.json()) == {"message", "code", "hint", "error"}
    assert len(orders.asked) == len(cases)
    assert {question["secret"] for question in orders.asked} == {asking.secret}


def test_many_at_once_ask_once(orders: Orders, asking: GatewayProcess, replica: Replica) -> None:
    def slowly(question: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        time.sleep(0.3)
        return _access(question)

    orders.answers["access"] = slowly
    asking.put({"vision/a": service(replica.url)})
    assert _parallel(lambda: httpx.get(f"{asking.url}/s/vision/a/v2", headers=bearer("ada")), 12) == [200] * 12
    assert len(orders.asked) == 1


def _parallel(ask: Callable[[], httpx.Response], count: int) -> list[int]:
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(ask().status_code)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return sorted(statuses)


def test_without_the_control_plane_keys_and_known_people_go_on(
    orders: Orders, asking: GatewayProcess, replica: Replica, key: Key
) -> None:
    orders.answers["access"] = _access
    asking.put({"vision/a": service(replica.url), "vision/asleep": service(sleeping=True)}, [key.route])
    url = f"{asking.url}/s/vision/a/v2"
    assert httpx.get(url, headers=bearer("ada")).status_code == 200
    orders.stop()
    assert httpx.get(url, headers=key.bearer).status_code == 200
    assert httpx.get(url, headers=bearer("ada")).status_code == 200
    for answer in (
        httpx.get(url, headers=bearer("grace")),
        httpx.get(f"{asking.url}/s/vision/asleep/v2", headers=key.bearer),
        httpx.get(f"{asking.url}/mlflow/api", headers=bearer("ada")),
    ):
        assert (answer.status_code, answer.json()["code"]) == (503, "control_plane_away")
        assert int(answer.headers["retry-after"]) > 0 and answer.json()["hint"]


@pytest.mark.parametrize(
    "answer",
    [(500, {"message": "secret detail"}), (200, {"actor": "x"}), (401, {"code": "not_the_gateway", "message": "x"})],
)
def test_a_control_plane_that_is_not_well(
    orders: Orders, asking: GatewayProcess, replica: Replica, answer: tuple[int, dict[str, Any]]
) -> None:
    orders.answers["access"] = lambda _: answer
    asking.put({"vision/a": service(replica.url)})
    found = httpx.get(f"{asking.url}/s/vision/a/v2", headers=bearer("ada"))
    assert (found.status_code, found.json()["code"]) == (503, "control_plane_away")
    assert "secret" not in found.text


async def test_what_is_remembered_is_bounded_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    now = 1000.0
    monkeypatch.setattr(remembered, "time", SimpleNamespace(monotonic=lambda: now))

    async def ask(token: str, project: str) -> str:
        asked.append(token)
        if token == "bad":
            raise Refusal(401, "No.", code="unauthorized")
        return token.upper()

    known: Remembered[str] = Remembered(ask, positive=45, negative=5, most=3)
    assert [await known.get("a", "p") for _ in range(3)] == ["A"] * 3 and asked == ["a"]
    for _ in range(3):
        with pytest.raises(Refusal):
            await known.get("bad", "p")
    assert asked == ["a", "bad"]
    now += 6
    with pytest.raises(Refusal):
        await known.get("bad", "p")
    assert await known.get("a", "p") == "A" and asked == ["a", "bad", "bad"]
    for token in "bcde":
        await known.get(token, "p")
    assert len(known._known) == 3
    for number in range(10):
        with pytest.raises(Refusal):
            await known.get("bad", str(number))
    assert len(known._refused) == 3 and len(known._known) == 3, "many bad tokens push no good one out"
    now += 46
    assert await known.get("e", "p") == "E" and asked[-1] == "e"


# --- services that sleep ---


def test_requests_wait_while_one_wakes_the_service(
    orders: Orders, asking: GatewayProcess, replica: Replica, key: Key
) -> None:
    orders.answers["wake"] = lambda _: (202, {})
    asking.put({"vision/a": service(sleeping=True)}, [key.route])
    url = f"{asking.url}/s/vision/a/v2"
    statuses: list[int] = []

    def ask() -> None:
        found = _parallel(lambda: httpx.post(url, headers=key.bearer, content=b"x" * 1000, timeout=60), 10)
        statuses.extend(found)

    asked = threading.Thread(target=ask)
    asked.start()
    until = time.monotonic() + 30
    while asking.stats()["waiting"] != {"vision/a": 10}:
        assert time.monotonic() < until, asking.stats()
        time.sleep(0.05)
    questions = [question["body"] for question in orders.questions("wake")]
    asking.put({"vision/a": service(replica.url)}, [key.route])
    asked.join(60)
    assert statuses == [200] * 10 and asking.stats()["waiting"] == {}
    assert {"service": "vision/a"} in questions and len(questions) <= 1 + 30 // 5, "asked once, and now and then again"


def test_a_control_plane_that_dies_after_its_yes_is_waited_for(
    orders: Orders, asking: GatewayProcess, replica: Replica, key: Key
) -> None:
    orders.answers["wake"] = lambda _: (202, {})
    asking.put({"vision/a": service(sleeping=True)}, [key.route])

    def die() -> None:
        until(lambda: orders.questions("wake"))
        orders.stop()

    threading.Thread(target=die).start()
    timer = threading.Timer(6.5, lambda: asking.put({"vision/a": service(replica.url)}, [key.route]))
    timer.start()
    assert httpx.get(f"{asking.url}/s/vision/a/v2", headers=key.bearer, timeout=20).status_code == 200


def test_a_service_that_does_not_wake_up(orders: Orders, asking: GatewayProcess, key: Key) -> None:
    orders.answers["wake"] = lambda _: (202, {})
    asking.put({"vision/a": service(sleeping=True, limits={"timeout": 0.5})}, [key.route])
    answer = httpx.get(f"{asking.url}/s/vision/a/v2", headers=key.bearer)
    assert (answer.status_code, answer.json()["code"]) == (503, "still_asleep") and answer.headers["retry-after"]
    orders.answers["wake"] = lambda _: (404, {"message": "There is no service vision/a.", "code": "not_found"})
    assert httpx.get(f"{asking.url}/s/vision/a/v2", headers=key.bearer).status_code == 404


def test_so_many_wait_and_no_more(orders: Orders, tmp_path: Path, key: Key) -> None:
    orders.answers["wake"] = lambda _: (202, {})
    few = GatewayProcess(tmp_path, orders.url, most_waiting=3).start()
    try:
        few.put({"vision/a": service(sleeping=True, limits={"timeout": 8})}, [key.route])
        url = f"{few.url}/s/vision/a/v2"
        assert _parallel(lambda: httpx.get(url, headers=key.bearer, timeout=60), 8) == [503] * 8
        assert few.stats()["refused"]["vision/a"] == {"still_asleep": 3, "too_many_waiting": 5}
    finally:
        few.stop()


# --- MLflow ---


def _account(url: str, names: dict[str, str] | None = None) -> Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]:
    def answer(question: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if question["token"] == "nobody":
            return 401, {"message": "You are not signed in.", "code": "unauthorized", "hint": "Sign in."}
        project = question["project"] or question["token"]
        account = {"project": project, "url": url, "username": f"{project}-writer", "password": "pass:word"}
        return 200, account | {"actor": f"Zoë of {question['token']}"}

    return answer


def _seen(answer: httpx.Response) -> dict[str, str]:
    return dict(answer.json()["headers"])


def test_mlflow_gets_the_projects_account_and_no_other(
    orders: Orders, asking: GatewayProcess, replica: Replica
) -> None:
    orders.answers["mlflow"] = _account(f"{replica.url}/under")
    url = f"{asking.url}/mlflow/api/2.0/mlflow/runs/search?a=%41"
    sent = {**bearer("ada"), "X-MLFLOW-WORKSPACE": "vision", "Cookie": "a=b", "X-Atelier-Gateway": "x"}
    sent |= {"X-Atelier-Actor": "boss", "X_Atelier_Actor": "boss"}
    answer = httpx.post(url, headers=sent, json={})
    assert (answer.json()["path"], answer.json()["query"]) == ("/under/api/2.0/mlflow/runs/search", "a=%41")
    found = _seen(answer)
    assert base64.b64decode(found["authorization"].removeprefix("Basic ")) == b"vision-writer:pass:word"
    assert found["x-mlflow-workspace"] == "vision"
    assert found.pop("x-atelier-actor") == "Zo%C3%AB%20of%20ada"
    assert "cookie" not in found and "x-atelier-gateway" not in found and not re.search("ada|boss", str(found))
    own = _seen(httpx.get(url, headers=bearer("ada")))
    assert own["x-mlflow-workspace"] == "ada"
    basic = {"Authorization": "Basic " + base64.b64encode(b"admin:admin").decode()}
    assert httpx.get(url, headers=basic).status_code == 401
    assert httpx.get(url, headers=bearer("nobody")).status_code == 401
    twice = httpx.get(url, headers=[*bearer("ada").items(), ("X-MLFLOW-WORKSPACE", "a"), ("X-Mlflow-Workspace", "b")])
    assert twice.status_code == 422
    for _ in range(3):
        httpx.get(url, headers=sent)
    assert len(orders.questions("mlflow")) == 3, "remembered by token and project"


def test_artifacts_of_any_size_pass(orders: Orders, asking: GatewayProcess, replica: Replica) -> None:
    orders.answers["mlflow"] = _account(replica.url)
    url, size = f"{asking.url}/mlflow", 1500 * len(PIECE)
    httpx.get(url, headers=bearer("ada"))
    before = asking.memory()
    digest = hashlib.sha256(PIECE * 1500).hexdigest()
    answer = httpx.put(f"{url}/artifact", headers=bearer("ada"), content=(PIECE for _ in range(1500)), timeout=60)
    assert answer.json()["sha256"] == digest
    received = hashlib.sha256()
    with httpx.stream("GET", f"{url}/download?bytes={size}", headers=bearer("ada"), timeout=60) as stream:
        for piece in stream.iter_raw():
            received.update(piece)
    assert received.hexdigest() == digest
    assert asking.memory() - before < 24 * 1024**2


def test_mlflow_that_is_not_there(orders: Orders, asking: GatewayProcess) -> None:
    orders.answers["mlflow"] = _account("http://127.0.0.1:9")
    answer = httpx.get(f"{asking.url}/mlflow/api", headers=bearer("ada"))
    assert (answer.status_code, answer.json()["code"]) == (503, "mlflow_away")


def test_an_account_that_is_refused_is_asked_for_again(
    orders: Orders, asking: GatewayProcess, replica: Replica
) -> None:
    orders.answers["mlflow"] = _account(replica.url)
    for _ in range(2):
        assert httpx.get(f"{asking.url}/mlflow/?status=401", headers=bearer("ada")).status_code == 401
    assert len(orders.questions("mlflow")) == 2
