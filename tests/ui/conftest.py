"""The whole platform with a real browser before it: one person in JupyterLab, shared by the stories of this folder."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, expect

from atelier_sdk import Client, credentials
from tests.atelier_cli.platform.installation import Browser as HubPages
from tests.atelier_cli.platform.installation import Installation
from tests.harness import browser
from tests.harness.ports import free_port
from tests.ui.lab import SIZE, Lab, sign_in
from tests.ui.models.trained import train
from tests.ui.overlay import EVERY_CONTROL, templates_with

expect.set_options(timeout=20_000)  # as long as everything else is waited for: other tests run beside

# Let tests run Lab's commands by their ids: `window.jupyterapp`. Before Lab's own script runs, and without a route, for
# which the browser would stop at each request and keep nothing in its cache.
EXPOSE = """document.addEventListener('readystatechange', () => {
  const config = document.getElementById('jupyter-config-data');
  if (config) {
    config.textContent = config.textContent.replace('"exposeAppInBrowser": false', '"exposeAppInBrowser": true');
  }
});"""


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Up, with the account `ada`."""
    folder = tmp_path_factory.mktemp("ui")
    # A home of its own, so that nobody's settings of Lab change; what is slow to build is shared.
    home = folder / "home"
    home.mkdir()
    (home / ".cache").symlink_to(Path.home() / ".cache")
    # Pictures for people show what people have.
    templates = () if os.environ.get("ATELIER_TEST_SCREENSHOTS") else (EVERY_CONTROL,)
    env = {**os.environ, "HOME": str(home), "PYTHONPATH": templates_with(folder / "templates", *templates)}
    installed = Installation(folder / "data", env=env).sharing()
    try:
        started = installed.up("--port", str(free_port()), "--admin", "ada")
        with HubPages(started["url"]) as pages:
            assert pages.choose_password(started["link"]).status_code == 200
        yield installed
    finally:
        installed.run("down", "--stop-runs", check=False)
        installed.run("down", check=False)


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """Without a window of its own yet."""
    async with browser.chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
async def signed_in(platform: Installation, chromium: Browser) -> Path:
    """The cookies of Ada, whose server runs."""
    state = platform.data.parent / "browser.json"
    context = await chromium.new_context(base_url=platform.url)
    page = await context.new_page()
    await sign_in(page, "ada")
    await page.wait_for_url(re.compile(r"/user/ada/lab"), timeout=90_000)
    await context.storage_state(path=state)
    await context.close()
    return state


@pytest.fixture(scope="session")
def client(platform: Installation) -> Iterator[Client]:
    """The platform as Ada's programs see it."""
    found = credentials.load(platform.data.parent / "credentials.json")
    with Client(found.url, found.token) as connected:
        yield connected


@pytest.fixture(scope="session")
def trained(client: Client, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run that has left two models."""
    return train(client, "ada", tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="session")
def model(client: Client, trained: str) -> str:
    """A model with two versions."""
    name = f"m-{uuid.uuid4().hex[:8]}"
    for output in ("model", "second"):
        client.models.register_run("ada", name, run=trained, step="train", output=output)
    return name


@pytest.fixture(scope="module")
def room(client: Client) -> Iterator[None]:
    """What the tests of a module deploy is gone after them: others need the place."""
    yield
    for service in list(client.services.list("ada")):
        client.services.delete("ada", service.name)


@pytest.fixture(scope="module")
def served(client: Client, model: str, room: None) -> str:
    """A service that answers."""
    found = client.services.deploy("ada", {"name": model, "model": f"models:/{model}/1", "grace": 2})
    client.services.wait("ada", model, found.newest, seconds=240)
    return model


@pytest.fixture(scope="session")
async def window(platform: Installation, chromium: Browser, signed_in: Path) -> AsyncIterator[BrowserContext]:
    """A browser window of Ada's, with one cache for all tests; its size is that of a small laptop."""
    opened = await chromium.new_context(
        base_url=platform.url,
        storage_state=signed_in,
        viewport=SIZE,
        reduced_motion="reduce",  # what turns keeps the processor busy
    )
    opened.set_default_timeout(20_000)
    await opened.add_init_script(EXPOSE)
    await opened.grant_permissions(["clipboard-read", "clipboard-write"])
    yield opened
    await opened.close()


@dataclass
class Tab:
    """The tab that the tests have one after the other: Lab takes seconds to load."""

    lab: Lab | None = None


@pytest.fixture(scope="session")
async def tab() -> AsyncIterator[Tab]:
    """Opened by the first test that wants one."""
    one = Tab()
    yield one
    await _close(one)


async def _close(tab: Tab) -> None:
    if tab.lab is not None:
        await tab.lab.page.close()
        tab.lab = None


@pytest.fixture(scope="module")
async def own_tab(tab: Tab) -> AsyncIterator[None]:
    """For a module whose tests leave a tab that is not as it was: in another language, or in another project."""
    await _close(tab)
    yield
    await _close(tab)


@pytest.fixture
async def context(window: BrowserContext, tab: Tab) -> AsyncIterator[BrowserContext]:
    """The window; what a test opens in it is closed after the test."""
    yield window
    for page in window.pages:
        if tab.lab is None or page is not tab.lab.page:
            await page.close()


@pytest.fixture
async def lab(
    request: pytest.FixtureRequest, platform: Installation, window: BrowserContext, client: Client, tab: Tab
) -> Lab:
    """JupyterLab, open and empty; what the page said on its console is in `lab.errors`."""
    if tab.lab is not None and (request.node.get_closest_marker("new_tab") or not await tab.lab.clear()):
        await _close(tab)
    if tab.lab is None:
        opened = Lab(await window.new_page(), platform, client)
        await opened.open()
        tab.lab = opened
    return tab.lab
