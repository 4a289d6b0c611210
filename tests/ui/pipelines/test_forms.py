"""The other forms of a pipeline, filled in by a person and asserted from what the steps got."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from playwright.async_api import Locator, expect

from tests.ui.lab import Lab
from tests.ui.pipelines.canvas import Canvas
from tests.ui.pipelines.test_controls import every_control, given, pick

SLOW = 60_000
TELL = """import json, os
from pathlib import Path
told = {
    "note": Path("notes.txt").read_text(),
    "colour": os.environ.get("CONTROL_COLOUR"),
    "parameters": json.loads(Path(os.environ["ATELIER_PARAMETERS"]).read_text()),
}
Path("made.txt").write_text("made by the first")
print(json.dumps(told))
"""
READ = "from pathlib import Path\nprint('read:', Path('made.txt').read_text())\n"


async def add_item(field: Locator, text: str) -> None:
    """One more item of a list of texts."""
    await field.get_by_role("button", name="Add", exact=True).click()
    await field.get_by_role("textbox").last.fill(text)


async def add_named(field: Locator, name: str) -> None:
    """One more name of an object that takes any."""
    await field.get_by_role("button", name="Add", exact=True).click()
    await field.get_by_role("textbox", name="Name", exact=True).last.fill(name)
    await field.get_by_role("textbox", name="Name", exact=True).last.press("Tab")


def told(canvas: Canvas, run: str, step: str, **which: Any) -> str:
    return b"".join(canvas.lab.client.steps.logs("ada", run, step, **which)).decode()


async def test_files_lists_variables_and_parameters_of_a_script(lab: Lab) -> None:
    folder, page = f"forms-{uuid.uuid4().hex[:8]}", lab.page
    await page.set_viewport_size({"width": 1600, "height": 1000})
    for name, text in {"tell.py": TELL, "read.py": READ, "notes.txt": "beside it"}.items():
        lab.write(f"{folder}/{name}", text)
    await lab.run("atelier:create-pipeline", {"cwd": folder})
    canvas = Canvas(lab, f"{folder}/untitled.pipeline")
    for number, (name, file) in enumerate((("first", "tell.py"), ("second", "read.py")), 1):
        await page.locator('.at-Palette-item[data-item="execute-python-node"] .at-Palette-add').press("Enter")
        await canvas.ready(number)
        await page.get_by_label("Name of the step").fill(name)
        await canvas.field("filename").get_by_role("button", name="Choose a file").click()
        dialog = page.locator(".jp-Dialog")
        await dialog.locator(".jp-DirListing-item", has_text=file).click()
        await dialog.locator(".jp-mod-accept").click()
        await expect(canvas.field("filename").get_by_role("textbox")).to_have_value(file)
        await pick(canvas.field("runtime_image"), "python", "python")
    await canvas.step("first").click()
    await add_item(canvas.field("outputs"), "made.txt")
    await add_item(canvas.field("dependencies"), "notes.txt")
    await add_item(canvas.field("env_vars"), "CONTROL_COLOUR=blue")
    parameters = page.locator(".at-FormSection", has=page.locator("summary", has_text="Parameters"))
    await add_named(parameters, "sizes")
    await parameters.get_by_role("textbox", name="Value of sizes").fill("[1, 2.5]")
    await canvas.drag_edge(canvas.port("first", "source", "outPort"), canvas.port("second", "target", "inPort"))
    await canvas.save()
    await lab.reload()
    await canvas.ready(2)
    await canvas.step("first").click()
    await expect(canvas.field("env_vars").get_by_role("textbox")).to_have_value("CONTROL_COLOUR=blue")
    run = await canvas.run()
    assert lab.client.runs.get("ada", run).state == "done"
    found: dict[str, Any] = json.loads(told(canvas, run, "first").splitlines()[-1])
    assert found == {"note": "beside it", "colour": "blue", "parameters": {"sizes": [1, 2.5]}}
    assert "read: made by the first" in told(canvas, run, "second")


async def test_variables_and_secrets_reach_the_step(lab: Lab) -> None:
    secret = f"key-{uuid.uuid4().hex[:6]}"
    lab.client.secrets.set("ada", secret, "known to the step alone")
    canvas = await every_control(lab)
    await canvas.field("line").get_by_role("textbox").fill("x")
    await canvas.page.locator("summary", has_text="Resources and retries").click()
    await add_named(canvas.field("env"), "CONTROL_COLOUR")
    await canvas.field("env").get_by_role("textbox", name="Value of CONTROL_COLOUR").fill("blue")
    await add_named(canvas.field("secrets"), "CONTROL_KEY")
    await pick(canvas.field("secrets"), secret, secret)
    run = await canvas.run()
    assert given(canvas, run)["variables"] == {"CONTROL_COLOUR": "blue", "CONTROL_KEY": "known to the step alone"}


async def script_step(lab: Lab, source: str) -> Canvas:
    """A new pipeline of one Python file, its resources and retries open."""
    folder = f"forms-{uuid.uuid4().hex[:8]}"
    lab.write(f"{folder}/script.py", source)
    await lab.run("atelier:create-pipeline", {"cwd": folder})
    canvas = Canvas(lab, f"{folder}/untitled.pipeline")
    await lab.run("filebrowser:open-path", {"path": folder})
    await canvas.page.locator(".jp-DirListing-item", has_text="script.py").click(button="right")
    await canvas.page.get_by_role("menuitem", name="Add to Pipeline").click()
    await canvas.ready(1)
    await canvas.step("script").click()
    await canvas.page.locator("summary", has_text="Resources and retries").click()
    return canvas


async def test_a_time_limit_ends_the_step(lab: Lab) -> None:
    canvas = await script_step(lab, "import time\ntime.sleep(120)\n")
    await canvas.field("timeout").get_by_role("textbox").fill("2s")
    run = await canvas.run()
    [step] = lab.client.steps.list("ada", run)
    assert step.state == "failed" and "longer than 2" in step.message
    await expect(canvas.step("script").locator(".at-Step-why")).to_contain_text("longer than 2")


async def test_gpus_are_given_or_it_says_that_there_are_none(lab: Lab) -> None:
    canvas = await script_step(lab, "import os\nprint('devices', os.environ.get('CUDA_VISIBLE_DEVICES'))\n")
    await canvas.field("accelerators").get_by_role("spinbutton").fill("1")
    run = await canvas.run()
    [step] = lab.client.steps.list("ada", run)
    if list(Path("/dev").glob("nvidia[0-9]*")):
        assert step.state == "done" and told(canvas, run, "script").split() == ["devices", "0"]
    else:
        assert step.state == "failed" and "needs 1 nvidia.com/gpu, and this machine has 0" in step.message
        await expect(canvas.step("script").locator(".at-Step-why")).to_contain_text("this machine has 0")


FAILS_ONCE = """import os, sys
from pathlib import Path
print("replica", os.environ["RANK"], "of", os.environ["WORLD_SIZE"], flush=True)
mark = Path(os.environ["CONTROL_MARK"])
if os.environ["RANK"] == "0" and not mark.exists():
    mark.touch()
    sys.exit(3)
