"""The canvas as a person uses it, and the file that it writes."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

from playwright.async_api import Locator, expect

from atelier_templates.demos import DIGITS
from tests.harness.control_plane import pipeline
from tests.ui.lab import Lab

Node = dict[str, Any]
DEMO_STEPS = 8


class Canvas:
    """A pipeline open in Lab."""

    def __init__(self, lab: Lab, path: str) -> None:
        self.lab = lab
        self.path = path
        self.page = lab.page

    async def ready(self, steps: int) -> Canvas:
        """Until that many steps are drawn."""
        await expect(self.page.locator(".at-Step")).to_have_count(steps, timeout=30_000)
        return self

    def step(self, name: str) -> Locator:
        """A step by its name."""
        return self.page.locator(f'.react-flow__node[aria-label="{name}"]')

    def port(self, step: str, side: str, name: str) -> Locator:
        """A port; `side` is source or target."""
        return self.step(step).locator(f'.react-flow__handle.{side}[data-handleid="{name}"]')

    def field(self, name: str) -> Locator:
        """A field of the form beside the canvas."""
        return self.page.locator(f'.at-Inspector [data-field="{name}"]')

    async def drag_edge(self, start: Locator, end: Locator) -> None:
        """From port to port, as a hand does it."""
        one, other = await start.bounding_box(), await end.bounding_box()
        assert one is not None and other is not None
        mouse = self.page.mouse
        await mouse.move(one["x"] + one["width"] / 2, one["y"] + one["height"] / 2)
        await mouse.down()
        await mouse.move(other["x"] - 30, other["y"] + 20, steps=5)
        await mouse.move(other["x"] + other["width"] / 2, other["y"] + other["height"] / 2, steps=5)
        await mouse.up()

    async def save(self) -> None:
        """As a person presses Ctrl+S."""
        await self.lab.run("docmanager:save")
        await expect(self.page.locator(".lm-DockPanel-tabBar .jp-mod-dirty")).to_have_count(0)

    def nodes(self) -> dict[str, Node]:
        """The steps in the file, by name."""
        document = self.lab.read(self.path)
        return {node["app_data"]["label"]: node for node in document["pipelines"][0]["nodes"]}

    async def run(self) -> str:
        """Press Run, take what the dialog offers; returns the run's id once it is over."""
        await self.page.locator(".at-RunButton").get_by_role("button").click()
        await self.page.locator(".jp-Dialog .jp-mod-accept").click()
        over = self.page.locator('.at-RunBar[data-state="done"], .at-RunBar[data-state="failed"]')
        await expect(over).to_be_visible(timeout=120_000)
        return str(await over.get_attribute("data-run"))


def demo_copy(lab: Lab, folder: str = "", steps: int = DEMO_STEPS) -> str:
    """The first steps of the demo under a name of its own, with an id of its own; returns its path."""
    place = folder or f"canvas-{uuid.uuid4().hex[:8]}"
    for file in DIGITS.iterdir():
        if file.suffix in {".py", ".ipynb"}:
            lab.write(f"{place}/{file.name}", file.read_bytes())
    document = json.loads((DIGITS / "digits.pipeline").read_text())
    document["id"] = str(uuid.uuid4())
    del document["pipelines"][0]["nodes"][steps:]
    lab.write(f"{place}/digits.pipeline", json.dumps(document, indent=2) + "\n")
    return f"{place}/digits.pipeline"


async def open_demo(lab: Lab, steps: int = DEMO_STEPS) -> Canvas:
    """A copy of the demo, or of its first steps, open and wide enough to see its ports."""
    return await _open(lab, demo_copy(lab, steps=steps), steps)


async def open_chain(lab: Lab, **scripts: str) -> Canvas:
    """The same for steps that run these scripts one after the other: quicker than the demo."""
    folder, names = f"canvas-{uuid.uuid4().hex[:8]}", list(scripts)
    for name, source in scripts.items():
        lab.write(f"{folder}/{name}.py", source)
    steps = {
        name: {"file": f"{name}.py", "image": "python", "needs": names[:number][-1:]}
        for number, name in enumerate(names)
    }
    document = pipeline(steps) | {"id": str(uuid.uuid4())}
    for number, node in enumerate(document["pipelines"][0]["nodes"]):
        node["app_data"]["ui_data"]["x_pos"] = 300 * number
    lab.write(f"{folder}/chain.pipeline", document)
    return await _open(lab, f"{folder}/chain.pipeline", len(names))


async def _open(lab: Lab, path: str, steps: int) -> Canvas:
    await lab.page.set_viewport_size({"width": 1900, "height": 1000})
    await lab.run("application:toggle-left-area")
    await lab.run("docmanager:open", {"path": path})
    return await Canvas(lab, path).ready(steps)


def inputs_of(node: Node) -> dict[str, tuple[str, str]]:
    """What a template step takes: input → (step id, output)."""
    found = {}
    for name, value in node["app_data"]["component_parameters"].items():
        if isinstance(value, dict) and value.get("widget") == "inputpath":
            option = re.sub("^output_", "", value["value"]["option"])
            found[name] = (value["value"]["value"], option)
    return found


def links_of(node: Node) -> list[str]:
    """The steps that Elyra draws edges from."""
    return [link["node_id_ref"] for port in node["inputs"] for link in port.get("links", [])]
