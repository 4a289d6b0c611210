"""The event feed over a real socket."""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest

from atelier_core.states import State
from atelier_hub.auth import Actor
from atelier_hub.db import Database, emit
from atelier_hub.features.projects import service as projects
from atelier_hub.features.projects.leftovers import Leftovers
from atelier_hub.feed import Feed, read_after
from tests.atelier_hub.conftest import Person
from tests.atelier_hub.server import Server
from tests.harness.hub import TestHub

NewPerson = Callable[..., Person]
ANY = {"If-Match": "*"}


class Stream:
    """An open feed; `until(kind)` reads on."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.iter_lines()
        self.last_id = ""

    def next(self) -> dict[str, Any]:
        """The next message's data, with when it came."""
        found: dict[str, str] = {}
        for line in self._lines:
            if not line and "data" in found:
                self.last_id = found.get("id", self.last_id)
                return json.loads(found["data"]) | {"received": time.perf_counter()}
            name, _, value = line.partition(": ")
            if name:
                found[name] = value
        raise EOFError

    def until(self, subject: str) -> list[dict[str, Any]]:
        """Everything up to the event about `subject`."""
        seen = []
        while True:
            seen.append(self.next())
            if seen[-1].get("subject") == subject:
                return seen


@contextmanager
def feed(who: Person, headers: dict[str, str] | None = None, **params: Any) -> Iterator[Stream]:
    """The feed as `who` sees it, after its greeting."""
    with who.http.stream("GET", "/events", params=params, headers=headers or {}, timeout=20) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        stream = Stream(response)
        assert "last" in stream.next()
        yield stream


def say(server: Server, project: str, subject: str, count: int = 1) -> None:
    """Commit events about `subject`."""
    for _ in range(count):
        with server.context.db.write() as session:
            emit(session, "thing.made", subject=subject, project=project)


@pytest.fixture
def owner(person: NewPerson) -> Person:
    someone = person()
    someone.http.get("/me").raise_for_status()
    return someone


def test_live_events_arrive_fast(server: Server, owner: Person) -> None:
    waits = []
    with feed(owner) as stream:
        for n in range(40):
            say(server, owner.name, f"s{n}")
            committed = time.perf_counter()
            waits.append(stream.until(f"s{n}")[-1]["received"] - committed)
    assert statistics.median(waits) < 0.1, sorted(waits)[-5:]


def test_replay_after_an_id_misses_and_repeats_nothing(server: Server, owner: Person) -> None:
    with feed(owner) as stream:
        say(server, owner.name, "first")
        stream.until("first")
        last = stream.last_id
    for n in range(7):
        say(server, owner.name, f"away{n}")
    say(server, owner.name, "end")
    expected = [f"away{n}" for n in range(7)] + ["end"]
    for ways in ({"headers": {"Last-Event-ID": last}}, {"after": last}):
        with feed(owner, **ways) as stream:  # type: ignore[arg-type]
            assert [event["subject"] for event in stream.until("end")] == expected


def test_replay_reaches_behind_the_tail(server: Server, owner: Person) -> None:
    with server.context.db.read() as session:
        start = max([event.id for event in read_after(session, 0, limit=100_000)], default=0)
    with server.context.db.write() as session:
        for n in range(2600):  # more than the tail keeps
            emit(session, "thing.made", subject=f"r{n}", project=owner.name)
    with feed(owner, after=start) as stream:
        seen = [event["subject"] for event in stream.until("r2599")]
    assert seen == [f"r{n}" for n in range(2600)]


def test_a_visitor_sees_own_projects_only(server: Server, owner: Person, person: NewPerson) -> None:
    other = person()
    other.http.get("/me").raise_for_status()
    with feed(owner) as stream:
        say(server, other.name, "hidden")
        say(server, owner.name, "mine")
        assert [event["subject"] for event in stream.until("mine")] == ["mine"]


def test_one_project_can_be_asked_for_and_a_foreign_one_does_not_exist(
    server: Server, owner: Person, person: NewPerson, new_name: Callable[[], str]
) -> None:
    project, stranger = new_name(), person()
    owner.http.post("/projects", json={"name": project}).raise_for_status()
    with feed(owner, project=project) as stream:
        say(server, owner.name, "elsewhere")
        say(server, project, "here")
        assert [event["subject"] for event in stream.until("here")] == ["here"]
    assert stranger.http.get("/events", params={"project": project}).status_code == 404
    assert httpx.get(f"{server.url}/events", timeout=10).status_code == 401


