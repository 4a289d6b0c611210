"""Drawing: what a person does on the canvas, asserted from the file."""

from __future__ import annotations

import json

from playwright.async_api import expect

from tests.ui.lab import Lab
from tests.ui.pipelines.canvas import inputs_of, links_of, open_demo


async def test_what_is_only_looked_at_stays_as_it_is(lab: Lab) -> None:
    canvas = await open_demo(lab)
    before = (lab.folder / canvas.path).read_bytes()
    await canvas.step("split").click()
    await expect(canvas.page.get_by_label("Name of the step")).to_have_value("split")
    await canvas.save()
    assert (lab.folder / canvas.path).read_bytes() == before
    await expect(canvas.page.locator(".react-flow__edge")).to_have_count(13)


async def test_an_unknown_field_survives_an_edit(lab: Lab) -> None:
    canvas = await open_demo(lab)
    document = lab.read(canvas.path)
    pipeline = document["pipelines"][0]
    document["theirs"] = {"deep": [1, None, "ü"]}
    pipeline["app_data"]["theirs"] = 2
    pipeline["nodes"][0]["app_data"]["component_parameters"]["theirs"] = {"widget": "x", "value": [1]}
    lab.write(canvas.path, json.dumps(document))
    await lab.run("docmanager:reload")
    await canvas.step("import").click()
    await canvas.page.get_by_label("Name of the step").fill("load")
    await canvas.save()
    after = lab.read(canvas.path)
    data = pipeline["nodes"][0]["app_data"]
    data["label"] = data["ui_data"]["label"] = "load"
    assert after == document


async def test_a_value_is_kept_as_elyra_keeps_it(lab: Lab) -> None:
    canvas = await open_demo(lab)
    await canvas.step("random forest").click()
    await canvas.field("trees").get_by_role("spinbutton").fill("12")
    await canvas.step("split").click()
    await canvas.field("stratify").get_by_role("switch").uncheck(force=True)
    await expect(canvas.field("test_size").get_by_role("textbox")).to_have_value("{{ parameters.test_size }}")
    await expect(canvas.page.locator(".lm-DockPanel-tabBar .jp-mod-dirty")).to_have_count(1)
    await canvas.save()
    nodes = canvas.nodes()
    assert nodes["random forest"]["app_data"]["component_parameters"]["trees"] == {"widget": "number", "value": 12}
    split = nodes["split"]["app_data"]["component_parameters"]
    assert split["stratify"] == {"widget": "boolean", "value": False}
    assert split["test_size"] == {"widget": "string", "value": "{{ parameters.test_size }}"}


async def test_steps_come_from_the_palette_and_are_connected_by_type(lab: Lab) -> None:
    canvas = await open_demo(lab)
    item = canvas.page.locator(".at-Palette-item", has_text="Standardize")
    await item.drag_to(canvas.page.locator(".react-flow__pane"), target_position={"x": 700, "y": 720})
    await expect(canvas.step("standardize 2")).to_be_visible()
    await canvas.drag_edge(canvas.port("split", "source", "train"), canvas.port("standardize 2", "target", "train"))
    await canvas.drag_edge(
        canvas.port("logistic regression", "source", "model"), canvas.port("standardize 2", "target", "test")
    )
    await expect(canvas.page.locator(".Toastify__toast", has_text="takes dataset")).to_be_visible()
    await canvas.save()
    nodes = canvas.nodes()
    split, added = nodes["split"], nodes["standardize 2"]
    assert added["op"] == nodes["standardize"]["op"]
    assert added["app_data"]["atelier"]["template"] == "standardize"
    assert added["app_data"]["component_source"] == nodes["standardize"]["app_data"]["component_source"]
    assert inputs_of(added) == {"train": (split["id"], "train")}
    assert links_of(added) == [split["id"]]


async def test_a_circle_is_refused(lab: Lab) -> None:
    canvas = await open_demo(lab)
    await canvas.drag_edge(canvas.port("evaluate", "source", "metrics"), canvas.port("standardize", "target", "inPort"))
    await expect(canvas.page.locator(".Toastify__toast", has_text="circle")).to_be_visible()
    await expect(canvas.page.locator(".react-flow__edge")).to_have_count(13)


async def test_delete_undo_redo_and_copy_by_keyboard(lab: Lab) -> None:
    canvas = await open_demo(lab)
    page = canvas.page
    steps = page.locator(".at-Step")
    await canvas.step("standardize").click()
    await page.keyboard.press("Delete")
    await expect(steps).to_have_count(7)
    await canvas.save()
    nodes = canvas.nodes()
    assert inputs_of(nodes["random forest"]) == {} and links_of(nodes["random forest"]) == []
    assert inputs_of(nodes["evaluate"])["data"] == (nodes["split"]["id"], "test")
    await page.keyboard.press("Control+z")
    await expect(steps).to_have_count(8)
    await page.keyboard.press("Control+Shift+z")
    await expect(steps).to_have_count(7)
    await page.keyboard.press("Control+z")
    await canvas.step("split").click()
    await canvas.step("standardize").click(modifiers=["Shift"])
    await page.keyboard.press("Control+c")
    await page.keyboard.press("Control+v")
    await expect(steps).to_have_count(10)
    await canvas.save()
    nodes = canvas.nodes()
    copy = nodes["standardize 2"]
    assert inputs_of(copy) == {
        "train": (nodes["split 2"]["id"], "train"),
        "test": (nodes["split 2"]["id"], "test"),
    }
    assert inputs_of(nodes["split 2"]) == {}  # what it took from outside of the copy is left out


