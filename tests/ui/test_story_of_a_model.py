"""From a notebook to an answer: trained, registered, deployed, asked, as a person does it in JupyterLab."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from atelier_sdk import Client
from tests.ui.lab import Lab
from tests.ui.models.trained import fact
from tests.ui.test_story import Person

# Where the pictures of the README come from: ATELIER_TEST_SCREENSHOTS=docs/images
PICTURES = os.environ.get("ATELIER_TEST_SCREENSHOTS", "")
SLOW, VERY_SLOW = 120_000, 240_000

TRAIN = """
import mlflow
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

mlflow.set_experiment("flowers")
mlflow.sklearn.autolog(log_models=False)
flowers, kinds = load_iris(return_X_y=True, as_frame=True)
with mlflow.start_run():
    model = LogisticRegression(max_iter=300).fit(flowers, kinds)
    mlflow.sklearn.log_model(model, name="model", input_example=flowers.head(2), registered_model_name={name!r},
                             serialization_format="cloudpickle", pip_requirements=["scikit-learn"])
print("score", round(model.score(flowers, kinds), 2))
"""


def notebook(*cells: str) -> dict[str, Any]:
    """With the kernel of the image in which steps train."""
    kernel = {"name": "atelier-ml", "display_name": "Python (image ml)", "language": "python"}
    made = [
        {"cell_type": "code", "id": str(at), "metadata": {}, "source": text, "outputs": [], "execution_count": None}
        for at, text in enumerate(cells)
    ]
    return {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture
def name(client: Client) -> Iterator[str]:
    """Of the model and the service; nothing of them is left."""
    chosen = f"flowers-{uuid.uuid4().hex[:4]}"
    yield chosen
    for service in client.services.list("ada"):
        if service.name == chosen:
            client.services.delete("ada", chosen)


@pytest.mark.timeout(600)  # the environments of the kernel and of the service may have to be made first
async def test_from_a_notebook_to_an_answer(
    lab: Lab, client: Client, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.write("flowers.ipynb", notebook(TRAIN.format(name=name).strip()))
    page, person = lab.page, Person(lab.page)
    await person.click(page.locator(".jp-DirListing-item", has_text="flowers.ipynb"), twice=True)
    await train(person)
    await deploy(person, name)
    await ask(person)
    with capsys.disabled():
        told = f"{len(person.stages)} stages, {person.clicks} clicks, {person.fields} fields"
        print(f"\nfrom a notebook to an answer: {told} ({', '.join(person.stages)})")
    found = client.models.get("ada", name)
    assert found.newest is not None and found.newest.framework == "sklearn"
    assert client.models.version("ada", name, 1).created_by == "ada"  # it was MLflow's own client that registered it
    assert client.services.get("ada", name).source == f"models:/{name}/1"


async def train(person: Person) -> None:
    page = person.page
    cell = page.locator(".jp-Notebook .jp-CodeCell").first
    await expect(page.locator(".jp-Toolbar-kernelName", has_text="image ml")).to_be_visible(timeout=SLOW)
    await expect(page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first).to_be_visible(
        timeout=VERY_SLOW
    )
    await person.click(cell.locator(".cm-content"))
    await page.keyboard.press("Shift+Enter")
    await expect(cell.locator(".jp-OutputArea").last).to_contain_text("score 0.9", timeout=VERY_SLOW)
    await _stage(person, "trained in a notebook")


async def deploy(person: Person, name: str) -> None:
    page = person.page
    await person.click(page.locator(".lm-TabBar-tab[data-id='atelier-models']"))
    row = page.locator("#atelier-models .at-RowList-row", has_text=name)
    await person.click(row, twice=True)
    await expect(page.locator(".at-Versions tbody tr")).to_contain_text("Version 1", timeout=SLOW)
    await expect(fact(page, "From")).to_contain_text("MLflow run")
    await _stage(person, "registered")
    await person.click(page.get_by_role("button", name="Deploy…"))
    await person.click(page.get_by_role("dialog").get_by_role("button", name="Deploy", exact=True))
    await expect(page.locator(".at-Service")).to_be_visible(timeout=VERY_SLOW)
    await expect(page.get_by_role("region", name="Replicas")).to_contain_text("answers")
    await _stage(person, "deployed")


async def ask(person: Person) -> None:
    page = person.page
    await person.click(page.get_by_role("tab", name="Try it"))
    flower = {"sepal length": "6.3", "sepal width": "3.3", "petal length": "6.0", "petal width": "2.5"}
    for part, centimetres in flower.items():
        await person.fill(page.get_by_label(f"{part} (cm), row 1"), centimetres)
    await person.click(page.get_by_role("button", name="Send", exact=True))
    await expect(page.locator(".at-Answer-label")).to_contain_text("2", timeout=30_000)  # virginica
    await _stage(person, "asked")


async def _stage(person: Person, name: str) -> None:
    person.stages.append(name)
    if PICTURES:
        await _picture(person.page, Path(PICTURES) / f"model-{len(person.stages)}-{name.replace(' ', '-')}.png")


async def _picture(page: Page, file: Path) -> None:
    await page.wait_for_timeout(700)
    file.parent.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=file)
