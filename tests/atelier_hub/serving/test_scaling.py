"""More replicas under load, fewer without, none at all, and awake again; replicas that end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.atelier_hub.serving.platform import Platform, answerer, new_name

# What is tried here depends on no database; test_deploying runs on each.
pytestmark = pytest.mark.parametrize("platform", ["sqlite"], indirect=True, scope="session")


@contextmanager
def load(platform: Platform, name: str, key: dict[str, str], callers: int) -> Iterator[list[int]]:
    """So many callers without a pause; the statuses that they got."""
    statuses: list[int] = []
    over = threading.Event()

    def call() -> None:
        while not over.is_set():
            statuses.append(platform.call(name, key).status_code)

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        over.set()
        for thread in threads:
            thread.join(60)


def ready(platform: Platform, name: str) -> int:
    """How many replicas answer."""
    return sum(one.ready for one in platform.get(name).traffic)


def test_more_under_load_and_fewer_without_and_no_request_is_lost(platform: Platform) -> None:
    name = new_name()
    scale = {"in_flight": 2, "steady": 3}
    definition = answerer(name, env={"SLOW": "0.3"}, replicas={"min": 1, "max": 3}, scale=scale)
    with platform.served(definition):
        key = platform.key(name)
        platform.answers(name, key)
        with load(platform, name, key, 8) as statuses:
            platform.until(lambda: ready(platform, name) == 3)
        assert set(statuses) == {200}
        with load(platform, name, key, 1) as statuses:
            platform.until(lambda: ready(platform, name) == 1)
        assert set(statuses) == {200}


def test_more_when_the_processor_is_busy_and_fewer_when_it_rests(platform: Platform, tmp_path: Path) -> None:
    """Nobody sends a request: only what the replica's process really uses says that there should be more."""
    name, work = new_name(), tmp_path / "work"
    definition = answerer(
        name,
        env={"BURN": str(work)},
        resources={"cpu": 0.2},
        replicas={"min": 1, "max": 2},
        scale={"cpu": 40, "steady": 3},
    )
    with platform.served(definition):
        services = platform.client().services
        platform.until(lambda: [one.cpu for one in services.usage("kim", name)] != [])
        assert ready(platform, name) == 1
        work.touch()
        platform.until(lambda: ready(platform, name) == 2)
        used = list(services.usage("kim", name))
        assert {one.revision for one in used} == {1} and len(used) == 2, used
        work.unlink()
        platform.until(lambda: ready(platform, name) == 1)


def test_asleep_without_requests_and_awake_with_the_next(platform: Platform) -> None:
    name = new_name()
    with platform.served(answerer(name, replicas={"min": 0, "max": 1}, scale={"idle": 3})):
        key = platform.key(name)
        first = platform.answers(name, key)["pid"]
        platform.until(lambda: platform.get(name).reason == "Sleeping")
        platform.until(lambda: not [one for one in platform.client().services.replicas("kim", name) if one.ready])
        platform.until(lambda: platform.gateway.stats()["services"].get(f"kim/{name}") is not None)
        answer = platform.call(name, key)
        assert answer.status_code == 200, answer.text
        assert answer.json()["pid"] != first
        assert platform.get(name).state == "running"


def test_people_scale_by_hand(platform: Platform) -> None:
    name = new_name()
    with platform.served(answerer(name)):
        platform.client().services.scale("kim", name, 2, 4)
        platform.until(lambda: ready(platform, name) == 2)
        platform.client().services.scale("kim", name, 1, 1)
        platform.until(lambda: ready(platform, name) == 1)


def test_a_replica_that_ends_is_replaced(platform: Platform) -> None:
    name = new_name()
    with platform.served(answerer(name)):
        key = platform.key(name)
        first = platform.answers(name, key)["pid"]
        platform.call(name, key, "/die")
        platform.until(lambda: platform.call(name, key).status_code == 200)
        assert platform.answers(name, key)["pid"] != first
        ended = [one for one in platform.client().services.replicas("kim", name) if one.state == "failed"]
        assert len(ended) == 1
        assert "exit code 7" in ended[0].message
        platform.until(lambda: platform.get(name).state == "running")


def test_a_crash_loop_is_shown_with_the_last_words(platform: Platform) -> None:
    name = new_name()
    with platform.served(answerer(name)):
        key = platform.key(name)
        platform.answers(name, key)
        for _ in range(2):
            platform.until(lambda: platform.call(name, key).status_code == 200)
            platform.call(name, key, "/die")
        platform.until(lambda: platform.get(name).reason == "CrashLoop")
        assert "it listens" in platform.get(name).message
