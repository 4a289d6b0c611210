"""A service in pods: more while one computes, a new revision under load, asleep, awake; and MLflow from a pod."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Person, person_on
from tests.harness.tracking import Platform

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

NAME = "busy"
SERVER = """
import http.server, os, signal, sys, threading
busy = threading.Event()

def burn():
    while busy.wait():
        sum(range(10_000))

class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/burn":
            busy.set()
        elif self.path == "/rest":
            busy.clear()
        content = os.environ["REVISION"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass

threading.Thread(target=burn, daemon=True).start()
server = http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["ATELIER_PORT_HTTP"])), Answer)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
"""
TRACK = """
import json, os, urllib.request
headers = {"Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"],
           "X-MLFLOW-WORKSPACE": os.environ["MLFLOW_WORKSPACE"], "Content-Type": "application/json"}
url = os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/experiments/create"
body = json.dumps({"name": "made-in-a-pod"}).encode()
print(urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30).read().decode())
"""


def definition(revision: int, **changes: Any) -> dict[str, Any]:
    return {
        "name": NAME,
        "image": "python",
        "command": ["python", "-c", SERVER],
        "env": {"REVISION": str(revision)},
        "resources": {"cpu": 0.2, "memory": "64Mi"},
        "replicas": {"min": 1, "max": 2},
        "scale": {"cpu": 40, "steady": 3, "idle": 3},
        "grace": 5,
        **changes,
    }


@dataclass
class Served:
    """The service, as its owner sees it."""

    person: Person
    url: str = ""
    statuses: list[int] = field(default_factory=list)

    @property
    def services(self) -> Any:
        return self.person.client.services

    def deploy(self, number: int, **changes: Any) -> None:
        self.services.deploy(self.person.name, definition(number, **changes))
        self.services.wait(self.person.name, NAME, number, seconds=120)
        self.url = self.services.get(self.person.name, NAME).url

    def call(self, path: str = "/") -> str:
        """What it answers."""
        headers = {"Authorization": f"Bearer {self.person.token}"}
        answer = httpx.get(f"{self.url}{path}", headers=headers, timeout=60)
        self.statuses.append(answer.status_code)
        return answer.text

    def ready(self) -> int:
        """How many of its pods answer."""
        return sum(one.ready for one in self.services.get(self.person.name, NAME).traffic)

    def replicas(self) -> list[Any]:
        """Those that have not ended."""
        found = self.services.replicas(self.person.name, NAME)
        return [one for one in found if one.state not in ("done", "failed", "stopped")]

    def used(self) -> float:
        """What the busiest of them uses."""
        return max((one.cpu or 0 for one in self.services.usage(self.person.name, NAME)), default=0)


@pytest.fixture(scope="module")
def person(cluster_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    found = person_on(cluster_platform.plane, tmp_path_factory.mktemp("services"), "cluster")
    yield found
    found.close()


@pytest.fixture(scope="module")
def served(person: Person) -> Iterator[Served]:
    found = Served(person)
    found.deploy(1)
    yield found
    person.client.services.delete(person.name, NAME)


def until(look: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.3)


def test_more_pods_when_the_processor_is_busy_and_fewer_when_it_rests(served: Served) -> None:
    """Hardly a request is sent: only what the pods really use says how many there should be."""
    assert served.ready() == 1
    served.call("/burn")
    until(lambda: served.used() > 0.3)
    until(lambda: served.ready() == 2)

    def rested() -> bool:
        served.call("/rest")  # whichever of them is asked
        return served.ready() == 1

    until(rested)
    assert set(served.statuses) == {200}


def test_a_new_revision_takes_over_and_no_request_is_lost(served: Served) -> None:
    over, said = threading.Event(), []

    def ask() -> None:
        while not over.is_set():
            said.append(served.call())

    caller = threading.Thread(target=ask)
    caller.start()
    try:
        served.deploy(2, replicas={"min": 0, "max": 1}, scale={"idle": 3})
        until(lambda: said[-1] == "2")
        until(lambda: not [one for one in served.replicas() if one.revision == 1])
    finally:
        over.set()
        caller.join(60)
    assert set(served.statuses) == {200}
    assert said[0] == "1"


def test_asleep_without_requests_and_awake_with_the_next(served: Served) -> None:
    services, name = served.services, served.person.name
    until(lambda: services.get(name, NAME).reason == "Sleeping")
    until(lambda: not served.replicas())
    assert served.call() == "2"
    assert set(served.statuses) == {200}


def test_a_step_in_a_pod_finds_mlflow(person: Person, cluster_platform: Platform) -> None:
    """The environment of a step is all that MLflow's client needs."""
    run = person.submit({"track.py": TRACK}, {"track": {"file": "track.py"}})
    assert person.wait(run, 120).state == "done", person.log(run, "track")
    headers = {"Authorization": f"Bearer {person.token}"}
    url = f"{cluster_platform.tracking_uri}/api/2.0/mlflow/experiments/get-by-name"
    found = httpx.get(url, params={"experiment_name": "made-in-a-pod"}, headers=headers, timeout=60)
    assert found.status_code == 200, found.text
