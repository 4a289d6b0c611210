"""One gateway and two replicas for all tests here; each test has a service of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.atelier_gateway.gateway import PROJECT, GatewayProcess, Key
from tests.atelier_gateway.upstream import Replica

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    running = GatewayProcess(tmp_path_factory.mktemp("gateway")).start()
    yield running
    running.stop()
    assert "Traceback" not in running.log_file.read_text(), running.log_file.read_text()


@pytest.fixture(scope="session")
def replica() -> Iterator[Replica]:
    running = Replica("first").start()
    yield running
    running.kill()


@pytest.fixture(scope="session")
def second() -> Iterator[Replica]:
    running = Replica("second").start()
    yield running
    running.kill()


@pytest.fixture
def new_replica() -> Iterator[Callable[[str], Replica]]:
    """A replica that the test may kill."""
    made: list[Replica] = []

    def start(name: str) -> Replica:
        made.append(Replica(name).start())
        return made[-1]

    yield start
    for one in made:
        one.kill()


@pytest.fixture(scope="session")
def key() -> Key:
    """A key for every service of the project."""
    return Key()


@pytest.fixture
def serve(gateway: GatewayProcess, key: Key) -> Callable[..., str]:
    """Put a service of its own in force beside the others; returns its URL."""

    def put(service: dict[str, Any], name: str = "", keys: tuple[Key, ...] = ()) -> str:
        name = name or f"service{next(_numbers)}"
        gateway.services[f"{PROJECT}/{name}"] = service
        gateway.keys.extend(one.route for one in (key, *keys) if one.route not in gateway.keys)
        gateway.put(gateway.services, gateway.keys)
        return f"{gateway.url}/s/{PROJECT}/{name}"

    return put


@pytest.fixture
def http(key: Key) -> Iterator[httpx.Client]:
    """A client with the key."""
    with httpx.Client(headers=key.bearer, timeout=30, trust_env=False) as client:
        yield client
