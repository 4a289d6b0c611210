"""MLflow, the control plane and the gateway, each a real process, as tests of models and services need them."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from atelier_cli.platform.tracking import environment
from tests.harness.control_plane import ControlPlane
from tests.harness.hub import TestHub
from tests.harness.mlflow import MlflowServer
from tests.harness.ports import free_port

_numbers = itertools.count(1)
GATEWAY = "/services/atelier-gateway"
SECONDS = 60.0


@dataclass
class Member:
    """Somebody with a token."""

    name: str
    token: str
    http: httpx.Client

    @property
    def base(self) -> str:
        """Their own project."""
        return f"/projects/{self.name}"


@dataclass
class Platform:
    """The parts, and how to reach them."""

    hub: TestHub
    mlflow: MlflowServer
    plane: ControlPlane
    gateway_url: str
    gateway: subprocess.Popen[bytes]
    secret: str
    folder: Path

    @property
    def tracking_uri(self) -> str:
        """What people set as MLFLOW_TRACKING_URI."""
        return f"{self.gateway_url}{GATEWAY}/mlflow"

    def person(self, groups: tuple[str, ...] = ()) -> Member:
        """Somebody new, who was here once."""
        name = f"track{next(_numbers)}"
        token = self.hub.add_user(name, groups)
        http = httpx.Client(
            base_url=f"{self.plane.url}/api", headers={"Authorization": f"Bearer {token}"}, timeout=SECONDS
        )
        http.get("/me").raise_for_status()
        return Member(name, token, http)

    def rest(self, person: Member, workspace: str = "") -> httpx.Client:
        """MLflow's REST API through the gateway, as `person`."""
        headers = {"Authorization": f"Bearer {person.token}"} | ({"X-MLFLOW-WORKSPACE": workspace} if workspace else {})
        return httpx.Client(base_url=self.tracking_uri, headers=headers, timeout=SECONDS, trust_env=False)

    def script(self, person: Member, source: str, project: str = "", **env: str) -> str:
        """What a Python program prints that has the ordinary MLflow client and this person's token."""
        python = environment.make(environment.default_cache())
        variables = {
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "MLFLOW_TRACKING_TOKEN": person.token,
            "MLFLOW_WORKSPACE": project or person.name,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
            "GIT_PYTHON_REFRESH": "quiet",
        }
        done = subprocess.run(
            [str(python), "-W", "ignore", "-c", source],
            env={**os.environ, **variables, **env},
            capture_output=True, text=True, timeout=240, check=False, cwd=self.folder,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout


@contextmanager
def running(
    folder: Path, hub: TestHub, *, gateway_binds: Sequence[str] = (), **plane_options: Any
) -> Iterator[Platform]:
    """All of them, the control plane with these options."""
    mlflow = MlflowServer(folder / "mlflow").start()
    secret, password, port = folder / "gateway-secret", folder / "mlflow-password", free_port()
    secret.write_text("between gateway and control plane")
    password.write_text(mlflow.password)
    plane = ControlPlane(
        folder / "plane",
        hub,
        gateway_url=f"http://127.0.0.1:{port}",
        gateway_public_url=f"http://127.0.0.1:{port}{GATEWAY}",
        gateway_secret_file=str(secret),
        mlflow_url=mlflow.url,
        mlflow_password_file=str(password),
        **plane_options,
    )
    plane.start()
    gateway = _start_gateway(folder, port, plane, secret, gateway_binds)
    try:
        yield Platform(hub, mlflow, plane, f"http://127.0.0.1:{port}", gateway, secret.read_text(), folder)
    finally:
        gateway.terminate()
        gateway.wait(30)
        plane.close()
        mlflow.stop()


def _start_gateway(
    folder: Path, port: int, plane: ControlPlane, secret: Path, binds: Sequence[str]
) -> subprocess.Popen[bytes]:
    settings: dict[str, Any] = {
        "port": port,
        "extra_binds": list(binds),
        "data_dir": str(folder / "gateway"),
        "control_plane_url": f"{plane.url}/api",
        "secret_file": str(secret),
    }
    config = folder / "gateway.py"
    config.write_text("\n".join(f"c.AtelierGateway.{name} = {value!r}" for name, value in settings.items()))
    with (folder / "gateway.log").open("ab") as log:
        command = [sys.executable, "-m", "atelier_gateway", "--config", str(config)]
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}{GATEWAY}/health", timeout=2).status_code == 200:
                return process
        except httpx.HTTPError:
            time.sleep(0.1)
    raise RuntimeError((folder / "gateway.log").read_text()[-3000:])
