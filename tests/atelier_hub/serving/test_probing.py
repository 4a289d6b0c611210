"""What the control plane asks: replicas whose back end is away, and the gateway where the environment names a proxy."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from atelier_core.errors import BackendUnavailable
from atelier_core.workload import Handle
from atelier_hub.clients.gateway import GatewayClient
from atelier_hub.engine.driver import Driver
from atelier_hub.features.serving import probing
from atelier_hub.features.serving.replicas import Replicas
from atelier_sdk import Client
from atelier_spawner.local.backend import LocalBackend
from tests.atelier_hub.server import Server
from tests.atelier_hub.serving.platform import Platform, answerer
from tests.harness.control_plane import environment_cache
from tests.harness.hub import TestHub

USER = "probing"


class AwayBackend(LocalBackend):
    """Its engine cannot be asked; what runs there goes on."""

    asked = 0

    async def endpoint(self, handle: Handle, port: str) -> str:
        AwayBackend.asked += 1
        raise BackendUnavailable("The API server cannot be reached.", code="cluster_unreachable")


@pytest.fixture
def server(hub: TestHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A control plane that asks often."""
    monkeypatch.setattr(probing, "AGAIN_SECONDS", 0.1)
    backends = {"local": {"type": "local", "cache_dir": str(environment_cache()), "cpu": 16}}
    running = Server(tmp_path / "data", f"sqlite:///{tmp_path}/data/atelier.sqlite", hub, backends=backends).start()
    running.context.get(Replicas)._urls["local"] = running.url  # type: ignore[index]  # its port is known only now
    yield running
    running.stop()


def _until(what: object, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


def test_a_back_end_that_is_away_takes_no_replica_from_traffic(server: Server, hub: TestHub) -> None:
    client = Client(server.url.removesuffix("/api"), hub.add_user(USER))
    client.me()
    definition = answerer("steady", env={"TEXT": "PID"})
    found = client.services.deploy(USER, definition)
    client.services.wait(USER, "steady", found.newest, seconds=60)
    backend = server.context.get(Driver).backends["local"]
    backend.__class__ = AwayBackend
    try:
        _until(lambda: AwayBackend.asked > 10)
        replica = next(iter(client.services.replicas(USER, "steady")))
        assert replica.ready and client.services.get(USER, "steady").state == "running"
        pid = _pid_of(replica.id)
        os.kill(pid, signal.SIGSTOP)  # and yet nobody is thought to be well who is not
        try:
            _until(lambda: not next(iter(client.services.replicas(USER, "steady"))).ready)
        finally:
            os.kill(pid, signal.SIGCONT)
        _until(lambda: next(iter(client.services.replicas(USER, "steady"))).ready)
    finally:
        backend.__class__ = LocalBackend
        client.services.delete(USER, "steady")
        _until(lambda: not list(client.services.list(USER)))


def _pid_of(attempt: str) -> int:
    """The process that listens."""
    for entry in Path("/proc").iterdir():
        try:
            environment = (entry / "environ").read_bytes() if entry.name.isdigit() else b""
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if f"ATELIER_ATTEMPT={attempt}\0".encode() in environment and b"http.server" in command:
            return int(entry.name)
    raise AssertionError(f"{attempt} has no process")


async def test_the_gateway_is_asked_directly_whatever_proxy_the_environment_names(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with GatewayClient(platform.gateway.url, platform.gateway.secret) as gateway:
        assert await gateway.stats() is not None
