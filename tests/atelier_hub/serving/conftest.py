"""One platform on each database for all tests that harm nobody; those that kill have one of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.atelier_hub.conftest import DATABASES
from tests.atelier_hub.serving.platform import Platform
from tests.harness.hub import TestHub


@pytest.fixture(scope="session", params=DATABASES)
def platform(
    request: pytest.FixtureRequest,
    new_url: Callable[[str], str],
    hub: TestHub,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Platform]:
    """The shared one."""
    folder = tmp_path_factory.mktemp(f"serving-{request.param}")
    running = Platform(folder, hub, "" if request.param == "sqlite" else new_url(request.param)).start()
    yield running
    running.stop()
