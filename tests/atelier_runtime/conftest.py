"""The attempt protocol for tests of the runtime's parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.attempt_api import AttemptApi


@pytest.fixture
def api(tmp_path: Path) -> Iterator[AttemptApi]:
    """A server of its own for each test."""
    server = AttemptApi(tmp_path)
    server.start()
    yield server
    server.stop()
