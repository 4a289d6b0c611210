"""A real control plane in a process of its own, to be killed and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from atelier_sdk import Client
from tests.harness.forks import Forked
from tests.harness.hub import TestHub
from tests.harness.ports import free_port

START_SECONDS = 150


class ControlPlane:
    """One on a data folder; all that it is told stands in its configuration file."""

    def __init__(
        self,
        folder: Path,
        hub: TestHub,
        *,
        backends: Mapping[str, Mapping[str, Any]] | None = None,
        db_url: str = "",
        extra_binds: Sequence[str] = (),
        advertise_url: str = "",
        images: Sequence[Mapping[str, Any]] = (),
        **settings_of_its_own: Any,
    ) -> None:
        self.folder = folder
        self.hub = hub
        self.port = free_port()
        self.db_url = db_url or f"sqlite:///{folder}/data/atelier.sqlite"
        self.url = f"http://127.0.0.1:{self.port}/services/atelier"
        self.process: Forked | None = None
        folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "port": self.port,
            "data_dir": str(folder / "data"),
            "hub_api_url": hub.api_url,
            "api_token": hub.service_token,
            "backends": backends or {"local": {"type": "local", "cache_dir": str(environment_cache())}},
            "db_url": db_url,
            "extra_binds": list(extra_binds),
            "advertise_url": advertise_url,
            "images": list(images),
            **settings_of_its_own,
        }
        lines = [f"c.AtelierHub.{name} = {value!r}" for name, value in settings.items() if value]
        (folder / "control-plane.py").write_text("\n".join(["c = get_config()", *lines, ""]))

    def start(self) -> None:
        """Start it (again) and wait until it answers."""
        arguments = ["--config", str(self.folder / "control-plane.py")]
        self.process = Forked(arguments, self.folder / "control-plane.log")
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/api/health", timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.05)
        raise RuntimeError(f"The control plane did not start:\n{self.log()[-3000:]}")

    def kill(self) -> None:
        """As if the power went: no signal handler runs."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        """End it in an orderly way; what runs goes on running."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def close(self) -> None:
        """End it, and on this machine what it left running, too: a service would answer for ever."""
        self.stop()
        subprocess.run(["pkill", "-KILL", "-f", f"{self.folder}/"], check=False)

    def log(self) -> str:
        """What it printed."""
        return (self.folder / "control-plane.log").read_text(errors="replace")

    def client(self, user: str) -> Client:
        """The platform as `user` sees it."""
        return Client(self.url, self.hub.add_user(user))


def environment_cache() -> Path:
    """Where environments made from locks are kept between runs of the tests."""
    return Path(os.environ.get("ATELIER_TEST_CACHE", Path.home() / ".cache" / "atelier"))


def pipeline(steps: Mapping[str, Mapping[str, Any]], **extras: Any) -> dict[str, Any]:
    """A document of Python steps: name → {file, needs, and anything of `app_data.atelier`}."""
    nodes = [_node(name, step) for name, step in steps.items()]
    data = {"version": 8, "ui_data": {"comments": []}, "properties": {"name": "test"}, "atelier": extras}
    primary = {"id": "primary", "runtime_ref": "", "nodes": nodes, "app_data": data}
    return {
        "doc_type": "pipeline",
        "version": "3.0",
        "json_schema": "http://api.dataplatform.ibm.com/schemas/common-pipeline/pipeline-flow/pipeline-flow-v3-schema.json",
        "id": "test",
        "primary_pipeline": "primary",
        "schemas": [],
        "pipelines": [primary],
    }


def _node(name: str, step: Mapping[str, Any]) -> dict[str, Any]:
    extras = {key: value for key, value in step.items() if key not in ("file", "needs", "outputs_files")}
    links = [{"id": f"{need}-{name}", "node_id_ref": need, "port_id_ref": "outPort"} for need in step.get("needs", ())]
    parameters = {
        "filename": step["file"],
        "outputs": list(step.get("outputs_files", ())),
        "env_vars": [],
        "dependencies": [],
        "include_subdirectories": False,
    }
    return {
        "id": name,
        "type": "execution_node",
        "op": "execute-python-node",
        "app_data": {
            "label": name,
            "component_parameters": parameters,
            "ui_data": {"label": name, "x_pos": 0, "y_pos": 0},
            "atelier": {"name": name, **extras},
        },
        "inputs": [{"id": "inPort", "links": links}],
        "outputs": [{"id": "outPort"}],
    }


def submit(client: Client, project: str, folder: Path, document: Mapping[str, Any], **more: Any) -> str:
    """Upload `folder` with the document in it and run it; returns the run's id."""
    from atelier_sdk import snapshot

    (folder / "test.pipeline").write_text(json.dumps(document))
    with snapshot.pack(folder) as packed:
        client.snapshots.upload(project, packed)
    revision = client.revisions.create(project, path="test.pipeline", document=document, snapshot=packed.digest)
    return client.runs.create(project, revision=revision.id, **more).id


def wait_for(client: Client, project: str, run: str, seconds: float = 120) -> Any:
    """The run, once it is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = client.runs.get(project, run)
        if found.state in ("done", "failed", "stopped"):
            return found
        time.sleep(0.05)
    steps = [(step.name, step.state, step.reason, step.message) for step in client.steps.list(project, run)]
    raise AssertionError(f"run {run} is still {found.state} after {seconds} s: {steps}")
