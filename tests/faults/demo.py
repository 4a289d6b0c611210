"""The demo with the control plane killed again and again while it runs."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

from atelier_sdk import AtelierError, Client, snapshot
from atelier_templates.demo_project import copy_demo
from tests.faults.campaign import query
from tests.harness.control_plane import ControlPlane, wait_for

# Correct answers of 450: the same on every engine, whatever was killed.
EXPECTED = {"logistic-regression": 0.9756, "random-forest": 0.98}
_ENDED = ("done", "failed", "stopped")


def run_under_fire(plane: ControlPlane, client: Client, project: str, folder: Path, on: str, seed: int) -> int:
    """One demo run to its end; returns how often the control plane was killed. Checks results and attempts."""
    pipeline = copy_demo(folder)
    with snapshot.pack(folder) as packed:
        client.snapshots.upload(project, packed)
    document = json.loads(pipeline.read_text())
    revision = client.revisions.create(project, path=pipeline.name, document=document, snapshot=packed.digest)
    run = client.runs.create(project, revision=revision.id, on=on).id
    chance, strikes, until = random.Random(seed), 0, time.monotonic() + 120
    while client.runs.get(project, run).state not in _ENDED and time.monotonic() < until:
        time.sleep(chance.uniform(0.3, 4))
        plane.kill()
        plane.start()
        strikes += 1
    found = wait_for(client, project, run, 150)
    assert found.state == "done", [(step.name, step.state, step.message) for step in client.steps.list(project, run)]
    assert accuracies(client, project, run) == EXPECTED
    again = query(plane, f"SELECT id FROM attempts WHERE subject = '{run}' AND number > 1")
    assert again == []
    return strikes


def accuracies(client: Client, project: str, run: str) -> dict[str, float]:
    """What the evaluation found, by model."""
    found = {}
    for step in client.steps.list(project, run):
        try:
            views = client.steps.results(project, run, step.name)
        except AtelierError:
            continue
        for view in views:
            if view["kind"] == "metrics" and "accuracy" in view["data"]:
                found[view["title"]] = round(view["data"]["accuracy"], 4)
    return found
