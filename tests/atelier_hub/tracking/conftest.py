"""The parts of the platform that have to do with models, started once for the tests here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.harness import tracking
from tests.harness.control_plane import environment_cache
from tests.harness.hub import TestHub
from tests.harness.tracking import SECONDS, Platform


@pytest.fixture(scope="session")
def platform(hub: TestHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Everything, started once."""
    local = {"type": "local", "cache_dir": str(environment_cache()), "cpu": 8}
    with tracking.running(tmp_path_factory.mktemp("tracking"), hub, backends={"local": local}) as platform:
        yield platform


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Waits until a function gives something true, and returns that."""

    def wait(look: Callable[[], Any], seconds: float = SECONDS) -> Any:
        until = time.monotonic() + seconds
        while True:
            found = look()
            if found:
                return found
            assert time.monotonic() < until, f"not within {seconds} s; the last was {found!r}"
            time.sleep(0.3)

    return wait
