"""How much later JupyterLab is there with Atelier in it, what it loads for that, and what an idle tab asks for."""

from __future__ import annotations

import asyncio
import gzip

from playwright.async_api import BrowserContext, Request, Response

from tests.benchmarks.browser import USER, platform, window
from tests.benchmarks.report import Aim, Row, Table

STARTED = "async () => { await window.jupyterapp.restored; return performance.now() / 1000; }"
IDLE_SECONDS = 60


def measure(pairs: int, quick: bool) -> list[Table]:
    """Interleaved pairs of page loads, with and without the extension."""
    with platform() as installed:
        return asyncio.run(_measure(installed, pairs, quick))


async def _measure(installed: object, pairs: int, quick: bool) -> list[Table]:
    starts: dict[str, list[float]] = {"with": [], "without": []}
    async with window(installed) as context:  # type: ignore[arg-type]
        await _start(context, "with", 0)  # the first load fills the browser's cache
        await _start(context, "without", 0)
        for number in range(1, pairs + 1):
            for kind in ("with", "without") if number % 2 else ("without", "with"):
                starts[kind].append(await _start(context, kind, number))
        loaded = await _loaded(context)
        asked = await _asked(context, 10 if quick else IDLE_SECONDS)
    later = [one - other for one, other in zip(starts["with"], starts["without"], strict=True)]
    start = Table(
        "lab: JupyterLab's start with and without Atelier",
        [
            Row("with", starts["with"]),
            Row("without", starts["without"]),
            Row("later, pair by pair", later, (Aim("median", 0.15),), "ms"),
        ],
        ["From the navigation to `app.restored`, in interleaved pairs; the browser's cache is warm."],
    )
    notes = [
        f"{len(loaded)} files of ours, {sum(loaded) / 1000:.0f} kB gzipped, until Lab is there (aim ≤ 500 kB).",
        f"{asked} requests of ours in {10 if quick else IDLE_SECONDS} idle seconds after that (aim ≤ 1).",
    ]
    return [start, Table("lab: what a tab loads and asks for", [], notes)]


async def _start(context: BrowserContext, kind: str, number: int) -> float:
    page = await context.new_page()
    await page.goto(f"/user/{USER}/lab/workspaces/{kind}-{number}")
    await page.wait_for_function("() => window.jupyterapp !== undefined")
    seconds = await page.evaluate(STARTED)
    await page.close()
    return float(seconds)


async def _loaded(context: BrowserContext) -> list[int]:
    page = await context.new_page()
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer) if "@atelier" in answer.url else None)
    await page.goto(f"/user/{USER}/lab/workspaces/with-sizes")
    await page.wait_for_function("() => window.jupyterapp !== undefined")
    await page.evaluate(STARTED)
    sizes = [len(gzip.compress(await answer.body())) for answer in answers if answer.ok]
    await page.close()
    return sizes


async def _asked(context: BrowserContext, seconds: float) -> int:
    page = await context.new_page()
    await page.goto(f"/user/{USER}/lab/workspaces/with-idle")
    await page.wait_for_function("() => window.jupyterapp !== undefined")
    await page.evaluate(STARTED)
    await page.wait_for_timeout(5000)
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request) if "/atelier/" in request.url else None)
    await page.wait_for_timeout(seconds * 1000)
    await page.close()
    return len(asked)
