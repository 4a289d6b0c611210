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
_LONGEST = ("ui", "atelier_hub/serving", "atelier_hub", "atelier_templates", "e2e", "contract", "atelier_cli/platform")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=8, help="how often the fault campaigns strike")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one folder share servers, so they stay in one process (`-n 2 --dist loadgroup`)."""
    places = {item: _place(item.path.relative_to(Path(__file__).parent)) for item in items}
    for item, place in places.items():
        item.add_marker(pytest.mark.xdist_group(place))
    items.sort(key=lambda item: _LONGEST.index(places[item]) if places[item] in _LONGEST else len(_LONGEST))


def _place(path: Path) -> str:
    """The folder; all stories in a browser share one platform."""
    return "ui" if path.parts[0] == "ui" else path.parent.as_posix()


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
