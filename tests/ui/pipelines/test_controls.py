"""Every kind of control: filled in by a person, saved, opened again, run, and asserted from what the step got."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from playwright.async_api import Locator, expect

from tests.ui.lab import Lab
from tests.ui.pipelines.canvas import Canvas

CODE = "def answer():\n    return 42"
SLOW = 60_000


async def pick(field: Locator, words: str, value: str) -> None:
    """Open the list, narrow it, take its first offer by keyboard."""
    box = field.get_by_role("combobox")
    await box.click()
    await box.press_sequentially(words)
    await expect(field.page.locator(f'.at-Picker-option[data-value="{value}"]')).to_be_visible()
    await box.press("ArrowDown")
    await box.press("Enter")
    await expect(box).to_have_value(value)
    await expect(field.page.locator(".at-Picker-list")).to_have_count(0)


async def every_control(lab: Lab) -> Canvas:
    """A new pipeline with the one step, and files beside it."""
    folder = f"controls-{uuid.uuid4().hex[:8]}"
    lab.write(f"{folder}/notes.txt", "beside it")
    await lab.page.set_viewport_size({"width": 1600, "height": 1000})
    await lab.run("atelier:create-pipeline", {"cwd": folder})
    canvas = Canvas(lab, f"{folder}/untitled.pipeline")
    await canvas.page.locator('.at-Palette-item[data-item="every-control@1.0"] .at-Palette-add').press("Enter")
    await canvas.ready(1)
    return canvas


async def fill_texts_and_numbers(canvas: Canvas) -> None:
    await canvas.field("line").get_by_role("textbox").fill("one line")
    await canvas.field("lines").get_by_role("textbox").fill("first\nsecond")
    await canvas.field("code").locator(".cm-content").click()
    await canvas.page.keyboard.insert_text(CODE)
    await canvas.field("token").locator("input[type=password]").fill("hidden")
    await canvas.field("weight").get_by_role("spinbutton").fill("0.25")
    await canvas.field("ratio").get_by_role("slider").press("End")
    await canvas.field("count").get_by_role("spinbutton").fill("7")
    await canvas.field("flag").get_by_role("switch").check(force=True)
    await canvas.field("colour").get_by_role("combobox").select_option("blue")
    await canvas.field("size").get_by_label("large").check()
    for day in ("Sunday", "Tuesday", "Monday"):
        await canvas.field("days").get_by_label(day).check()
    await canvas.field("days").get_by_label("Tuesday").uncheck()


async def fill_structures(canvas: Canvas) -> None:
    tags = canvas.field("tags")
    for number, word in enumerate(["b", "a", "gone"]):
        await tags.get_by_role("button", name="Add", exact=True).click()
        await tags.get_by_role("textbox", name=f"Item {number + 1}").fill(word)
    await tags.get_by_role("button", name="Move item 2 up").click()
    await tags.get_by_role("button", name="Remove item 3").click()
    points = canvas.field("points")
    await points.get_by_role("button", name="Add", exact=True).click()
    await canvas.field("points_0_x").get_by_role("spinbutton").fill("1.5")
    await canvas.field("points_0_name").get_by_role("textbox").fill("start")
    await canvas.field("options_depth").get_by_role("spinbutton").fill("3")
    await canvas.field("options_verbose").get_by_role("switch").check(force=True)
    labels = canvas.field("labels")
    await labels.get_by_role("button", name="Add", exact=True).click()
    await labels.get_by_role("textbox", name="Name", exact=True).fill("team")
    await labels.get_by_role("textbox", name="Name", exact=True).press("Tab")
    await labels.get_by_role("textbox", name="Value of team").fill("blue")


async def fill_pickers(canvas: Canvas, dataset: str) -> None:
    await pick(canvas.field("data"), dataset, f"dataset:{dataset}@1")
    await canvas.field("file").get_by_role("button", name="Choose a file").click()
    dialog = canvas.page.locator(".jp-Dialog")
    await dialog.locator(".jp-DirListing-item", has_text="notes.txt").click()
    await dialog.locator(".jp-mod-accept").click()
    await expect(canvas.field("file").get_by_role("textbox")).to_have_value("notes.txt")
    await pick(canvas.field("image"), "python", "python")
    await pick(canvas.field("flavor"), "training", "medium")
    await canvas.field("model").get_by_role("combobox").fill("digits@2")
    await canvas.field("column").get_by_role("textbox").fill("label")


def given(canvas: Canvas, run: str) -> dict[str, Any]:
    """What the step says that it was given."""
    log = b"".join(canvas.lab.client.steps.logs("ada", run, "every-control")).decode()
    found: dict[str, Any] = json.loads(log.splitlines()[-1])
    return found


EXPECTED = {
    "line": "one line",
    "lines": "first\nsecond",
    "code": CODE,
    "token": "hidden",
    "weight": 0.25,
    "ratio": 1,
    "count": 7,
    "flag": True,
    "colour": "blue",
    "size": "large",
    "days": ["Monday", "Sunday"],
    "tags": ["a", "b"],
    "points": [{"x": 1.5, "name": "start"}],
    "options": {"depth": 3, "verbose": True},
    "labels": {"team": "blue"},
    "files": {"rows.csv": "a,b\n1,2\n"},
    "file": "notes.txt",
    "image": "python",
    "flavor": "medium",
    "model": "digits@2",
    "column": "label",
}


async def test_every_control_reaches_the_step(lab: Lab, tmp_path: Path) -> None:
    dataset = f"rows-{uuid.uuid4().hex[:6]}"
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    lab.client.datasets.create("ada", dataset, description="Two columns", tags=[])
    lab.client.datasets.add("ada", dataset, tmp_path / "rows.csv")
    canvas = await every_control(lab)
    await fill_texts_and_numbers(canvas)
    await fill_structures(canvas)
    await fill_pickers(canvas, dataset)
    await canvas.save()
    before = canvas.nodes()
    # Opened again, the form shows what was stored, and changes nothing.
    await lab.reload()
    await canvas.ready(1)
    await canvas.step("every control").click()
    await expect(canvas.field("data").get_by_role("combobox")).to_have_value(f"dataset:{dataset}@1")
    await expect(canvas.field("code").locator(".cm-content")).to_contain_text("return 42")
    await expect(canvas.field("tags").get_by_role("textbox").first).to_have_value("a")
    await expect(canvas.field("labels").get_by_role("textbox", name="Value of team")).to_have_value("blue")
    await expect(canvas.field("flag").get_by_role("switch")).to_be_checked()
    await expect(canvas.field("size").get_by_label("large")).to_be_checked()
    await expect(canvas.field("days").get_by_role("checkbox", checked=True)).to_have_count(2)
    run = await canvas.run()
    assert canvas.nodes() == before
    assert lab.client.runs.get("ada", run).state == "done"
    assert given(canvas, run) == EXPECTED | {"data": f"dataset:{dataset}@1"}
    # The person sees it, too.
    await canvas.step("every control").click()
    await lab.run("atelier:show-step-results")
    await expect(canvas.page.locator(".at-Bottom")).to_contain_text("one line", timeout=SLOW)


async def test_a_wrong_value_is_said_at_its_field(lab: Lab) -> None:
    canvas = await every_control(lab)
    await expect(canvas.field("line").get_by_role("alert")).to_have_text("This is needed.")
    await canvas.field("count").get_by_role("spinbutton").fill("0")
    await expect(canvas.field("count").get_by_role("alert")).to_have_text("It must be at least 1.")
    box = canvas.field("data").get_by_role("combobox")
    await box.fill("dataset:nobody@1")
    await expect(canvas.page.locator(".at-Picker-said")).to_contain_text("No dataset with these words")
    await box.press("Escape")
    await expect(canvas.field("data").get_by_role("alert")).to_contain_text("the project has no", timeout=SLOW)


async def test_a_flavor_fills_in_the_resources(lab: Lab) -> None:
    canvas = await every_control(lab)
    await canvas.page.locator("summary", has_text="Resources and retries").click()
    await pick(canvas.page.locator('.at-Field[data-field="flavor"]').last, "small", "small")
    await expect(canvas.field("cpu").get_by_role("spinbutton")).to_have_value("0.5")
    await canvas.save()
    resources = canvas.nodes()["every control"]["app_data"]["atelier"]["resources"]
    assert resources == {"cpu": 0.5, "memory": "1024Mi", "accelerators": 0}


async def test_the_run_dialog_has_the_pickers_of_the_steps(lab: Lab, tmp_path: Path) -> None:
    dataset = f"rows-{uuid.uuid4().hex[:6]}"
    (tmp_path / "rows.csv").write_text("a,b\n3,4\n")
    lab.client.datasets.create("ada", dataset, description="Two columns", tags=[])
    lab.client.datasets.add("ada", dataset, tmp_path / "rows.csv")
    canvas = await every_control(lab)
    await canvas.field("line").get_by_role("textbox").fill("x")
    await canvas.field("data").get_by_role("combobox").fill("{{ parameters.rows }}")
    await canvas.save()
    document = lab.read(canvas.path)
    document["pipelines"][0]["app_data"]["atelier"] = {"parameters": [{"name": "rows", "type": "string"}]}
    lab.write(canvas.path, document)
    await lab.run("docmanager:reload")
    await canvas.page.locator(".at-RunButton").get_by_role("button").click()
    dialog = canvas.page.locator(".jp-Dialog")
    await pick(dialog.locator('[data-field="rows"]'), dataset, f"dataset:{dataset}@1")
    await expect(dialog).to_have_count(1)  # Enter took the offer, and did not close the dialog
    await dialog.locator(".jp-mod-accept").click()
    over = canvas.page.locator('.at-RunBar[data-state="done"]')
    await expect(over).to_be_visible(timeout=SLOW)
    assert given(canvas, str(await over.get_attribute("data-run")))["files"] == {"rows.csv": "a,b\n3,4\n"}


async def test_models_are_offered_by_reference_and_by_name(lab: Lab, tmp_path: Path) -> None:
    model = f"m{uuid.uuid4().hex[:6]}"
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: mine\n")
    lab.client.models.register("ada", model, tmp_path / "model")
    canvas = await every_control(lab)
    await pick(canvas.field("model"), model, f"models:/{model}/1")
    await canvas.page.locator('.at-Palette-item[data-item^="model-register@"] .at-Palette-add').press("Enter")
    await canvas.ready(2)
    await pick(canvas.field("name"), model, model)
