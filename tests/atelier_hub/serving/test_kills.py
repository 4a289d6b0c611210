"""Control plane, gateway and replicas are killed at bad moments; services come through."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.atelier_hub.serving.platform import Platform, answerer, new_name
from tests.harness.hub import TestHub

STRIKES = 6


@pytest.fixture(scope="module")
def mortal(hub: TestHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that may be killed."""
    running = Platform(tmp_path_factory.mktemp("mortal"), hub).start()
    yield running
    running.stop()


def _processes(name: str) -> list[int]:
    """Processes of the service that are on this machine, whoever started them."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            environment = (entry / "environ").read_bytes() if entry.name.isdigit() else b""
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if f"ATELIER_SERVICE={name}\0".encode() in environment and b"http.server" in command:
            found.append(int(entry.name))
    return found


def test_a_rollout_goes_on_whenever_the_control_plane_is_killed(mortal: Platform) -> None:
    name, client, chance = new_name(), mortal.client(), random.Random(5)
    mortal.deploy(answerer(name, env={"TEXT": "0"}))
    key = mortal.key(name)
    mortal.answers(name, key)
    mortal.told(key)
    bad: list[str] = []
    over = threading.Event()

    def call() -> None:
        while not over.is_set():
            answer = mortal.call(name, key)
            if answer.status_code != 200:
                bad.append(f"{answer.status_code} {answer.text}")

    caller = threading.Thread(target=call)
    caller.start()
    try:
        for strike in range(1, STRIKES + 1):
            definition = answerer(name, env={"TEXT": str(strike), "LATE": "0.2"})
            client.services.deploy("kim", definition, idempotency_key=f"strike-{strike}")
            time.sleep(chance.uniform(0, 1.2))
            mortal.plane.kill()
            mortal.plane.start()
            again = client.services.deploy("kim", definition, idempotency_key=f"strike-{strike}")
            assert again.newest == strike + 1
            client.services.wait("kim", name, strike + 1, seconds=60)
    finally:
        over.set()
        caller.join(60)
    assert bad == []
    mortal.until(lambda: mortal.answers(name, key)["text"] == str(STRIKES))
    mortal.until(lambda: len(_processes(name)) == 1)
    mortal.remove(name)
    mortal.until(lambda: not _processes(name))


def test_predictions_go_on_while_the_control_plane_is_dead_and_it_finds_its_replicas_again(mortal: Platform) -> None:
    name = new_name()
    mortal.deploy(answerer(name))
    key = mortal.key(name)
    pid = mortal.answers(name, key)["pid"]
    mortal.told(key)
    mortal.plane.kill()
    for _ in range(50):
        assert mortal.call(name, key).json()["pid"] == pid
    mortal.plane.start()
    time.sleep(2)
    assert mortal.answers(name, key)["pid"] == pid
    assert len(_processes(name)) == 1
    mortal.remove(name)


def test_a_gateway_that_lost_its_routes_gets_them_again(mortal: Platform) -> None:
    name = new_name()
    mortal.deploy(answerer(name))
    key = mortal.key(name)
    mortal.answers(name, key)
    mortal.gateway.kill()
    for file in (mortal.gateway.folder / "data").rglob("routes*"):
        file.unlink()
    mortal.gateway.start()
    mortal.answers(name, key)
    mortal.remove(name)


def test_a_replica_killed_while_the_control_plane_is_dead_is_replaced(mortal: Platform) -> None:
    name = new_name()
    mortal.deploy(answerer(name))
    key = mortal.key(name)
    pid = mortal.answers(name, key)["pid"]
    mortal.plane.kill()
    os.kill(pid, signal.SIGKILL)
    mortal.plane.start()
    mortal.until(lambda: mortal.call(name, key).status_code == 200)
    assert mortal.answers(name, key)["pid"] != pid
    mortal.remove(name)


def test_a_service_that_is_deleted_while_the_control_plane_dies_is_gone(mortal: Platform) -> None:
    name, services = new_name(), mortal.client().services
    mortal.deploy(answerer(name))
    services.delete("kim", name)
    mortal.plane.kill()
    mortal.plane.start()
    mortal.until(lambda: name not in {one.name for one in services.list("kim")})
    mortal.until(lambda: not _processes(name))


def test_a_replica_that_hangs_is_taken_from_traffic(mortal: Platform) -> None:
    name, services = new_name(), mortal.client().services
    mortal.deploy(answerer(name, replicas=2))
    key = mortal.key(name)
    pids = set()
    mortal.until(lambda: len(pids.add(mortal.answers(name, key)["pid"]) or pids) == 2)  # type: ignore[func-returns-value]
    hung = pids.pop()
    os.kill(hung, signal.SIGSTOP)
    try:
        mortal.until(lambda: sum(one.ready for one in services.replicas("kim", name)) == 1)
        mortal.until(lambda: len(mortal.replicas(name)) == 1)
        assert {mortal.call(name, key, timeout=5).json()["pid"] for _ in range(20)} == pids
    finally:
        os.kill(hung, signal.SIGCONT)
    mortal.until(lambda: sum(one.ready for one in services.replicas("kim", name)) == 2)
    mortal.remove(name)
