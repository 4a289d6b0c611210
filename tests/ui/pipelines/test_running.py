"""Running: what the steps show, asserted from what they did."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

from playwright.async_api import expect

from tests.harness.control_plane import pipeline
from tests.ui.lab import Lab
from tests.ui.pipelines.canvas import Canvas, open_chain, open_demo
from tests.ui.runs.steps import lasts_until

SCRIPT = "print('the answer is', 6 * 7)\n"


async def test_a_changed_parameter_reaches_the_step(lab: Lab) -> None:
    canvas = await open_demo(lab, steps=2)
    page = canvas.page
    await canvas.step("split").click()
    await canvas.field("test_size").get_by_role("button", name="Use a plain value").click()
    await canvas.field("test_size").get_by_role("spinbutton").fill("0.4")
    run = await canvas.run()
    states = await page.locator(".at-Step").evaluate_all("all => all.map(one => one.dataset.state)")
    assert states == ["done"] * 2
    [attempt] = lab.client.steps.attempts("ada", run, "split")
    assert attempt.state == "done"
    await canvas.step("split").click()
    await lab.run("atelier:show-step-log")
    await expect(page.locator(".at-Log")).to_contain_text("train: 1078 rows, test: 719 rows", timeout=20_000)
    await lab.reload()
    await expect(page.locator(f'.at-RunBar[data-run="{run}"]')).to_have_attribute("data-state", "done")
    await expect(canvas.step("split").locator('[data-state="done"]')).to_be_visible()


async def test_problems_keep_it_from_running(lab: Lab) -> None:
    canvas = await open_demo(lab)
    await canvas.step("random forest").click()
    await canvas.field("trees").get_by_role("spinbutton").fill("0")
    await canvas.page.locator(".at-RunButton").get_by_role("button").click()
    await expect(canvas.page.locator(".at-Problems-row")).to_be_visible()
    await expect(canvas.page.locator(".jp-Dialog")).to_have_count(0)


async def test_a_script_becomes_a_step_and_runs(lab: Lab) -> None:
    folder = f"canvas-{uuid.uuid4().hex[:8]}"
    lab.write(f"{folder}/answer.py", SCRIPT)
    await lab.run("atelier:create-pipeline", {"cwd": folder})
    canvas = Canvas(lab, f"{folder}/untitled.pipeline")
    await expect(canvas.page.locator(".at-Canvas-empty")).to_be_visible()
    await lab.run("filebrowser:open-path", {"path": folder})
    item = canvas.page.locator(".jp-DirListing-item", has_text="answer.py")
    await item.click(button="right")
    await canvas.page.get_by_role("menuitem", name="Add to Pipeline").click()
    await canvas.ready(1)
    run = await canvas.run()
    assert lab.client.runs.get("ada", run).state == "done"
    await canvas.step("answer").click()
    await lab.run("atelier:show-step-log")
    await expect(canvas.page.locator(".at-Log")).to_contain_text("the answer is 42", timeout=20_000)
    node = canvas.nodes()["answer"]
    assert node["op"] == "execute-python-node"
    assert node["app_data"]["component_parameters"]["filename"] == "answer.py"


async def test_a_script_runs_as_a_job(lab: Lab, tmp_path: Path) -> None:
    told = tmp_path / "told"
    folder = f"canvas-{uuid.uuid4().hex[:8]}"
    lab.write(f"{folder}/job.py", f"open({str(told)!r}, 'w').write('ran')\n")
    await lab.run("filebrowser:open-path", {"path": folder})
    await lab.page.locator(".jp-DirListing-item", has_text="job.py").click(button="right")
    await lab.page.get_by_role("menuitem", name="Run as Job").click()
    await expect(lab.page.locator(".Toastify__toast", has_text="done")).to_be_visible(timeout=60_000)
    assert told.read_text() == "ran"


async def test_a_run_is_seen_as_it_was(lab: Lab) -> None:
    canvas = await open_chain(lab, first=SCRIPT, second=SCRIPT, third=SCRIPT)
    run = await canvas.run()
    document = lab.read(canvas.path)
    document["pipelines"][0]["nodes"].pop()
    lab.write(canvas.path, json.dumps(document))
    await lab.run("atelier:open-revision", {"project": "ada", "run": run})
    shown = lab.page.locator(".lm-Widget:not(.lm-mod-hidden) > .at-PipelineContent").last
    await expect(shown.locator(".at-Step")).to_have_count(3)
    await expect(shown.locator('.at-Step[data-state="done"]')).to_have_count(3)
    await shown.locator('.react-flow__node[aria-label="first"]').click()
    await lab.page.keyboard.press("Delete")
    await expect(shown.locator(".at-Step")).to_have_count(3)


async def test_a_step_that_is_tried_again_says_so(lab: Lab) -> None:
    folder = f"canvas-{uuid.uuid4().hex[:8]}"
    mark = lab.folder / folder / "tried"
    once = f"mark = pathlib.Path({str(mark)!r})\nif not mark.exists():\n    mark.touch()\n    sys.exit(3)\n"
    lab.write(f"{folder}/again.py", f"import pathlib, sys\n{once}")
    retry = {"limit": 1, "causes": ["user"], "delay": 0.1}
    lab.write(f"{folder}/again.pipeline", pipeline({"again": {"file": "again.py", "retry": retry}}))
    await lab.run("docmanager:open", {"path": f"{folder}/again.pipeline"})
    canvas = await Canvas(lab, f"{folder}/again.pipeline").ready(1)
    run = await canvas.run()
    await expect(canvas.step("again").locator(".at-Step-retry")).to_have_attribute("title", "Attempt 2")
    await lab.run("atelier:open-run", {"project": "ada", "run": run})
    await expect(lab.page.locator(".at-Run-steps")).to_contain_text("Attempt 2")
    await lab.page.get_by_role("tab", name="Attempts", exact=True).click()
    await expect(lab.page.locator(".at-Attempt")).to_have_count(2)
    await expect(lab.page.get_by_text("exit code 3", exact=True)).to_be_visible()


async def test_a_step_that_waits_shows_its_place_in_the_queue(lab: Lab) -> None:
    """Three steps of which each needs all of the machine: one runs, and the others move up."""
    folder = f"canvas-{uuid.uuid4().hex[:8]}"
    go = lab.folder / folder / "go"
    lab.write(f"{folder}/wait.py", lasts_until(go))
    everything = {"resources": {"cpu": len(os.sched_getaffinity(0))}}
    document = pipeline({name: {"file": "wait.py", **everything} for name in ("a", "b", "c")})
    for number, node in enumerate(document["pipelines"][0]["nodes"]):
        node["app_data"]["ui_data"] |= {"x_pos": 100, "y_pos": 140 * number}
    lab.write(f"{folder}/busy.pipeline", document)
    await lab.run("docmanager:open", {"path": f"{folder}/busy.pipeline"})
    canvas = await Canvas(lab, f"{folder}/busy.pipeline").ready(3)
    await canvas.page.locator(".at-RunButton").get_by_role("button").click()
    await canvas.page.locator(".jp-Dialog .jp-mod-accept").click()
    places = canvas.page.locator(".at-Step-queue")
    try:
        await expect(places).to_have_count(2, timeout=60_000)
        assert sorted(await places.all_text_contents()) == ["1/2", "2/2"]
        await expect(canvas.page.get_by_role("img", name="Place 1 of 2 in the queue of local")).to_be_visible()
        await expect(canvas.page.locator(".at-Step-why").first).to_contain_text("of this machine is in use")
    finally:
        go.touch()  # whatever became of it, others need the machine
    await expect(canvas.page.locator('.at-RunBar[data-state="done"]')).to_be_visible(timeout=60_000)
    await expect(places).to_have_count(0)
