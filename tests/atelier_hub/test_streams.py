"""How many streams one person may have open."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from atelier_sdk import Client
from tests.atelier_hub.conftest import Person
from tests.atelier_hub.server import Server
from tests.harness.control_plane import pipeline, submit

NewPerson = Callable[..., Person]
MOST = 3


@pytest.fixture
def few(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, with a limit that a test reaches."""
    monkeypatch.setattr(server.context.streams, "_most", MOST)
    return server


def _open(stack: ExitStack, who: Person, path: str, **params: object) -> int:
    response = stack.enter_context(who.http.stream("GET", path, params=params, timeout=20))
    if response.status_code == 200 and path == "/events":
        pieces = response.iter_raw()
        next(pieces)
        stack.callback(pieces.close)  # type: ignore[attr-defined]  # who forgets it closes the stream
    return response.status_code


def _closed(server: Server, who: Person, left: int) -> None:
    until = time.monotonic() + 10
    while server.context.streams.open(who.name) > left:
        assert time.monotonic() < until, "a stream whose reader left is still counted"
        time.sleep(0.02)


def test_one_person_cannot_take_the_streams_of_all(few: Server, person: NewPerson) -> None:
    greedy, other = person(), person()
    with ExitStack() as stack:
        assert [_open(stack, greedy, "/events") for _ in range(MOST)] == [200] * MOST
        refused = stack.enter_context(greedy.http.stream("GET", "/events", timeout=20))
        assert refused.status_code == 429
        refused.read()
        assert int(refused.headers["Retry-After"]) > 0
        assert refused.json()["code"] == "too_many_streams"
        assert str(MOST) in refused.json()["message"]
        assert refused.json()["hint"]
        assert _open(stack, other, "/events") == 200
        assert greedy.http.get("/me").status_code == 200
    _closed(few, greedy, 0)
    with ExitStack() as stack:
        assert _open(stack, greedy, "/events") == 200


def test_a_request_that_fails_takes_no_place(few: Server, person: NewPerson) -> None:
    someone = person()
    for _ in range(MOST + 1):
        assert someone.http.get("/events", params={"project": "no-such-project"}).status_code == 404
    assert few.context.streams.open(someone.name) == 0


def test_followed_logs_count_and_read_logs_do_not(few: Server, person: NewPerson, tmp_path: Path) -> None:
    someone = person()
    someone.http.get("/me").raise_for_status()
    client = Client(few.url.removesuffix("/api"), someone.token)
    (tmp_path / "wait.py").write_text("import time\nprint('begun', flush=True)\ntime.sleep(60)\n")
    document = pipeline({"wait": {"file": "wait.py", "image": "python"}})
    run = submit(client, someone.name, tmp_path, document)
    logs = f"/projects/{someone.name}/runs/{run}/steps/wait/logs"
    try:
        with ExitStack() as stack:
            assert [_open(stack, someone, logs, follow=True) for _ in range(MOST)] == [200] * MOST
            assert _open(stack, someone, logs, follow=True) == 429
            assert _open(stack, someone, "/events") == 429
            assert someone.http.get(logs).status_code == 200
        _closed(few, someone, 0)
    finally:
        client.runs.cancel(someone.name, run)
