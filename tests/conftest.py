"""Fixtures that every test may share: one hub for the whole session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.cluster.fixtures import cluster
from tests.harness.hub import TestHub
from tests.harness.postgres import Postgres

__all__ = ["cluster"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=8, help="how often the fault campaigns strike")


@pytest.fixture(scope="session")
def kills(request: pytest.FixtureRequest) -> int:
    """How often the fault campaigns strike."""
    return int(request.config.getoption("--kills"))


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestHub]:
    """A running JupyterHub that spawns nothing."""
    hub = TestHub(tmp_path_factory.mktemp("hub"))
    hub.start()
    yield hub
    hub.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of our own."""
    server = Postgres()
    server.start()
    yield server
    server.stop()
