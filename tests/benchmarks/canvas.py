"""How quickly the canvas opens a large pipeline, follows the mouse in it, and shows what its run does."""

from __future__ import annotations

import asyncio
import json

from playwright.async_api import Page

from atelier_sdk import Client, credentials
from tests.atelier_cli.platform.installation import Installation
from tests.benchmarks.browser import USER, platform, window
from tests.benchmarks.report import Aim, Row, Table
from tests.harness.control_plane import pipeline

SIZES = {1000: 1.5, 3000: 4.0}
OPEN = """async path => {
  const began = performance.now();
  await window.jupyterapp.commands.execute('docmanager:open', { path });
  const frame = () => new Promise(done => requestAnimationFrame(done));
  while (!document.querySelector('.lm-DockPanel-widget:not(.lm-mod-hidden) .react-flow__node')) {
    await frame();
  }
  await frame();
  await frame();
  return (performance.now() - began) / 1000;
}"""
# The time from a move of the mouse to the picture that shows it: the longest of a drag.
DRAG = """async node => {
  const step = document.querySelector(`.lm-DockPanel-widget:not(.lm-mod-hidden) .react-flow__node[data-id="${node}"]`);
  const frame = () => new Promise(done => requestAnimationFrame(() => setTimeout(done)));
  const box = step.getBoundingClientRect();
  let [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const send = (kind, target) => target.dispatchEvent(new MouseEvent(kind, {
    bubbles: true, cancelable: true, view: window, clientX: x, clientY: y, button: 0, buttons: 1 }));
  send('mousedown', step);
  const waits = [];
  for (let count = 0; count < 10; count += 1) {
    x += 6; y += 4;
    const began = performance.now();
    send('mousemove', window);
    await frame();
    waits.push((performance.now() - began) / 1000);
  }
  send('mouseup', window);
  const moved = step.getBoundingClientRect();
  return moved.x === box.x && moved.y === box.y ? null : waits;
}"""

# From the event that moves a step into another state, as it comes off the websocket, to the picture that shows it.
HEAR = """{
  const states = new Map();
  window.WebSocket = class extends window.WebSocket {
    constructor(...all) {
      super(...all);
      this.addEventListener('message', ({ data }) => {
        const { event } = JSON.parse(String(data));
        if (event?.subject_kind === 'step' && event.data.state !== states.get(event.subject)) {
          states.set(event.subject, event.data.state);
          window.heardAt ??= performance.now();
        }
      });
    }
  };
}"""
WATCH = """() => {
  window.statusWaits = [];
  const frame = () => new Promise(done => requestAnimationFrame(() => setTimeout(done)));
  const observer = new MutationObserver(async () => {
    const began = window.heardAt;
    if (began !== undefined) {
      window.heardAt = undefined;
      await frame();
      window.statusWaits.push((performance.now() - began) / 1000);
    }
  });
  observer.observe(document.querySelector('.react-flow'), { attributeFilter: ['data-state'], subtree: true });
}"""
CHANGES = 10


def measure(pairs: int, quick: bool) -> list[Table]:
    """Each size in turn, as often as asked (at most ten times)."""
    with platform() as installed:
        return asyncio.run(_measure(installed, min(pairs, 10)))


async def _measure(installed: Installation, rounds: int) -> list[Table]:
    opened: dict[int, list[float]] = {size: [] for size in SIZES}
    dragged: dict[int, list[float]] = {size: [] for size in SIZES}
    changed: dict[int, list[float]] = {size: [] for size in SIZES}
    folder = installed.layout.data / "users" / USER
    async with window(installed) as context:
        for size in SIZES:
            (folder / f"large-{size}.pipeline").write_text(json.dumps(_document(size)))
        (folder / "step.py").write_text("import time; time.sleep(0.3)\n")
        await context.add_init_script(HEAR)
        for number in range(rounds):
            for size in SIZES:
                page = await context.new_page()
                seconds, waits = await _open(page, size, f"{size}-{number}")
                opened[size].append(seconds)
                dragged[size] += waits
                await page.close()
        for size in SIZES:  # last: a pipeline that was run opens with its run
            page = await context.new_page()
            await _open(page, size, f"{size}-run")
            changed[size] += await _run(page, installed)
            await page.close()
    return [
        Table(
            "canvas: large pipelines",
            [
                *(Row(f"open {size:,} steps", opened[size], (Aim("median", SIZES[size]),)) for size in SIZES),
                *(Row(f"drag among {size:,}", dragged[size], (Aim("median", 0.1),), "ms") for size in SIZES),
                *(Row(f"status among {size:,}", changed[size], (Aim("median", 0.1),), "ms") for size in SIZES),
            ],
            [
                "Open: from the command to the second frame with steps, all in view. Drag: from a move to its picture.",
                "Status: from the arrival of a step's event to its picture, while the pipeline runs.",
            ],
        )
    ]


async def _open(page: Page, size: int, workspace: str) -> tuple[float, list[float]]:
    await page.goto(f"/user/{USER}/lab/workspaces/canvas-{workspace}")
    await page.wait_for_function("() => window.jupyterapp !== undefined")
    await page.evaluate("() => window.jupyterapp.restored")
    seconds = float(await page.evaluate(OPEN, f"large-{size}.pipeline"))
    await page.wait_for_timeout(1000)
    waits = await page.evaluate(DRAG, f"n{size // 2}")
    if waits is None:
        raise RuntimeError("the step did not move")
    return seconds, [float(wait) for wait in waits]


async def _run(page: Page, installed: Installation) -> list[float]:
    """Run what is open until enough has changed on it."""
    await page.evaluate(WATCH)
    await page.locator(".at-RunButton").get_by_role("button").click()
    await page.locator(".jp-Dialog .jp-mod-accept").click()
    bar = page.locator(".at-RunBar")
    run = str(await bar.get_attribute("data-run"))
    # The first picture of the run, which shows all its steps, is not one change.
    await page.wait_for_function("() => window.statusWaits.length > 0")
    await page.evaluate("() => { window.statusWaits.length = 0; window.heardAt = undefined; }")
    await page.wait_for_function("count => window.statusWaits.length >= count", arg=CHANGES)
    waits = await page.evaluate("() => window.statusWaits")
    found = credentials.load(installed.data.parent / "credentials.json")
    with Client(found.url, found.token) as client:
        client.runs.cancel(USER, run)
    return [float(wait) for wait in waits[:CHANGES]]


def _document(size: int) -> dict[str, object]:
    """Python steps in a grid, each after the one before, so that one of them runs at a time."""
    columns = 30
    names = {f"n{i}": {"file": "step.py", "image": "python", "needs": [f"n{i - 1}"] if i else []} for i in range(size)}
    document = pipeline(names)
    for i, node in enumerate(document["pipelines"][0]["nodes"]):
        node["app_data"]["ui_data"] |= {"x_pos": 240 * (i % columns), "y_pos": 140 * (i // columns)}
    return document
