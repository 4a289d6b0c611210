"""One suite for every back end: `pytest tests/contract -k NAME`."""

from __future__ import annotations

import itertools
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.contract.engine import Engine
from tests.contract.engine_kubernetes import make_engine
from tests.contract.engine_local import LocalEngine
from tests.harness.attempt_api import AttemptApi
from tests.harness.cluster.fixtures import cluster

__all__ = ["cluster"]


_numbers = itertools.count()


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that other users can pass through, as the platform's data folder is when it serves several."""
    folder = Path(tempfile.mkdtemp(prefix="atelier-contract-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def contract_cache(open_folder: Path) -> Path:
    """Environments, built once for all tests."""
    cache = open_folder / "cache"
    cache.mkdir()
    return cache


@pytest.fixture(scope="session")
def attempt_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AttemptApi]:
    """The attempt protocol, served on this machine."""
    api = AttemptApi(tmp_path_factory.mktemp("store"))
    api.start()
    yield api
    api.stop()


@pytest.fixture(params=["local", pytest.param("kubernetes", marks=pytest.mark.cluster)])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    """The engine under test; what a test made is stopped after it."""
    found = _local(request) if request.param == "local" else make_engine(request)
    yield found
    await found.clean()


def _local(request: pytest.FixtureRequest) -> LocalEngine:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    api, cache = request.getfixturevalue("attempt_api"), request.getfixturevalue("contract_cache")
    data = cache.parent / f"data-{next(_numbers)}"
    data.mkdir(mode=0o711)
    return LocalEngine(api, data, cache, version)
