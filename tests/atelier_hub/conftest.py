"""Real servers, shared by all tests of the control plane: a hub, PostgreSQL, and the control plane on each database."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from atelier_hub import features
from atelier_hub.db import Database
from atelier_hub.db.migrate import migrate
from tests.atelier_hub.server import Server
from tests.harness.hub import TestHub

DATABASES = ("sqlite", "postgres")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def new_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The URL of a new, empty database of a kind."""

    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path_factory.mktemp('db')}/atelier.sqlite"
        return request.getfixturevalue("postgres").database()

    return make


@pytest.fixture(params=DATABASES)
def empty_db(request: pytest.FixtureRequest, new_url: Callable[[str], str]) -> Iterator[Database]:
    """A database without any table."""
    features.import_tables()
    database = Database(new_url(request.param))
    yield database
    database.close()


@pytest.fixture
def db(empty_db: Database) -> Database:
    """A database with the current schema."""
    migrate(empty_db)
    return empty_db


@pytest.fixture
def postgres_db(new_url: Callable[[str], str]) -> Iterator[Database]:
    """PostgreSQL, the only database that several replicas share."""
    features.import_tables()
    database = Database(new_url("postgres"))
    migrate(database)
    yield database
    database.close()


@pytest.fixture(scope="session", params=DATABASES)
def server(
    request: pytest.FixtureRequest,
    new_url: Callable[[str], str],
    hub: TestHub,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """The control plane on each database; tests share it and use names of their own."""
    folder: Path = tmp_path_factory.mktemp(f"data-{request.param}")
    running = Server(folder, new_url(request.param), hub).start()
    yield running
    running.stop()


@dataclass
class Person:
    """A user of the hub with a token and a client."""

    name: str
    token: str
    http: httpx.Client


@pytest.fixture
def person(server: Server, hub: TestHub) -> Iterator[Callable[..., Person]]:
    """Makes people: `person()` or `person(groups=[…])`."""
    clients: list[httpx.Client] = []

    def make(groups: tuple[str, ...] = (), name: str = "") -> Person:
        name = name or f"user{next(_numbers)}"
        token = hub.add_user(name, groups)
        client = server.client(token)
        clients.append(client)
        return Person(name, token, client)

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def new_name() -> Callable[[], str]:
    """Names that no other test uses."""
    return lambda: f"project{next(_numbers)}"
