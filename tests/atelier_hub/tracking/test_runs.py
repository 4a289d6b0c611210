"""Runs of the engine as MLflow's own client sees them, also when either side was killed on the way."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atelier_sdk import Client
from tests.harness.control_plane import pipeline, submit, wait_for
from tests.harness.tracking import Member, Platform

V2 = "/api/2.0/mlflow"
STEP = (
    "import json, os, pathlib, time\n"
    "time.sleep(float(os.environ.get('PAUSE', '0')))\n"
    "while not os.path.exists(os.environ.get('GATE', '/')):\n"
    "    time.sleep(0.05)\n"
    "values = json.dumps({'accuracy': 0.5, 'name': 'x'})\n"
    "pathlib.Path(os.environ['ATELIER_OUTPUTS'], 'outputs.json').write_text(values)\n"
    "raise SystemExit(int(os.environ.get('CODE', '0')))\n"
)


class Runs:
    """One person's runs, on both sides."""

    def __init__(self, platform: Platform, folder: Path) -> None:
        self.person: Member = platform.person()
        self.client = Client(platform.plane.url, self.person.token)
        self.mlflow = platform.rest(self.person, self.person.name)
        self.folder = folder / "code"
        self.folder.mkdir()
        (self.folder / "step.py").write_text(STEP)

    def start(self, **env: str) -> str:
        outputs = {"accuracy": "value"}
        step = {"file": "step.py", "image": "python", "env": env, "outputs": outputs}
        return submit(
            self.client, self.person.name, self.folder, pipeline({"one": step, "two": {**step, "needs": ["one"]}})
        )

    def seen(self, run: str) -> list[dict[str, Any]]:
        """The runs at MLflow that say they are this one."""
        found = self.mlflow.get(f"{V2}/experiments/get-by-name", params={"experiment_name": "test"})
        if found.status_code != 200:
            return []
        body = {
            "experiment_ids": [found.json()["experiment"]["experiment_id"]],
            "filter": f"tags.`atelier.run` = '{run}'",
        }
        answer = self.mlflow.post(f"{V2}/runs/search", json=body)
        return list(answer.json().get("runs", [])) if answer.status_code == 200 else []

    def status(self, run: str, wanted: str) -> Callable[[], Any]:
        return lambda: [one for one in self.seen(run) if one["info"]["status"] == wanted]


@pytest.fixture
def runs(platform: Platform, tmp_path: Path) -> Runs:
    return Runs(platform, tmp_path)


def test_a_run_appears_while_it_runs_and_ends_there(runs: Runs, eventually: Callable[..., Any]) -> None:
    gate = runs.folder.parent / "gate"
    run = runs.start(GATE=str(gate))
    eventually(runs.status(run, "RUNNING"))
    gate.touch()
    assert wait_for(runs.client, runs.person.name, run).state == "done"
    (found,) = eventually(runs.status(run, "FINISHED"))
    tags = {one["key"]: one.get("value", "") for one in found["data"]["tags"]}
    metrics = {one["key"]: one["value"] for one in found["data"]["metrics"]}
    assert metrics == {"one/accuracy": 0.5, "two/accuracy": 0.5}
    assert tags["atelier.by"] == runs.person.name and tags["atelier.project"] == runs.person.name
    assert tags["atelier.revision"] and tags["atelier.snapshot"].startswith("sha256:")
    assert tags["atelier.step.one"] == "done" and tags["atelier.step.two"] == "done"
    assert f"`{run}`" in tags["mlflow.note.content"] and "| one | done |" in tags["mlflow.note.content"]
    assert found["info"]["end_time"] >= found["info"]["start_time"]
    failed = runs.start(CODE="3")
    assert wait_for(runs.client, runs.person.name, failed).state == "failed"
    (found,) = eventually(runs.status(failed, "FAILED"))
    assert len(runs.seen(failed)) == 1


def test_neither_kill_loses_a_run_or_tells_it_twice(
    platform: Platform, runs: Runs, eventually: Callable[..., Any]
) -> None:
    first = runs.start(PAUSE="3")
    platform.mlflow.stop(signal.SIGKILL)
    second = runs.start(PAUSE="1")
    assert wait_for(runs.client, runs.person.name, first).state == "done", "MLflow hinders no run"
    platform.plane.kill()
    platform.plane.start()
    platform.mlflow.start()
    third = runs.start()
    time.sleep(1.5)
    platform.plane.kill()
    platform.plane.start()
    for run in (first, second, third):
        assert wait_for(runs.client, runs.person.name, run).state == "done"
        eventually(runs.status(run, "FINISHED"), 120)
        assert len(runs.seen(run)) == 1, "told twice"
    eventually(lambda: not _untold(platform, runs.person.name))


def _untold(platform: Platform, project: str) -> int:
    """How many of its runs MLflow is still to be told of."""
    query = "SELECT count(*) FROM tracked_runs WHERE project = ? AND NOT over"
    with sqlite3.connect(platform.plane.folder / "data/atelier.sqlite") as connection:
        (left,) = connection.execute(query, (project,)).fetchone()
    return int(left)


def test_a_step_uses_the_ordinary_client(platform: Platform, runs: Runs, eventually: Callable[..., Any]) -> None:
    """The environment of a step is all that MLflow's client needs."""
    (runs.folder / "step.py").write_text(
        "import json, os, urllib.request\n"
        "headers = {'Authorization': 'Bearer ' + os.environ['MLFLOW_TRACKING_TOKEN'],\n"
        "           'X-MLFLOW-WORKSPACE': os.environ['MLFLOW_WORKSPACE'], 'Content-Type': 'application/json'}\n"
        "url = os.environ['MLFLOW_TRACKING_URI'] + '/api/2.0/mlflow/experiments/create'\n"
        "body = json.dumps({'name': 'made-in-a-step'}).encode()\n"
        "print(urllib.request.urlopen(urllib.request.Request(url, body, headers)).read().decode())\n"
    )
    step = {"file": "step.py", "image": "python"}
    run = submit(runs.client, runs.person.name, runs.folder, pipeline({"one": step}))
    assert wait_for(runs.client, runs.person.name, run).state == "done"
    found = runs.mlflow.get(f"{V2}/experiments/get-by-name", params={"experiment_name": "made-in-a-step"})
    assert found.status_code == 200, json.dumps(found.json())