async def test_copies_go_to_another_file(lab: Lab) -> None:
    canvas = await open_demo(lab)
    await canvas.step("import").click()
    await canvas.page.keyboard.press("Control+c")
    await lab.run("atelier:create-pipeline", {"cwd": canvas.path.rsplit("/", 1)[0]})
    other = canvas.page.locator(".lm-Widget:not(.lm-mod-hidden) > .at-PipelineContent .at-Canvas").last
    await expect(other.locator(".at-Canvas-empty")).to_be_visible()
    await other.locator(".react-flow__pane").click()
    await canvas.page.keyboard.press("Control+v")
    await expect(other.locator(".at-Step")).to_have_count(1)
    await canvas.save()
    written = lab.read(canvas.path.replace("digits", "untitled"))
    [node] = written["pipelines"][0]["nodes"]
    assert node["app_data"]["component_parameters"]["source"]["value"] == "builtin:digits"
    assert written["version"] == "3.0" and written["pipelines"][0]["app_data"]["version"] == 8


async def test_arrows_tab_and_enter(lab: Lab) -> None:
    canvas = await open_demo(lab)
    page = canvas.page
    await canvas.step("import").click()
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("Tab")
    await expect(canvas.step("split")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Name of the step")).to_be_focused()
    await expect(page.get_by_label("Name of the step")).to_have_value("split")
    await canvas.save()
    assert canvas.nodes()["import"]["app_data"]["ui_data"]["x_pos"] == 70


async def test_find_arrange_and_comment(lab: Lab) -> None:
    canvas = await open_demo(lab)
    page = canvas.page
    await canvas.step("import").click()
    await page.keyboard.press("Control+f")
    await page.get_by_role("searchbox", name="Find a step").fill("forest")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Name of the step")).to_have_value("random forest")
    await page.keyboard.press("Escape")
    await lab.run("atelier:arrange-steps")
    await lab.run("atelier:add-comment")
    await page.keyboard.type("Mind the seed")
    await page.keyboard.press("Escape")
    await canvas.save()
    document = lab.read(canvas.path)
    [comment] = document["pipelines"][0]["app_data"]["ui_data"]["comments"]
    assert comment["content"] == "Mind the seed" and comment["associated_id_refs"] == []
    places = {name: node["app_data"]["ui_data"]["x_pos"] for name, node in canvas.nodes().items()}
    assert places["import"] < places["split"] < places["standardize"] < places["evaluate"] < places["summarize"]


async def test_an_input_is_chosen_without_a_mouse(lab: Lab) -> None:
    canvas = await open_demo(lab)
    page = canvas.page
    await canvas.step("evaluate").click()
    select = page.get_by_label("Where other comes from")
    await select.select_option(label="logistic regression › model (model)")
    await canvas.save()
    nodes = canvas.nodes()
    logistic = nodes["logistic regression"]["id"]
    assert inputs_of(nodes["evaluate"])["other"] == (logistic, "model")
    assert nodes["random forest"]["id"] not in links_of(nodes["evaluate"])


async def test_a_problem_leads_to_its_field(lab: Lab) -> None:
    canvas = await open_demo(lab)
    page = canvas.page
    await canvas.step("random forest").click()
    await canvas.field("trees").get_by_role("spinbutton").fill("0")
    await expect(canvas.field("trees").get_by_role("alert")).to_be_visible()
    await expect(canvas.step("random forest").locator(".at-Step-badge")).to_have_text("1", timeout=10_000)
    await canvas.step("import").click()
    await lab.run("atelier:show-problems")
    await page.locator(".at-Problems-row").click()
    await expect(canvas.field("trees").get_by_role("spinbutton")).to_be_focused()
    await canvas.field("trees").get_by_role("spinbutton").fill("5")
    await expect(page.get_by_text("No problems: it can run.")).to_be_visible(timeout=10_000)


async def test_a_broken_file_says_what_to_do(lab: Lab) -> None:
    lab.write("canvas-broken/one.pipeline", '{"doc_type": "pipeline", ')
    await lab.run("docmanager:open", {"path": "canvas-broken/one.pipeline"})
    await expect(lab.page.get_by_text("This file is no pipeline that can be shown.")).to_be_visible()
    await lab.page.get_by_role("button", name="Open as Text").click()
    await expect(lab.page.locator(".jp-FileEditor")).to_be_visible()
