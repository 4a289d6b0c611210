"""From signing in to the results of the demo, as a person goes there: every click and every field is counted."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from atelier_sdk import Client
from atelier_sdk.models import Run
from tests.atelier_cli.platform.installation import PASSWORD, Installation
from tests.ui.lab import Lab
from tests.ui.pipelines.canvas import Canvas

STAGES, FIELDS = 6, 15  # what the platform promises at most
# Where the pictures of the README come from: ATELIER_TEST_SCREENSHOTS=docs/images
PICTURES = os.environ.get("ATELIER_TEST_SCREENSHOTS", "")


@dataclass
class Person:
    """A hand and an eye: what they do is counted."""

    page: Page
    clicks: int = 0
    fields: int = 0
    stages: list[str] = field(default_factory=list)

    async def click(self, what: Locator, *, twice: bool = False) -> None:
        await (what.dblclick() if twice else what.click())
        self.clicks += 2 if twice else 1

    async def fill(self, what: Locator, text: str) -> None:
        await what.fill(text)
        self.fields += 1

    async def stage(self, name: str) -> None:
        """Something is reached; a picture is taken where one is wanted."""
        self.stages.append(name)
        if PICTURES:
            await self.page.wait_for_timeout(700)
            file = Path(PICTURES) / f"{len(self.stages)}-{name.replace(' ', '-')}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            await self.page.screenshot(path=file)


async def test_from_sign_in_to_results(
    platform: Installation, chromium: Browser, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    person, run = await story(platform, chromium, client, "local")
    with capsys.disabled():
        told = f"{len(person.stages)} stages, {person.clicks} clicks, {person.fields} fields"
        print(f"\nfrom sign-in to the results of the demo: {told} ({', '.join(person.stages)})")
    assert run.state == "done"


async def story(platform: Installation, chromium: Browser, client: Client, on: str) -> tuple[Person, Run]:
    """All of it; `on` is where the person should be told that it runs."""
    context = await chromium.new_context(base_url=platform.url, viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    page.set_default_timeout(30_000)
    person = Person(page)
    await sign_in(person)
    canvas = await open_demo(person, platform, client)
    await change_and_run(person, canvas)
    await expect(page.locator(".at-RunBar-on")).to_have_text(on)
    await watch(person, canvas)
    await read_results(person, canvas)
    await context.close()
    assert len(person.stages) <= STAGES and person.fields <= FIELDS
    run = next(iter(client.runs.list("ada")))
    attempt = list(client.steps.attempts("ada", run.id, "random-forest"))[-1]
    assert run.on == on and attempt.state == "done"
    log = b"".join(client.steps.logs("ada", run.id, "random-forest")).decode()
    assert "trees 20," in log
    return person, run


async def sign_in(person: Person) -> None:
    page = person.page
    await page.goto("/")
    await person.fill(page.locator("#username_input"), "ada")
    await person.fill(page.locator("#password_input"), PASSWORD)
    await person.click(page.locator("#login_submit"))
    await page.wait_for_url(re.compile(r"/user/ada/lab"), timeout=90_000)
    await expect(page.locator(".jp-DirListing-item", has_text="atelier-demo")).to_be_visible(timeout=60_000)
    await person.stage("signed in")


async def open_demo(person: Person, platform: Installation, client: Client) -> Canvas:
    page = person.page
    await person.click(page.locator(".jp-DirListing-item", has_text="atelier-demo"), twice=True)
    await person.click(page.locator(".jp-DirListing-item", has_text="digits.pipeline"), twice=True)
    canvas = Canvas(Lab(page, platform, client), "atelier-demo/digits.pipeline")
    await expect(page.locator(".react-flow__node")).to_have_count(8)
    await person.stage("pipeline open")
    return canvas


async def change_and_run(person: Person, canvas: Canvas) -> None:
    page = person.page
    await person.click(canvas.step("random forest"))
    await person.fill(canvas.field("trees").get_by_role("spinbutton"), "20")
    await person.stage("parameter changed")
    await person.click(page.locator(".at-RunButton").get_by_role("button"))
    await person.click(page.locator(".jp-Dialog .jp-mod-accept"))


async def watch(person: Person, canvas: Canvas) -> None:
    running = canvas.page.locator('.react-flow__node [data-state="running"], .react-flow__node [data-state="done"]')
    await expect(running.first).to_be_visible(timeout=120_000)  # the first run on a fresh platform warms up
    await person.stage("running")
    await expect(canvas.page.locator('.at-RunBar[data-state="done"]')).to_be_visible(timeout=240_000)
    await person.stage("done")


async def read_results(person: Person, canvas: Canvas) -> None:
    page = person.page
    await person.click(canvas.step("evaluate"))
    await person.click(page.locator(".jp-Toolbar").get_by_text("Results", exact=True))
    await expect(page.locator(".at-Bottom")).to_contain_text("accuracy", timeout=20_000)
    await expect(page.locator(".at-Bottom canvas, .at-Bottom svg").first).to_be_visible(timeout=20_000)
    await person.stage("results")
