"""A run whose step has left three models, trained for real: two of the same columns, one of the pixels of images."""

from __future__ import annotations

import time
from pathlib import Path

from playwright.async_api import Locator, Page, expect

from atelier_sdk import AtelierError, Client
from tests.harness.control_plane import pipeline, submit, wait_for
from tests.ui.lab import Lab

TRAIN = """
import json, os, pickle
from pathlib import Path
import numpy as np, pandas as pd, yaml
from sklearn.linear_model import LinearRegression
rows = pd.DataFrame({"width": [n % 10 + 0.5 for n in range(420)], "height": [n % 7 / 7 for n in range(420)]})
shades = pd.DataFrame(np.random.default_rng(0).uniform(0, 16, (300, 16)), columns=[f"p{at}" for at in range(16)])
flavors = {"sklearn": {"pickled_model": "model.pkl", "serialization_format": "pickle"},
           "python_function": {"loader_module": "mlflow.sklearn", "model_path": "model.pkl"}}
for name, table, wanted in (
    ("model", rows, 2 * rows["width"] - rows["height"]),
    ("second", rows, 3 * rows["width"] - rows["height"]),
    ("pixels", shades, shades.sum(axis=1)),
):
    model = LinearRegression().fit(table, wanted)
    columns = [{"name": column, "type": "double", "required": True} for column in table]
    answers = [{"name": "y", "type": "double", "required": True}]
    signature = {"inputs": json.dumps(columns), "outputs": json.dumps(answers)}
    folder = Path(os.environ["ATELIER_OUTPUTS"], name)
    folder.mkdir()
    (folder / "model.pkl").write_bytes(pickle.dumps(model))
    table.to_csv(folder / "training_sample.csv", index=False)
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors, "signature": signature}))
metrics = [{"metric_type": "metrics", "title": "Numbers", "metrics": {"r2": 0.75}}]
Path(os.environ["ATELIER_RESULTS"], "metric.json").write_text(json.dumps(metrics))
"""


def train(client: Client, project: str, folder: Path) -> str:
    """The run; its step `train` has the outputs `model`, `second` and `pixels`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.py").write_text(TRAIN)
    outputs = dict.fromkeys(("model", "second", "pixels"), "model")
    document = pipeline({"train": {"file": "train.py", "image": "ml", "outputs": outputs}})
    run = submit(client, project, folder, document)
    assert wait_for(client, project, run, 300).state == "done"
    _wait_for_registry(client, project, run)
    return run


def _wait_for_registry(client: Client, project: str, run: str) -> None:
    """MLflow starts after the platform, on a busy machine minutes after; nothing is registered before."""
    until, name = time.monotonic() + 300, f"first-{run}"
    while True:
        try:
            client.models.register_run(project, name, run=run, step="train", output="model")
            break
        except AtelierError as error:
            if error.status != 503 or time.monotonic() > until:
                raise
            time.sleep(2)
    client.models.delete(project, name)


async def begin(lab: Lab, command: str, **args: str) -> Locator:
    """A command that asks something first: its dialog, for which nobody waits here."""
    start = "([command, args]) => { void window.jupyterapp.commands.execute(command, args); }"
    await lab.page.evaluate(start, [command, args])
    dialog = lab.page.get_by_role("dialog")
    await expect(dialog).to_be_visible()
    return dialog


async def answer(page: Page, button: str, **fields: str) -> None:
    """Fill the dialog that is open, and press one of its buttons; it goes."""
    dialog = page.get_by_role("dialog")
    for label, text in fields.items():
        await dialog.get_by_label(label, exact=False).first.fill(text)
    await dialog.get_by_role("button", name=button, exact=True).click()
    await expect(dialog).to_have_count(0)


def fact(page: Page, name: str) -> Locator:
    """A row of the facts about a version."""
    return page.locator(".at-Facts tr").filter(has=page.get_by_role("rowheader", name=name, exact=True))
