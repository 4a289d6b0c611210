"""The whole platform with a browser before it, for the time of a benchmark."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.async_api import BrowserContext, Route

from tests.atelier_cli.platform.installation import Browser as HubPages
from tests.atelier_cli.platform.installation import Installation
from tests.harness.browser import chromium
from tests.harness.ports import free_port
from tests.ui.lab import sign_in

USER = "ada"
LAB = re.compile(r"/user/[^/]+/lab")
OURS = re.compile(r',? ?\{[^{}]*"name": "@atelier/lab"[^{}]*\}')


@contextmanager
def platform() -> Iterator[Installation]:
    """Up, with an account, in a home of its own."""
    with TemporaryDirectory(prefix="atelier-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        home = folder / "home"
        home.mkdir()
        (home / ".cache").symlink_to(Path.home() / ".cache")
        installed = Installation(folder / "data", env={**os.environ, "HOME": str(home)})
        try:
            started = installed.up("--port", str(free_port()), "--admin", USER, "--no-mlflow")
            with HubPages(started["url"]) as pages:
                pages.choose_password(started["link"])
            yield installed
        finally:
            installed.run("down", check=False)


@asynccontextmanager
async def window(installed: Installation) -> AsyncIterator[BrowserContext]:
    """A signed-in browser window whose server runs. A page with `without` in its address has no extension of ours."""
    async with chromium("chromium") as browser:  # what people have
        context = await browser.new_context(base_url=installed.url, viewport={"width": 1280, "height": 800})
        context.set_default_timeout(120_000)
        page = await context.new_page()
        await sign_in(page, USER)
        await page.wait_for_url(re.compile(rf"/user/{USER}/lab"), timeout=90_000)
        await page.close()
        await context.route(LAB, _page)
        yield context


async def _page(route: Route) -> None:
    """Both kinds of page go the same way, so that the way costs them the same."""
    if route.request.resource_type != "document":
        await route.continue_()
        return
    answer = await route.fetch()
    text = (await answer.text()).replace('"exposeAppInBrowser": false', '"exposeAppInBrowser": true')
    if "without" in route.request.url:
        text, left_out = OURS.subn("", text)
        assert left_out == 1, "the page does not name our extension"
    await route.fulfill(response=answer, body=text)
