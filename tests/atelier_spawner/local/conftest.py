"""Local engines with folders of their own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.engine_local import LocalEngine
from tests.harness.attempt_api import AttemptApi

NewEngine = Callable[..., LocalEngine]


@pytest.fixture
def new_engine(tmp_path: Path) -> Iterator[NewEngine]:
    """Makes engines on one folder; keywords are options of the back end."""
    (tmp_path / "cache").mkdir()
    api = AttemptApi(tmp_path)
    api.start()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"

    def make(**options: Any) -> LocalEngine:
        engine = LocalEngine(api, tmp_path / "data", tmp_path / "cache", version)
        engine.options.update(options)
        return engine

    yield make
    api.stop()
