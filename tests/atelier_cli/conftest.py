"""A real hub and a real control plane with local processes, shared by the tests of the command and the client."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from atelier_cli import main
from atelier_sdk import Client, Credentials, credentials
from tests.harness.control_plane import ControlPlane
from tests.harness.hub import TestHub

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The control plane; nobody kills it here."""
    folder = tmp_path_factory.mktemp("platform")
    hub = TestHub(folder / "hub")
    hub.start()
    plane = ControlPlane(folder / "control-plane", hub)
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()
        hub.stop()


@dataclass
class Shell:
    """A person at a terminal, signed in."""

    home: Path
    name: str
    token: str
    client: Client

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The command, going on."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("ATELIER_")}
        return subprocess.Popen(
            [sys.executable, "-c", "from atelier_cli.main import main; main()", *arguments],
            env=clean | {"HOME": str(self.home)},
            cwd=self.home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """The command until it ends, in this process: a Python of its own for each would take most of the time."""
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setenv("HOME", str(self.home))
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            code = main.run(list(arguments))
        told = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
        return subprocess.CompletedProcess(arguments, code, *told)


@pytest.fixture
def shell(platform: ControlPlane, tmp_path: Path) -> Iterator[Callable[[], Shell]]:
    """Makes people who are signed in."""
    clients = []

    def make() -> Shell:
        name = f"person{next(_numbers)}"
        token = platform.hub.add_user(name)
        home = tmp_path / name
        home.mkdir()
        credentials.save(Credentials(url=platform.url, token=token), home / ".config/atelier/credentials.json")
        clients.append(Client(platform.url, token))
        return Shell(home, name, token, clients[-1])

    yield make
    for client in clients:
        client.close()
