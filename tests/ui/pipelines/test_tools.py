"""What helps on the canvas: dropping, lining up, overview, documentation, undo in the menu, cancelling, settings."""

from __future__ import annotations

import json
import uuid

from playwright.async_api import Locator, expect

from tests.harness.control_plane import wait_for
from tests.ui.lab import Lab
from tests.ui.pipelines.canvas import Canvas, open_chain, open_demo

SETTINGS = "@atelier/lab:pipelines"
SAVE = "([id, raw]) => window.jupyterapp.serviceManager.settings.save(id, raw)"


async def middle(of: Locator) -> tuple[float, float]:
    box = await of.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


async def test_a_file_is_dropped_where_the_step_shall_stand(lab: Lab) -> None:
    folder = f"canvas-{uuid.uuid4().hex[:8]}"
    lab.write(f"{folder}/answer.py", "print(42)\n")
    await lab.run("atelier:create-pipeline", {"cwd": folder})
    canvas = Canvas(lab, f"{folder}/untitled.pipeline")
    await lab.run("filebrowser:open-path", {"path": folder})
    item = lab.page.locator(".jp-DirListing-item", has_text="answer.py")
    pane = lab.page.locator(".react-flow__pane")
    await expect(item).to_be_visible()
    (x, y), (to_x, to_y) = await middle(item), await middle(pane)
    mouse = lab.page.mouse
    await mouse.move(x, y)
    await mouse.down()
    await mouse.move(x + 30, y + 10, steps=5)
    await mouse.move(to_x, to_y, steps=10)
    await mouse.up()
    await canvas.ready(1)
    await canvas.save()
    node = canvas.nodes()["answer"]
    assert node["app_data"]["component_parameters"]["filename"] == "answer.py"
    drawn = await canvas.step("answer").bounding_box()
    assert drawn is not None and abs(drawn["x"] - to_x) < 40 and abs(drawn["y"] - to_y) < 40


async def test_steps_are_lined_up(lab: Lab) -> None:
    canvas = await open_demo(lab)
    await canvas.step("logistic regression").click()
    await canvas.step("random forest").click(modifiers=["Shift"])
    await canvas.step("split").click(modifiers=["Shift"])

    async def places(button: str) -> list[tuple[int, int]]:
        await canvas.page.get_by_role("button", name=button).click()
        await canvas.save()
        nodes = canvas.nodes()
        uis = [nodes[name]["app_data"]["ui_data"] for name in ("split", "logistic regression", "random forest")]
        return [(ui["x_pos"], ui["y_pos"]) for ui in uis]

    left = await places("Align left")
    assert len({x for x, _y in left}) == 1 and len({y for _x, y in left}) > 1
    row = await places("In a row")
    assert len({y for _x, y in row}) == 1
    xs = sorted(x for x, _y in row)
    assert xs[1] - xs[0] >= 208 and abs((xs[2] - xs[1]) - (xs[1] - xs[0])) <= 1  # side by side, with equal gaps


async def test_the_overview_leads_through_a_large_pipeline(lab: Lab) -> None:
    canvas = await open_demo(lab)
    page = canvas.page
    overview = page.get_by_role("img", name="Overview")
    await expect(overview).to_have_count(0)
    await canvas.step("split").click()
    await page.keyboard.press("Control+a")
    await page.keyboard.press("Control+c")
    await page.keyboard.press("Control+v")
    await expect(overview).to_be_visible()
    viewport = page.locator(".react-flow__viewport")
    before = await viewport.get_attribute("style")
    box = await overview.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 30, box["y"] + 30)
    await page.mouse.down()
    await page.mouse.move(box["x"] + 80, box["y"] + 60, steps=5)
    await page.mouse.up()
    assert await viewport.get_attribute("style") != before


async def test_the_palette_explains_a_template(lab: Lab) -> None:
    canvas = await open_demo(lab)
    page = canvas.page
    item = page.locator(".at-Palette-item", has_text="Standardize")
    await item.hover()
    await item.get_by_role("button", name="About Standardize").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Standardize")
    await expect(dialog.locator(".jp-RenderedMarkdown li", has_text="scaler").first).to_be_visible()


async def test_the_palette_is_searched(lab: Lab) -> None:
    canvas = await open_demo(lab)
    items = canvas.page.locator(".at-Palette-item")
    everything = await items.count()
    box = canvas.page.get_by_role("region", name="Templates").locator("input")
    await box.fill("boost")
    await expect(items.filter(has_text="XGBoost")).to_have_count(1)
    assert 0 < await items.count() < everything
    await box.fill("no such template")
    await expect(items).to_have_count(0)


async def test_a_frame_selects_several_steps(lab: Lab) -> None:
    canvas = await open_demo(lab)
    page = canvas.page
    one, other = [await canvas.step(name).bounding_box() for name in ("logistic regression", "random forest")]
    assert one is not None and other is not None
    await page.keyboard.down("Shift")
    await page.mouse.move(one["x"] - 8, one["y"] - 8)
    await page.mouse.down()
    await page.mouse.move(other["x"] + other["width"] + 8, other["y"] + other["height"] + 8, steps=8)
    await page.mouse.up()
    await page.keyboard.up("Shift")
    await expect(page.locator(".react-flow__node.selected")).to_have_count(2)
    await page.keyboard.press("Delete")
    await canvas.ready(6)


