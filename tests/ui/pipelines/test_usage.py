"""What running steps use, as it is seen on the canvas and on the run's page."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Locator, Request, expect

from tests.harness.control_plane import pipeline
from tests.ui.lab import Lab
from tests.ui.pipelines.canvas import Canvas

MIB = 1024**2
PICTURES = os.environ.get("ATELIER_TEST_PICTURES", "")  # a folder for who wants to look
# Works a third of the time: enough to be seen, and it leaves room for what runs beside.
BUSY = f"import time\nheld = b'x' * (120 * {MIB})\nwhile True:\n    sum(range(300_000))\n    time.sleep(0.01)\n"
QUIET = "import time\nprint('waiting', flush=True)\ntime.sleep(600)\n"
FIGURES = re.compile(r"([\d.]+) CPU · ([\d.]+) MB")


@asynccontextmanager
async def working(lab: Lab) -> AsyncIterator[Canvas]:
    """A pipeline whose first step works and whose second waits, running."""
    folder = f"usage-{uuid.uuid4().hex[:8]}"
    lab.write(f"{folder}/busy.py", BUSY)
    lab.write(f"{folder}/quiet.py", QUIET)
    small = {"image": "python", "resources": {"cpu": 0.5, "memory": "512Mi"}}
    document = pipeline({name: {"file": f"{name}.py", **small} for name in ("busy", "quiet")})
    for number, node in enumerate(document["pipelines"][0]["nodes"]):
        node["app_data"]["ui_data"] |= {"x_pos": 100, "y_pos": 140 * number}
    lab.write(f"{folder}/busy.pipeline", document)
    await lab.run("docmanager:open", {"path": f"{folder}/busy.pipeline"})
    canvas = await Canvas(lab, f"{folder}/busy.pipeline").ready(2)
    await canvas.page.locator(".at-RunButton").get_by_role("button").click()
    await canvas.page.locator(".jp-Dialog .jp-mod-accept").click()
    await expect(canvas.page.locator('.at-Step[data-state="running"]')).to_have_count(2, timeout=60_000)
    try:
        yield canvas
    finally:
        run = await canvas.page.locator(".at-RunBar").first.get_attribute("data-run")
        lab.client.runs.cancel("ada", str(run))


@pytest.fixture
async def busy(lab: Lab) -> AsyncIterator[Canvas]:
    async with working(lab) as canvas:
        yield canvas


async def figures(tag: Locator) -> tuple[float, float]:
    """Cores and megabytes of a tag."""
    await expect(tag).to_have_text(FIGURES, timeout=20_000)
    found = FIGURES.search(await tag.inner_text())
    assert found is not None
    return float(found[1]), float(found[2])


async def test_a_busy_step_shows_what_it_uses(lab: Lab, busy: Canvas) -> None:
    working, resting = (busy.step(name).locator(".at-Usage") for name in ("busy", "quiet"))
    await expect(working).to_have_attribute("title", re.compile(r"^CPU: [\d.]+ of 0.5 · Memory: .* of 537 MB$"))
    cores, megabytes = await figures(working)
    assert cores > 0.1 and 120 < megabytes < 300
    cores, megabytes = await figures(resting)
    assert cores < 0.1 and megabytes < 60
    await _pictures(lab, "canvas")
    await _asks_only_while_seen(lab)
    run = await busy.page.locator(".at-RunBar").get_attribute("data-run")
    await lab.run("atelier:open-run", {"project": "ada", "run": run})
    rows = lab.page.locator(".at-Run-steps .at-Usage")
    await expect(rows).to_have_count(2)
    await expect(lab.page.locator(".at-Run-usage")).to_contain_text("of 537 MB")
    await _pictures(lab, "run")
    lab.client.runs.cancel("ada", str(run))
    await expect(lab.page.locator(".at-Usage, .at-Run-usage")).to_have_count(0, timeout=20_000)
    assert lab.errors == []


async def _asks_only_while_seen(lab: Lab) -> None:
    """Every few seconds while the canvas is in front; never behind another tab of Lab or of the browser."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if request.url.split("?")[0].endswith("/usage"):
            asked.append(request.url)

    lab.page.on("request", note)
    await lab.page.wait_for_timeout(6500)
    assert 1 <= len(asked) <= 3
    await lab.page.evaluate("Object.defineProperty(document, 'hidden', { configurable: true, get: () => true })")
    await lab.page.wait_for_timeout(200)
    asked.clear()
    await lab.page.wait_for_timeout(4000)
    assert asked == []
    await lab.page.evaluate("delete document.hidden")
    await lab.run("launcher:create")
    await lab.page.wait_for_timeout(500)
    asked.clear()
    await lab.page.wait_for_timeout(4000)
    assert asked == []


async def _pictures(lab: Lab, name: str) -> None:
    for theme in ("Light", "Dark") if PICTURES else ():
        await lab.run("apputils:change-theme", {"theme": f"JupyterLab {theme}"})
        await lab.page.wait_for_timeout(1500)
        await lab.screenshot(Path(PICTURES) / f"{name}-{theme}.png")
