"""Model servers that the tests share, one for each model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.atelier_serve import environments
from tests.atelier_serve.model_server import ModelServer, matrix

Start = Callable[..., ModelServer]


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder with one folder for each model."""
    return environments.models()


@pytest.fixture(scope="session")
def expected(models: Path) -> dict[str, Any]:
    """Rows and what is right for them, by model."""
    found: dict[str, Any] = json.loads((models / "expected.json").read_text())
    return found


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Start]:
    """`shared(image, model)`: a running server that the tests of the session share."""
    running: dict[str, ModelServer] = {}

    def start(image: str, model: str) -> ModelServer:
        if model not in running:
            running[model] = ModelServer(image, models / model, tmp_path_factory.mktemp("serve") / f"{model}.log")
            running[model].start()
        return running[model]

    yield start
    for server in running.values():
        server.kill()


@pytest.fixture
def server(tmp_path: Path, models: Path) -> Iterator[Start]:
    """`server(image, model or folder, *options)`: a server of this test alone, not yet started."""
    made: list[ModelServer] = []

    def make(image: str, model: str | Path, *options: str) -> ModelServer:
        log = tmp_path / f"server-{len(made)}.log"
        made.append(ModelServer(image, models / model, log, *options))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.fixture(scope="session")
def digits(shared: Start) -> ModelServer:
    """The main example: 64 columns of numbers."""
    return shared("serve-sklearn", "digits")


@pytest.fixture(scope="session")
def mixed(shared: Start) -> ModelServer:
    """Numbers and texts."""
    return shared("serve-sklearn", "mixed")


@pytest.fixture(scope="session")
def sleeper(shared: Start) -> ModelServer:
    """Sleeps as long as it is told; the server has seen that it may be slow."""
    server = shared("serve-sklearn", "sleeper")
    server.ask(matrix([[0.1]]))
    return server
