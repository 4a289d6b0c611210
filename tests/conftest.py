"""Fixtures that every test may share: one hub for the whole session."""

from __future__ import annotations

import functools
import gc
import signal
from collections import Counter
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from httpx._transports import default as httpx_transport
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests.harness.cluster.fixtures import cluster
from tests.harness.hub import TestHub
from tests.harness.postgres import Postgres

__all__ = ["cluster"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as of a shell's background job; children would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)

# To read whom the machine trusts takes 20 ms, and tests ask servers on this machine thousands of times, without TLS.
httpx_transport.create_ssl_context = functools.cache(httpx_transport.create_ssl_context)

# Begun first when several processes run the tests, so that none of them is left with a long one at the end.
_FIRST = (
    "ui",
    "atelier_cli/platform",
    "atelier_hub/serving",
    "e2e",
    "atelier_hub/engine",
    "atelier_hub",
    "atelier_server",
    "atelier_templates",
    "faults",
    "atelier_hub/tracking",
    "atelier_gateway",
)
# Files there share no server that takes long to start.
_BY_FILE = ("contract", "atelier_spawner/kubernetes")


class ByFolder(LoadScopeScheduling):
    """Tests of one folder share servers, so they stay in one process. Processes that are spare begin once only quick
    folders are left, which alone keep no processor busy; before that they would make all others late."""

    def _split_scope(self, nodeid: str) -> str:
        return place(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if not (self._is_spare(node) and next(iter(self.workqueue)) in _FIRST):
            super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        super()._reschedule(node)
        for each in filter(self._is_spare, self.nodes):
            super()._reschedule(each)

    def _is_spare(self, node: WorkerController) -> bool:
        number = int(node.gateway.id.removeprefix("gw"))  # who comes for one that died has a higher one
        return self.numnodes - self.config.getoption("--spare") <= number < self.numnodes


def place(nodeid: str) -> str:
    """The folder below `tests`, or the file; all stories in a browser share one platform."""
    file = nodeid.split("::", maxsplit=1)[0].removeprefix("tests/")
    folder = file.rpartition("/")[0]
    if folder in _BY_FILE:
        return file
    return "ui" if folder.split("/")[0] == "ui" else folder


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFolder:
    """With `-n`; xdist's own groups do nothing under pytest 9.2."""
    return ByFolder(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--spare", type=int, default=0, help="how many processes begin when only quick folders are left")
    parser.addoption("--kills", type=int, default=8, help="how often the fault campaigns strike")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long folders first. Of tests with one name only the last would run in several processes."""
    twice = [name for name, times in Counter(item.nodeid for item in items).items() if times > 1]
    if twice:
        raise pytest.UsageError(f"These tests have no name of their own: {', '.join(twice[:5])}")
    places = {item: place(item.nodeid) for item in items}
    items.sort(key=lambda item: _FIRST.index(places[item]) if places[item] in _FIRST else len(_FIRST))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays: to look for garbage in it, again and again, would take time."""
    gc.disable()
    result = yield
    gc.freeze()
    gc.enable()
    return result


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
