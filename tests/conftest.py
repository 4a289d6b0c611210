"""Fixtures that every test may share: one hub for the whole session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.cluster.fixtures import cluster
from tests.harness.hub import TestHub
from tests.harness.postgres import Postgres

__all__ = ["cluster"]

# Begun first when several processes run the tests, so that none of them is left with a long one at the end.
_LONGEST = ("ui", "atelier_hub", "e2e", "contract", "atelier_templates", "atelier_cli")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=8, help="how often the fault campaigns strike")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one folder share servers, so they stay in one process (`-n 2 --dist loadgroup`)."""
    places = {item: item.path.relative_to(Path(__file__).parent).parts[0] for item in items}
    for item, place in places.items():
        item.add_marker(pytest.mark.xdist_group(place))
    items.sort(key=lambda item: _LONGEST.index(places[item]) if places[item] in _LONGEST else len(_LONGEST))


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