"""


async def test_replicas_know_of_each_other_and_are_tried_again(lab: Lab, tmp_path: Path) -> None:
    canvas = await script_step(lab, FAILS_ONCE)
    await canvas.field("replicas").get_by_role("spinbutton").fill("2")
    await canvas.field("topology").get_by_role("combobox").select_option("Together, and know of each other")
    await canvas.field("limit").get_by_role("spinbutton").fill("1")
    causes = canvas.field("causes")
    await expect(causes.get_by_label("A failure of the platform")).to_be_checked()
    await causes.get_by_label("An error of the step").check()
    await add_named(canvas.field("env"), "CONTROL_MARK")
    await canvas.field("env").get_by_role("textbox", name="Value of CONTROL_MARK").fill(str(tmp_path / "mark"))
    await canvas.save()
    await lab.reload()
    await canvas.ready(1)
    await canvas.step("script").click()
    await canvas.page.locator("summary", has_text="Resources and retries").click()
    await expect(canvas.field("causes").get_by_role("checkbox", checked=True)).to_have_count(2)
    run = await canvas.run()
    assert lab.client.runs.get("ada", run).state == "done"
    first, second = lab.client.steps.attempts("ada", run, "script")
    assert (first.state, first.exit_code, second.state) == ("failed", 3, "done")
    said = {told(canvas, run, "script", replica=f"main-{n}").strip() for n in (0, 1)}
    assert said == {"replica 0 of 2", "replica 1 of 2"}
    await expect(canvas.step("script").locator(".at-Step-retry")).to_be_visible()


async def test_what_the_pipeline_itself_says_reaches_its_steps(lab: Lab) -> None:
    canvas = await every_control(lab)
    page = canvas.page
    await canvas.field("line").get_by_role("textbox").fill("{{ TOWN }}, {{ parameters.country }} {{ parameters.year }}")
    await page.locator(".react-flow__pane").click(position={"x": 40, "y": 40})
    await canvas.field("environment").locator(".cm-content").click()
    await page.keyboard.insert_text("TOWN=Bonn")
    section = page.locator(".at-FormSection", has=page.locator("summary", has_text="Run-time parameters"))
    for number, (name, kind, default) in enumerate((("country", "string", "Peru"), ("year", "integer", "2026"))):
        await section.get_by_role("button", name="Add", exact=True).last.click()
        await canvas.field(f"parameters_{number}_name").get_by_role("textbox").fill(name)
        await canvas.field(f"parameters_{number}_type").get_by_role("combobox").select_option(kind)
        await canvas.field(f"parameters_{number}_default").get_by_role("textbox").fill(default)
    await canvas.save()
    await lab.reload()
    await canvas.ready(1)
    await page.locator(".at-RunButton").get_by_role("button").click()
    dialog = page.locator(".jp-Dialog")
    await expect(dialog.locator('[data-field="country"]').get_by_role("textbox")).to_have_value("Peru")
    await dialog.locator('[data-field="year"]').get_by_role("spinbutton").fill("2027")
    await dialog.locator(".jp-mod-accept").click()
    over = page.locator('.at-RunBar[data-state="done"]')
    await expect(over).to_be_visible(timeout=SLOW)
    assert given(canvas, str(await over.get_attribute("data-run")))["line"] == "Bonn, Peru 2027"