def test_membership_changes_reach_open_feeds(
    server: Server, owner: Person, person: NewPerson, new_name: Callable[[], str]
) -> None:
    project, guest = new_name(), person()
    owner.http.post("/projects", json={"name": project}).raise_for_status()
    guest.http.get("/me").raise_for_status()
    members = f"/projects/{project}/members"
    with feed(guest) as stream:
        say(server, project, "before")
        owner.http.post(members, json={"name": guest.name, "role": "viewer"}).raise_for_status()
        say(server, project, "during")
        assert [event["subject"] for event in stream.until("during")] == [guest.name, "during"]
        owner.http.delete(f"{members}?kind=user&name={guest.name}", headers=ANY).raise_for_status()
        say(server, project, "after")
        say(server, guest.name, "own")
        assert "after" not in [event["subject"] for event in stream.until("own")]


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "by_another_replica"])
def test_a_name_used_again_does_not_replay_the_old_project(
    server: Server, owner: Person, person: NewPerson, new_name: Callable[[], str], elsewhere: bool
) -> None:
    project, heir = new_name(), person()
    heir.http.get("/me").raise_for_status()
    with feed(owner) as stream:
        owner.http.post("/projects", json={"name": project}).raise_for_status()
        start = stream.until(project)[-1]["id"] - 1
        say(server, project, "hidden")
        stream.until("hidden")
    second = Database(server.context.db.url.render_as_string(hide_password=False))
    with (second if elsewhere else server.context.db).write() as session:
        projects.delete(session, Actor(owner.name, "user"), project, "*")
    server.context.get(Leftovers).set_aside()
    with (second if elsewhere else server.context.db).write() as session:
        projects.create(session, Actor(heir.name, "user"), project, {})
    second.close()
    for params in ({"project": project}, {}):
        with feed(heir, after=start, **params) as stream:
            seen = stream.next()
            while seen["kind"] != "project.created":
                assert seen["project"] != project
                seen = stream.next()
            assert seen["actor"] == heir.name
    say(server, heir.name, "end")  # whereupon the tail has taken everything
    with feed(heir) as stream:
        say(server, heir.name, "live")
        stream.until("live")
    with feed(heir, after=start) as stream:
        assert "hidden" not in [event["subject"] for event in stream.until("end")]


def test_a_slow_reader_holds_up_nobody_and_still_gets_all(server: Server, owner: Person, person: NewPerson) -> None:
    text = "x" * 2000
    with feed(owner) as slow:
        begin = time.perf_counter()
        for n in range(10):
            with server.context.db.write() as session:
                for m in range(500):
                    emit(session, "thing.made", subject=f"{n}-{m}", project=owner.name, data={"text": text})
        written = time.perf_counter() - begin
        assert written < 20
        other = person()
        other.http.get("/me").raise_for_status()
        with feed(other) as quick:
            say(server, other.name, "quick")
            quick.until("quick")
        seen = [event["subject"] for event in slow.until("9-499")]
    assert seen == [f"{n}-{m}" for n in range(10) for m in range(500)]


def test_many_writers_and_readers_agree(server: Server, owner: Person) -> None:
    with feed(owner) as stream:
        threads = [threading.Thread(target=say, args=(server, owner.name, f"w{n}", 20)) for n in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        say(server, owner.name, "end")
        ids = [event["id"] for event in stream.until("end")]
    assert ids == sorted(set(ids))
    assert len(ids) == 101


def test_another_replica_is_heard(server: Server, owner: Person) -> None:
    if server.context.db.sqlite:
        second = Database(str(server.context.db.url))  # another process on SQLite: seen by the repairing look
        limit = 8.0
    else:
        second = Database(server.context.db.url.render_as_string(hide_password=False))
        limit = 0.5
    with feed(owner) as stream:
        with second.write() as session:
            emit(session, "thing.made", subject="replica", project=owner.name)
        begin = time.perf_counter()
        assert stream.until("replica")[-1]["received"] - begin < limit
    second.close()


def test_a_gap_that_another_process_left_is_filled_at_once(server: Server, owner: Person) -> None:
    """Without waiting for the repairing look, and in order."""
    second = Database(server.context.db.url.render_as_string(hide_password=False))
    with feed(owner) as stream:
        for n in range(3):
            with second.write() as session:
                emit(session, "thing.made", subject=f"theirs{n}", project=owner.name)
        say(server, owner.name, "ours")
        begin = time.perf_counter()
        seen = stream.until("ours")
        assert seen[-1]["received"] - begin < 2
    assert [event["subject"] for event in seen] == ["theirs0", "theirs1", "theirs2", "ours"]
    second.close()


def test_events_are_the_same_live_and_replayed(server: Server, owner: Person) -> None:
    """Live ones were never read from the database."""
    with feed(owner) as stream:
        start = int(stream.last_id or 0)
        with server.context.db.write() as session:
            emit(
                session,
                "thing.made",
                subject="x",
                project=owner.name,
                data={"state": State.RUNNING, "n": [1, 2.5, None]},
            )
        live = stream.until("x")[-1]
    with feed(owner, after=max(start, live["id"] - 1)) as stream:
        replayed = stream.until("x")[-1]
    for event in (live, replayed):
        del event["received"]
        event["at"] = datetime.fromisoformat(event["at"])
    assert live == replayed


def test_a_revoked_token_ends_the_feed(
    server: Server, hub: TestHub, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("atelier_hub.feed.RECHECK_SECONDS", 0.3)
    monkeypatch.setattr(server.context.auth, "_seconds", 0.1)
    with feed(owner) as stream:
        hub.revoke(owner.name, owner.token)
        with server.context.auth._lock:
            server.context.auth._known.clear()
        with pytest.raises(EOFError):
            stream.until("never")


def test_a_place_in_the_future_begins_at_the_end(server: Server, owner: Person) -> None:
    with feed(owner, after=2**62) as stream:
        say(server, owner.name, "now")
        assert stream.until("now")


async def test_the_tail_is_bounded(db: Database) -> None:
    feed = Feed(db, tail=10)
    await feed.start()
    with db.write() as session:
        for n in range(100):
            emit(session, "thing.made", subject=str(n))
    await feed.wait_after(99, 10)
    assert len(feed._tail) == 10
    assert feed.tail_after(89) is None
    assert [event.id for event in feed.tail_after(95) or []] == [96, 97, 98, 99, 100]
    await feed.stop()
