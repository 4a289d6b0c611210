"""What opens with the token of an attempt: that attempt, while it goes on, and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from atelier_core.states import Reason, State
from atelier_hub.engine.outcome import own_report, seen_as
from atelier_hub.engine.reports import save_report
from atelier_hub.engine.store import get_attempt, mark_clean
from tests.atelier_hub.existing import AWAY, Existing
from tests.atelier_hub.server import Server
from tests.harness.hub import TestHub

USAGE = {"replica": "main-0", "cpu": 0.1, "memory": 1}
ROUTES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "claim", {"json": {"replica": "main-0", "uid": "pod-1"}}),
    ("POST", "started", {"json": {"replica": "main-0"}}),
    ("POST", "usage", {"json": USAGE}),
    ("GET", "code/sha256:" + "0" * 64, {}),
    ("GET", "inputs/data", {}),
    ("PUT", "outputs/model", {"content": b"weights"}),
    ("POST", "logs/main-0", {"content": b""}),
    ("POST", "models", {"json": {}}),
    ("POST", "services", {"json": {}}),
    ("GET", "services/web", {}),
    ("POST", "finished", {"json": {"replica": "main-0", "exit_code": 0}}),
]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server(hub: TestHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tokens")
    server = Server(folder / "data", f"sqlite:///{folder}/atelier.sqlite", hub, **AWAY).start()
    yield server
    server.stop()


def somebody(server: Server, folder: Path) -> Existing:
    """A person with a project of their own in which an attempt goes on."""
    name = f"holder{next(_numbers)}"
    return Existing(server, name, server.hub.add_user(name), folder / name)


@pytest.fixture(scope="module")
def two(server: Server, tmp_path_factory: pytest.TempPathFactory) -> list[Existing]:
    """Two people."""
    folder = tmp_path_factory.mktemp("two")
    return [somebody(server, folder), somebody(server, folder)]


def call(server: Server, existing: Existing, token: str, route: tuple[str, str, dict[str, Any]]) -> httpx.Response:
    method, path, content = route
    with server.client(token) as client:
        return client.request(method, f"/attempts/{existing.names['attempt']}/{path}", **content)


def test_every_route_of_attempts_is_here(server: Server) -> None:
    served = {path.removeprefix("/attempts/{attempt}/").split("/")[0] for path in _paths(server)}
    assert served == {path.split("/")[0] for _, path, _ in ROUTES}


def _paths(server: Server) -> list[str]:
    paths = [route.path for mount in server.app.routes for route in mount.routes]  # type: ignore[attr-defined]
    return [path for path in paths if path.startswith("/attempts/")]


@pytest.mark.parametrize("route", ROUTES, ids=[path.split("/")[0] for _, path, _ in ROUTES])
def test_it_opens_no_other_attempt(server: Server, two: list[Existing], route: tuple[str, str, dict[str, Any]]) -> None:
    mine, other = two
    for token in (other.token, other.person, mine.person, "ata_made-up", ""):
        refused = call(server, mine, token, route)
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized"), token
    assert call(server, mine, mine.token, route).status_code != 401


def test_it_opens_nothing_of_people(server: Server, two: list[Existing]) -> None:
    mine, _ = two
    with server.client(mine.token) as client:
        for path in ("/me", "/projects", "/projects/{project}", "/projects/{project}/runs/{run}", "/gateway/access"):
            assert client.get(path.format(**mine.names)).status_code == 401, path


def test_it_is_dead_with_the_attempt(server: Server, tmp_path: Path) -> None:
    one = somebody(server, tmp_path)
    with server.context.db.write() as session:
        mark_clean(session, [one.names["attempt"]])
    for route in ROUTES:
        assert call(server, one, one.token, route).status_code == 401, route


def test_what_was_given_up_hears_so_and_may_still_say_how_it_ended(server: Server, tmp_path: Path) -> None:
    one = somebody(server, tmp_path)
    assert call(server, one, one.token, ("POST", "usage", {"json": USAGE})).json() == {"after": 15.0}
    with server.context.db.write() as session:
        attempt = get_attempt(session, one.names["attempt"])
        assert attempt is not None
        save_report(session, own_report(attempt, seen_as(attempt, State.FAILED, Reason.NODE_LOST)))
    for route in ROUTES:
        answer = call(server, one, one.token, route)
        if route[1].startswith(("logs", "finished")):
            assert answer.status_code == 204, route
        else:
            assert (answer.status_code, answer.json()["code"]) == (410, "gone"), route
