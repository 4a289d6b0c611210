"""One hub and one control plane for all stories, people with the command at hand, and a place to leave marks."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from atelier_sdk import Client, Credentials, credentials
from tests.harness import tracking
from tests.harness.cluster.fixtures import Cluster, cluster
from tests.harness.cluster.platform import emptied, plane_options
from tests.harness.control_plane import ControlPlane, environment_cache, pipeline, submit, wait_for
from tests.harness.hub import TestHub
from tests.harness.ports import free_port
from tests.harness.tracking import Platform

__all__ = ["cluster"]

_PREFIX = "e2e-"
_numbers = itertools.count(1)
# More than this machine has: these steps wait for each other, they do not compute.
LOCAL = {"local": {"type": "local", "cache_dir": str(environment_cache()), "cpu": 16}}


@dataclass
class Person:
    """Somebody at a terminal, signed in; their project has their name."""

    name: str
    token: str
    client: Client
    home: Path
    plane: ControlPlane
    on: str = "local"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The command, going on."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("ATELIER_")}
        return subprocess.Popen(
            [sys.executable, "-c", "from atelier_cli.main import main; main()", *arguments],
            env=clean | {"HOME": str(self.home), "PYTHONIOENCODING": "utf-8"},
            cwd=self.home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def command(self, *arguments: str, stdin: str = "", seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """The command until it ends."""
        process = self.start(*arguments)
        try:
            out, err = process.communicate(stdin, timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{arguments} did not end in {seconds} s: {out}{err}") from None
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def close(self) -> None:
        """Let go of the connection."""
        self.client.close()

    def http(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A request below this person's project as it stands in the API, without the client between."""
        url = f"{self.plane.url}/api/projects/{self.name}/{path}"
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        return httpx.request(method, url, headers=headers, timeout=60, **options)

    def folder(self, files: Mapping[str, str | bytes], name: str = "project") -> Path:
        """A folder at home with these files in it."""
        folder = self.home / name
        for path, content in files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        folder.mkdir(exist_ok=True)
        return folder

    def submit(
        self, code: Mapping[str, str | bytes], steps: Mapping[str, Mapping[str, Any]], *, run: Any = None, **extras: Any
    ) -> str:
        """Start a run of Python steps that need no packages; `run` holds what the run itself is given."""
        document = pipeline({name: {"image": "python", **step} for name, step in steps.items()}, **extras)
        return submit(self.client, self.name, self.folder(code), document, on=self.on, **(run or {}))

    def wait(self, run: str, seconds: float = 90) -> Any:
        """The run, once it is over."""
        return wait_for(self.client, self.name, run, seconds)

    def steps(self, run: str) -> dict[str, Any]:
        """The run's steps by name."""
        return {step.name: step for step in self.client.steps.list(self.name, run)}

    def attempts(self, run: str, step: str) -> list[Any]:
        """All tries of a step."""
        return list(self.client.steps.attempts(self.name, run, step))

    def values(self, run: str, step: str) -> dict[str, Any]:
        """The values that a step left."""
        return dict(self.attempts(run, step)[-1].values)

    def log(self, run: str, step: str, **options: Any) -> str:
        """What a step wrote."""
        return b"".join(self.client.steps.logs(self.name, run, step, **options)).decode()

    def artifact(self, run: str, step: str, name: str) -> Any:
        """A stored output, by step and name."""
        found = {(one.step, one.name): one for one in self.client.runs.artifacts(self.name, run)}
        return found[step, name]

    def download(self, run: str, step: str, name: str) -> bytes:
        """The bytes of a stored output."""
        artifact = self.artifact(run, step, name)
        return self.client.artifacts.download(self.name, artifact.id, self.home / f".{artifact.id}").read_bytes()


NewPerson = Callable[..., Person]


@pytest.fixture(scope="package")
def plane(tmp_path_factory: pytest.TempPathFactory, hub: TestHub) -> Iterator[ControlPlane]:
    """The control plane with local processes; nobody kills it here."""
    plane = ControlPlane(tmp_path_factory.mktemp("e2e"), hub, backends=LOCAL)
    plane.start()
    yield plane
    plane.stop()
    shutil.rmtree(plane.folder / "data" / "store", ignore_errors=True)  # it has gigabytes


@pytest.fixture(scope="session")
def cluster_platform(tmp_path_factory: pytest.TempPathFactory, hub: TestHub, cluster: Cluster) -> Iterator[Platform]:
    """All of the platform, with pods for its steps and services."""
    with emptied(cluster, _PREFIX):
        host, port = cluster.advertise_host or "127.0.0.1", free_port()
        way = {"mlflow_url": f"http://{host}:{port}{tracking.GATEWAY}/mlflow", "platform_ports": [port]}
        options = plane_options(cluster, _PREFIX, **way)
        folder = tmp_path_factory.mktemp("e2e-cluster")
        with tracking.running(folder, hub, gateway_binds=[f"{host}:{port}"], **options) as platform:
            yield platform


@pytest.fixture(scope="session")
def cluster_plane(cluster_platform: Platform) -> ControlPlane:
    """A control plane whose steps are pods."""
    return cluster_platform.plane


@pytest.fixture
def new_person(plane: ControlPlane, tmp_path: Path) -> Iterator[NewPerson]:
    """Makes people who are signed in, on the shared control plane or on another."""
    people: list[Person] = []

    def make(on_plane: ControlPlane = plane, on: str = "local") -> Person:
        people.append(person_on(on_plane, tmp_path, on))
        return people[-1]

    yield make
    for person in people:
        person.close()


def person_on(plane: ControlPlane, place: Path, on: str = "local") -> Person:
    """A new person who is signed in to `plane`, with a home below `place`."""
    name = f"e{next(_numbers)}-{os.getpid() % 10000}"
    token = plane.hub.add_user(name)
    home = place / name
    home.mkdir()
    credentials.save(Credentials(url=plane.url, token=token), home / ".config/atelier/credentials.json")
    return Person(name, token, Client(plane.url, token), home, plane, on)


@pytest.fixture
def anna(new_person: NewPerson) -> Person:
    """A new person whose steps are local processes."""
    return new_person()


@pytest.fixture(params=["local", pytest.param("cluster", marks=pytest.mark.cluster)])
def everywhere(request: pytest.FixtureRequest, new_person: NewPerson) -> Person:
    """A new person on each engine."""
    if request.param == "local":
        return new_person()
    return new_person(request.getfixturevalue("cluster_plane"), "cluster")


@pytest.fixture
def marks() -> Iterator[Path]:
    """A folder that every step of this machine may write to, whoever it runs as."""
    with tempfile.TemporaryDirectory(prefix="marks-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o1777)
        yield folder
