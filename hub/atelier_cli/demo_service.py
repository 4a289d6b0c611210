"""The end of the demo: its model is registered, answers at a URL, and is asked about one digit."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from atelier_cli.service import show_progress
from atelier_cli.session import Session
from atelier_cli.template import download
from atelier_core.names import slug
from atelier_sdk import Client
from atelier_sdk.errors import Unreachable
from atelier_sdk.models import Artifact, Run
from atelier_sdk.registry import ModelVersion
from atelier_sdk.services import Service

NAME = "digits"
MLFLOW_SECONDS = 600.0
MODEL_STEP, TEST_STEP, ROWS_OUTPUT = "random-forest", "evaluate", "test"
RAW_STEP, PREPARED_STEP = "split", "standardize"


def serve(session: Session, run: Run) -> None:
    """Register, deploy and ask, if the run has what that needs: the demo is its user's to change."""
    found = {(one.step, one.name): one for one in session.client.runs.artifacts(session.project, run.id)}
    rows = _rows_step(session, run)
    if (MODEL_STEP, "model") not in found or (rows, ROWS_OUTPUT) not in found:
        session.out.note(f"Nothing is served: the pipeline has no steps {MODEL_STEP!r} and {rows!r} any more.")
        return
    service = _deploy(session, run)
    names, row, truth = _one_digit(session, found[rows, ROWS_OUTPUT])
    data = {"name": "rows", "shape": [1, len(names)], "datatype": "FP64", "data": row}
    answer = session.client.services.infer(service, [data])
    predicted = next(iter(answer.values()))["data"][0]
    address = session.client.services.address(service, model=True)
    session.out.text(f"\nThe service {service.name} answers at {address}")
    session.out.text(f"Asked about a handwritten {truth}, it says {predicted}.")
    session.out.text(f"A key for others: atelier service key create NAME --service {service.name}")


def _rows_step(session: Session, run: Run) -> str:
    """Whose rows the model takes: raw ones, unless this copy of the demo is one that still tests on prepared ones."""
    needs = {one.name: one.needs for one in session.client.steps.list(session.project, run.id)}
    return RAW_STEP if RAW_STEP in needs.get(TEST_STEP, [RAW_STEP]) else PREPARED_STEP


def _deploy(session: Session, run: Run) -> Service:
    """The model of this run as a new version, serving instead of the one before; asleep while nobody asks."""
    client, project = session.client, session.project
    version = _register(session, run)
    if not version.approved:
        client.models.approve(project, NAME, version.number, note="The demo's own.")
    name = service_name(client, project, run.on)
    definition = {
        "name": name,
        "model": f"models:/{NAME}/{version.number}",
        "on": run.on,
        "replicas": {"min": 0, "max": 1},
        "description": "Recognises handwritten digits.",
    }
    found = client.services.deploy(project, definition, idempotency_key=f"demo-{run.id}")
    return client.services.wait(project, name, found.newest, changed=lambda one: show_progress(session, one))


def service_name(client: Client, project: str, on: str) -> str:
    """`digits`, or another where an earlier demo has one of that name elsewhere: a service does not move."""
    taken = {one.name: one.on for one in client.services.list(project)}
    return NAME if taken.get(NAME, on) == on else slug(f"{NAME}-{on}", 40)


def _register(session: Session, run: Run) -> ModelVersion:
    """A version of the run's model; right after the first start MLflow may still be on its way."""
    until, told = time.monotonic() + MLFLOW_SECONDS, False
    while True:
        try:
            return session.client.models.register_run(
                session.project, NAME, run=run.id, step=MODEL_STEP, note="The demo's random forest."
            )
        except Unreachable as error:
            if error.code != "mlflow_unavailable" or time.monotonic() > until:
                raise
        if not told:
            session.out.note("MLflow, which keeps the models, is not there yet; waiting for it…")
            told = True
        time.sleep(1)


def _one_digit(session: Session, rows: Artifact) -> tuple[list[str], list[float], str]:
    """Names and values of the features of the first row that the model has not seen, and its label."""
    with TemporaryDirectory() as name:
        download(session.client, session.project, rows, Path(name) / "rows")
        table = next(Path(name).rglob("data.csv"))
        label = json.loads(table.with_name("dataset.json").read_text("utf-8"))["label"]
        with table.open(encoding="utf-8", newline="") as lines:
            row = next(csv.DictReader(lines))
    truth = row.pop(label)
    return list(row), [float(value) for value in row.values()], truth
