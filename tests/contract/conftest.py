"""One suite for every back end: `pytest tests/contract --backend NAME`."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.contract.engine import Engine
from tests.contract.engine_local import LocalEngine
from tests.harness.attempt_api import AttemptApi


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--backend", default="local", choices=("local", "kubernetes"), help="back end under contract")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a cluster these are cluster tests."""
    for item in items:
        if config.getoption("backend", "local") == "kubernetes" and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def contract_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Environments, built once for all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def attempt_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AttemptApi]:
    """The attempt protocol, served on this machine."""
    api = AttemptApi(tmp_path_factory.mktemp("store"))
    api.start()
    yield api
    api.stop()


@pytest.fixture
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    """The engine under test; what a test made is stopped after it."""
    found = _engine(request, tmp_path)
    yield found
    await found.clean()


def _engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    if request.config.getoption("backend", "local") == "kubernetes":
        from tests.contract.engine_kubernetes import make_engine

        return make_engine(request)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    api, cache = request.getfixturevalue("attempt_api"), request.getfixturevalue("contract_cache")
    return LocalEngine(api, tmp_path / "data", cache, version)
