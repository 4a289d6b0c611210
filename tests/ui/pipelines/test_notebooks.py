"""A notebook as a step: its parameters cell, the ports guessed from its code, and what it left, open as a notebook."""

from __future__ import annotations

import uuid

import nbformat
from playwright.async_api import expect

from tests.ui.lab import Lab
from tests.ui.pipelines.canvas import Canvas

PARAMETERS = "times = 2"
WORK = """import os
from pathlib import Path
Path(os.environ["ATELIER_OUTPUTS"], "answer.csv").write_text(f"answer\\n{21 * times}\\n")
print("the answer is", 21 * times)"""


def notebook() -> str:
    made = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
            nbformat.v4.new_code_cell(WORK),
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    return nbformat.writes(made)


async def test_its_parameters_its_ports_and_what_it_left(lab: Lab) -> None:
    folder, page = f"canvas-{uuid.uuid4().hex[:8]}", lab.page
    lab.write(f"{folder}/answer.ipynb", notebook())
    await lab.run("atelier:create-pipeline", {"cwd": folder})
    canvas = Canvas(lab, f"{folder}/untitled.pipeline")
    await expect(page.locator(".at-Canvas-empty")).to_be_visible()
    await lab.run("filebrowser:open-path", {"path": folder})
    await page.locator(".jp-DirListing-item", has_text="answer.ipynb").click(button="right")
    await page.get_by_role("menuitem", name="Add to Pipeline").click()
    await canvas.ready(1)
    await expect(canvas.port("answer", "source", "answer.csv")).to_be_visible()
    await expect(canvas.port("answer", "source", "notebook")).to_be_visible()
    await canvas.step("answer").click()
    value = page.get_by_role("textbox", name="Value of times")
    await expect(value).to_have_value("2")
    await value.fill("3")
    run = await canvas.run()
    assert lab.client.runs.get("ada", run).state == "done"
    assert "the answer is 63" in b"".join(lab.client.steps.logs("ada", run, "answer")).decode()

    await canvas.step("answer").click()
    await lab.run("atelier:show-step-results")
    await page.get_by_role("button", name="Open the notebook").click()
    shown = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    await expect(shown).to_contain_text("the answer is 63", timeout=30_000)
    await expect(shown).to_contain_text("times = 3")
    name = f"executed-notebooks/{run}-answer.ipynb"
    assert lab.read(name)["cells"]
    # What a person has written into it stays when it is opened again, here from the run's page.
    mine = lab.read(name) | {"metadata": {"mine": True}}
    lab.write(name, mine)
    await lab.run("atelier:open-run", {"project": "ada", "run": run})
    await page.get_by_role("tab", name="Outputs", exact=True).click()
    await page.get_by_role("button", name="Open notebook as a notebook").click()
    await expect(shown).to_contain_text("the answer is 63", timeout=30_000)
    assert lab.read(name)["metadata"]["mine"] is True
    assert all("404" in said for said in lab.errors), lab.errors  # whether there was a copy already
