"""Fifty feeds watch one run, five of them real tabs: all stay live until its end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from playwright.async_api import BrowserContext, expect

from atelier_sdk import Client, credentials
from tests.atelier_cli.platform.installation import Installation
from tests.harness.control_plane import pipeline, submit
from tests.ui.lab import Lab
from tests.ui.runs.steps import lasts_until

TABS, FEEDS = 5, 45
LATEST = 2.0  # seconds from the end of the run to the word of it in a tab, on a machine that draws five of them


class Feed:
    """One feed by SSE."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.ended: dict[str, float] = {}

    async def read(self, client: httpx.AsyncClient, url: str) -> None:
        async with client.stream("GET", url) as answer:
            assert answer.status_code == 200
            async for line in answer.aiter_lines():
                if line.startswith("data:"):
                    self.open.set()  # the first one is the greeting
                    event = json.loads(line[5:])
                    if event.get("kind") == "run.finished":
                        self.ended[event["subject"]] = time.monotonic()


@asynccontextmanager
async def feeds(platform: Installation, count: int) -> AsyncIterator[list[Feed]]:
    found = credentials.load(platform.data.parent / "credentials.json")
    headers = {"Authorization": f"Bearer {found.token}"}
    limits = httpx.Limits(max_connections=count)
    async with httpx.AsyncClient(headers=headers, timeout=120, limits=limits, trust_env=False) as client:
        made = [Feed() for _ in range(count)]
        readers = [asyncio.create_task(feed.read(client, f"{found.url}/api/events")) for feed in made]
        try:
            await asyncio.wait_for(asyncio.gather(*[feed.open.wait() for feed in made]), 60)
            yield made
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)


async def tabs(context: BrowserContext, platform: Installation, client: Client, run: str) -> list[Lab]:
    opened = [Lab(await context.new_page(), platform, client) for _ in range(TABS)]
    for lab in opened:
        await lab.open()
        await lab.run("atelier:open-run", {"project": "ada", "run": run})
        await expect(lab.page.locator(".at-Run-header")).to_contain_text("Running", timeout=60_000)
    return opened


async def test_five_tabs_beside_forty_five_feeds_stay_live(
    platform: Installation, context: BrowserContext, client: Client, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "main.py").write_text(lasts_until(go))  # everybody is there when it ends
    run = submit(client, "ada", tmp_path / "code", pipeline({"one": {"file": "main.py"}}))
    opened = await tabs(context, platform, client, run)
    async with feeds(platform, FEEDS) as streams:
        go.touch()
        until = time.monotonic() + 60
        while client.runs.get("ada", run).state != "done" and time.monotonic() < until:
            await asyncio.sleep(0.05)
        ended = time.monotonic()
        for lab in opened:
            await expect(lab.page.locator(".at-Run-header")).to_contain_text("Done", timeout=10_000)
        seen = time.monotonic() - ended
        await asyncio.sleep(1)
        late = [feed for feed in streams if run not in feed.ended]
    print(f"all {TABS} tabs showed the end {seen:.2f} s after the API did")
    assert not late, f"{len(late)} of {FEEDS} feeds did not hear of the end"
    assert seen < LATEST
    for lab in opened:
        await expect(lab.page.get_by_role("button", name="Atelier: Live")).to_be_visible()
