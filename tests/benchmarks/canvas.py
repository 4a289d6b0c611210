"""How quickly the canvas opens a large pipeline, and follows the mouse in it."""

from __future__ import annotations

import asyncio
import json

from playwright.async_api import BrowserContext

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


def measure(pairs: int, quick: bool) -> list[Table]:
    """Each size in turn, as often as asked (at most ten times)."""
    with platform() as installed:
        return asyncio.run(_measure(installed, min(pairs, 10)))


async def _measure(installed: Installation, rounds: int) -> list[Table]:
    opened: dict[int, list[float]] = {size: [] for size in SIZES}
    dragged: dict[int, list[float]] = {size: [] for size in SIZES}
    folder = installed.layout.data / "users" / USER
    async with window(installed) as context:
        for size in SIZES:
            (folder / f"large-{size}.pipeline").write_text(json.dumps(_document(size)))
        for number in range(rounds):
            for size in SIZES:
                seconds, waits = await _open(context, size, number)
                opened[size].append(seconds)
                dragged[size] += waits
    return [
        Table(
            "canvas: large pipelines",
            [
                *(Row(f"open {size:,} steps", opened[size], (Aim("median", SIZES[size]),)) for size in SIZES),
                *(Row(f"drag among {size:,}", dragged[size], (Aim("median", 0.1),), "ms") for size in SIZES),
            ],
            ["Open: from the command to the second frame with steps, all in view. Drag: from a move to its picture."],
        )
    ]


async def _open(context: BrowserContext, size: int, number: int) -> tuple[float, list[float]]:
    page = await context.new_page()
    await page.goto(f"/user/{USER}/lab/workspaces/canvas-{size}-{number}")
    await page.wait_for_function("() => window.jupyterapp !== undefined")
    await page.evaluate("() => window.jupyterapp.restored")
    seconds = float(await page.evaluate(OPEN, f"large-{size}.pipeline"))
    await page.wait_for_timeout(1000)
    waits = await page.evaluate(DRAG, f"n{size // 2}")
    await page.close()
    if waits is None:
        raise RuntimeError("the step did not move")
    return seconds, [float(wait) for wait in waits]


def _document(size: int) -> dict[str, object]:
    """A grid of Python steps, each after the one to its left."""
    columns = 30
    names = {f"n{i}": {"file": "step.py", "needs": [f"n{i - 1}"] if i % columns else []} for i in range(size)}
    document = pipeline(names)
    for i, node in enumerate(document["pipelines"][0]["nodes"]):
        node["app_data"]["ui_data"] |= {"x_pos": 240 * (i % columns), "y_pos": 140 * (i // columns)}
    return document
