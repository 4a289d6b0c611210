"""A hub, a control plane and the notebook of `ada`, shared by the tests of the extension."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import psutil
import pytest

from atelier_sdk import Client
from tests.atelier_server.servers import Notebook, SpawningHub
from tests.harness.control_plane import ControlPlane

OWNER, GUEST, STRANGER = "ada", "bob", "eve"


@pytest.fixture(scope="session")
def spawning_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpawningHub]:
    """A hub with a spawner; its control plane is `plane`."""
    hub = SpawningHub(tmp_path_factory.mktemp("spawning-hub"), owner=OWNER, guest=GUEST)
    yield hub
    hub.stop()


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory, spawning_hub: SpawningHub) -> Iterator[ControlPlane]:
    """The control plane; tests may kill it, and start it again before they end."""
    plane = ControlPlane(tmp_path_factory.mktemp("plane"), spawning_hub)
    spawning_hub.spawn_with(plane.url)
    spawning_hub.start()
    plane.start()
    yield plane
    plane.stop()


@pytest.fixture(scope="session")
def tokens(plane: ControlPlane, spawning_hub: SpawningHub) -> dict[str, str | None]:
    """One token for each kind of caller."""
    named: dict[str, str | None] = {name: spawning_hub.add_user(name) for name in (OWNER, GUEST, STRANGER)}
    return {"anonymous": None, "stranger": named[STRANGER], "guest": named[GUEST], "owner": named[OWNER]}


@pytest.fixture(scope="session")
def notebook(plane: ControlPlane, spawning_hub: SpawningHub, tokens: dict[str, str | None]) -> Iterator[Notebook]:
    """The running server of ada."""
    url = spawning_hub.start_server(OWNER)
    yield Notebook(OWNER, url, spawning_hub.folder / "data/users" / OWNER, spawning_hub, plane)
    spawning_hub.stop_server(OWNER)


@pytest.fixture
def ada(notebook: Notebook, tokens: dict[str, str | None]) -> Iterator[httpx.Client]:
    """The owner at her own server."""
    with notebook.client(tokens["owner"]) as client:
        yield client


@pytest.fixture
def bob(notebook: Notebook, tokens: dict[str, str | None]) -> Iterator[httpx.Client]:
    """A guest at ada's server."""
    with notebook.client(tokens["guest"]) as client:
        yield client


@pytest.fixture
def platform(plane: ControlPlane, tokens: dict[str, str | None]) -> Iterator[Client]:
    """The platform as ada's programs see it."""
    with Client(plane.url, str(tokens["owner"])) as client:
        yield client


@pytest.fixture
def plane_connections(plane: ControlPlane) -> Callable[[], int]:
    """How many connections the control plane holds from outside."""

    def count() -> int:
        assert plane.process is not None
        held = psutil.Process(plane.process.pid).net_connections("tcp")
        return sum(one.status == "ESTABLISHED" and one.laddr.port == plane.port for one in held)

    return count
