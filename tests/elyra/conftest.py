"""A control plane, and a real Elyra beside it, for all tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser

from atelier_sdk import Client
from tests.elyra.elyra_server import ElyraServer
from tests.harness import browser
from tests.harness.control_plane import ControlPlane, environment_cache
from tests.harness.hub import TestHub

USER = "elyra-user"


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory, hub: TestHub) -> Iterator[ControlPlane]:
    """Steps are local processes."""
    local = {"local": {"type": "local", "cache_dir": str(environment_cache()), "cpu": 16}}
    plane = ControlPlane(tmp_path_factory.mktemp("elyra-plane"), hub, backends=local)
    plane.start()
    yield plane
    plane.stop()


@pytest.fixture(scope="session")
def client(plane: ControlPlane) -> Iterator[Client]:
    """The platform as the person in Elyra sees it."""
    with plane.client(USER) as client:
        yield client


@pytest.fixture(scope="session")
def elyra(tmp_path_factory: pytest.TempPathFactory, plane: ControlPlane) -> Iterator[ElyraServer]:
    """Its server, signed in to that control plane."""
    server = ElyraServer(tmp_path_factory.mktemp("elyra"), plane.url, USER, plane.hub.add_user(USER))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """A browser for its editor."""
    async with browser.chromium() as opened:
        yield opened
