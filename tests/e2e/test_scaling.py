"""A service in pods that scales by the processor: more of them while one computes, fewer when it rests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.e2e.conftest import NewPerson, Person
from tests.harness.tracking import Platform

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

NAME = "busy"
SERVER = """
import http.server, os, threading
busy = threading.Event()

def burn():
    while busy.wait():
        sum(range(10_000))

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/burn":
            busy.set()
        elif self.path == "/rest":
            busy.clear()
        self.send_response(200)
        self.end_headers()

threading.Thread(target=burn, daemon=True).start()
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["ATELIER_PORT_HTTP"])), Answer).serve_forever()
"""
DEFINITION = {
    "name": NAME,
    "image": "python",
    "command": ["python", "-c", SERVER],
    "resources": {"cpu": 0.2, "memory": "64Mi"},
    "replicas": {"min": 1, "max": 2},
    "scale": {"cpu": 40, "steady": 3},
    "grace": 1,
}


@pytest.fixture
def person(cluster_platform: Platform, new_person: NewPerson) -> Iterator[Person]:
    found = new_person(cluster_platform.plane, "cluster")
    yield found
    for service in list(found.client.services.list(found.name)):
        found.client.services.delete(found.name, service.name)


def until(look: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.3)


def test_more_pods_when_the_processor_is_busy_and_fewer_when_it_rests(person: Person) -> None:
    """Hardly a request is sent: only what the pods really use says how many there should be."""
    services = person.client.services
    services.wait(person.name, NAME, services.deploy(person.name, DEFINITION).newest, seconds=120)
    url = services.get(person.name, NAME).url

    def call(path: str) -> None:
        answer = httpx.get(f"{url}{path}", headers={"Authorization": f"Bearer {person.token}"}, timeout=30)
        assert answer.status_code == 200, answer.text

    def ready() -> int:
        return sum(one.ready for one in services.get(person.name, NAME).traffic)

    until(lambda: [one.cpu for one in services.usage(person.name, NAME) if one.cpu is not None] != [])
    assert ready() == 1
    call("/burn")
    until(lambda: ready() == 2)
    until(lambda: max(one.cpu or 0 for one in services.usage(person.name, NAME)) > 0.3)

    def rested() -> bool:
        call("/rest")  # whichever of them is asked
        return ready() == 1

    until(rested)