async def test_commands_are_in_labs_palette(lab: Lab) -> None:
    page = lab.page
    await open_demo(lab)
    await page.wait_for_timeout(2000)  # Lab may activate a new document once more, and take the focus from the palette
    await page.keyboard.press("Control+Shift+c")
    palette = page.locator(".jp-ModalCommandPalette:not(.lm-mod-hidden)")
    await expect(palette).to_be_visible()
    await page.keyboard.type("atelier")
    found = palette.locator(".lm-CommandPalette-itemLabel")
    for label in ("Arrange Steps", "Run Pipeline…", "Show Runs", "Show Datasets", "Show Services", "Choose Project…"):
        await expect(found.filter(has_text=label)).to_have_count(1)
    await page.keyboard.press("Control+a")
    await page.keyboard.type("find a step")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("searchbox", name="Find a step")).to_be_visible()


async def test_undo_is_in_labs_edit_menu(lab: Lab) -> None:
    canvas = await open_demo(lab)
    page = canvas.page
    await canvas.step("import").click()
    await page.keyboard.press("Delete")
    await canvas.ready(7)

    async def choose(command: str) -> None:
        await page.locator(".lm-MenuBar-item", has_text="Edit").click()
        await page.locator(f'.lm-Menu-item[data-command="editmenu:{command}"]').click()

    await choose("undo")
    await canvas.ready(8)
    await choose("redo")
    await canvas.ready(7)


async def test_a_run_is_cancelled_on_the_canvas(lab: Lab) -> None:
    folder = f"canvas-{uuid.uuid4().hex[:8]}"
    lab.write(f"{folder}/slow.py", "import time\nprint('asleep', flush=True)\ntime.sleep(120)\n")
    await lab.run("atelier:create-pipeline", {"cwd": folder})
    canvas = Canvas(lab, f"{folder}/untitled.pipeline")
    await lab.run("filebrowser:open-path", {"path": folder})
    await canvas.page.locator(".jp-DirListing-item", has_text="slow.py").click(button="right")
    await canvas.page.get_by_role("menuitem", name="Add to Pipeline").click()
    await canvas.ready(1)
    await canvas.page.locator(".at-RunButton").get_by_role("button").click()
    await canvas.page.locator(".jp-Dialog .jp-mod-accept").click()
    await expect(canvas.step("slow").locator('[data-state="running"]')).to_be_visible(timeout=60_000)
    await canvas.page.locator(".at-RunBar").get_by_role("button", name="Cancel").click()
    bar = canvas.page.locator('.at-RunBar[data-state="stopped"]')
    await expect(bar).to_be_visible(timeout=30_000)
    await expect(canvas.step("slow").locator('[data-state="stopped"]')).to_be_visible()
    assert wait_for(lab.client, "ada", str(await bar.get_attribute("data-run")), 30).state == "stopped"


async def test_the_settings_do_what_they_say(lab: Lab) -> None:
    wanted = {"overview": "always", "below": "problems", "checkWhileEditing": False, "saveBeforeRun": "ask"}
    await lab.page.evaluate(SAVE, [SETTINGS, json.dumps(wanted)])
    try:
        await lab.reload()
        canvas = await open_demo(lab)
        page = canvas.page
        await expect(page.get_by_role("img", name="Overview")).to_be_visible()
        await expect(page.get_by_text("No problems: it can run.")).to_be_visible()
        await canvas.step("random forest").click()
        await canvas.field("trees").get_by_role("spinbutton").fill("0")
        await page.wait_for_timeout(2000)
        await expect(page.get_by_text("No problems: it can run.")).to_be_visible()  # nobody looked
        await canvas.field("trees").get_by_role("spinbutton").fill("5")
        before = (lab.folder / canvas.path).read_bytes()
        await page.locator(".at-RunButton").get_by_role("button").click()
        await page.locator(".jp-Dialog .jp-mod-accept").click()
        question = page.get_by_role("dialog", name="Save the pipeline?")
        await expect(question).to_be_visible()
        await question.get_by_role("button", name="Cancel").click()
        await expect(page.locator(".at-RunBar")).to_have_count(0)
        assert (lab.folder / canvas.path).read_bytes() == before
    finally:
        await lab.page.evaluate(SAVE, [SETTINGS, "{}"])


async def test_two_files_of_one_name_have_their_own_runs(lab: Lab) -> None:
    canvas = await open_chain(lab, first="print(1)\n")
    run = await canvas.run()
    copy = f"canvas-{uuid.uuid4().hex[:8]}/chain.pipeline"
    lab.write(copy, (lab.folder / canvas.path).read_bytes())  # the same document, id included
    asked: list[str] = []
    lab.page.on("request", lambda request: asked.append(request.url) if "/runs?" in request.url else None)
    await lab.run("docmanager:open", {"path": copy})
    await expect(lab.page.locator(".at-Pipeline").nth(1)).to_be_visible()
    await lab.page.wait_for_timeout(1500)
    await expect(lab.page.locator(".at-RunBar")).to_have_count(1)  # the other file's
    await lab.reload()
    await lab.run("docmanager:open", {"path": canvas.path})
    await expect(lab.page.locator(f'.at-RunBar[data-run="{run}"]')).to_be_visible()
    assert len([url for url in asked if "document=" in url]) <= 3
