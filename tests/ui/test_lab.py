"""JupyterLab with the extension in it."""

from __future__ import annotations

import asyncio
import re
import uuid

from playwright.async_api import Route, WebSocketRoute, expect

from tests.ui.lab import Lab


async def test_the_extension_is_there(lab: Lab) -> None:
    plugins = await lab.page.evaluate("() => window.jupyterapp.listPlugins()")
    assert "@atelier/lab:connection" in plugins
    assert "@jupyterlab/apputils-extension:announcements" not in plugins  # it leads outside
    assert not lab.errors


async def test_a_page_that_is_too_old_says_what_to_do(lab: Lab) -> None:
    """The page of a browser that kept an old one: at the wire it says that it is of another version."""

    async def older(route: Route) -> None:
        await route.continue_(url=re.sub(r"front=[^&]*", "front=0.0.9", route.request.url))

    await lab.page.route("**/atelier/info?front=*", older)
    await lab.reload()
    notice = lab.page.locator(".Toastify__toast", has_text="do not fit each other")
    await expect(notice).to_contain_text("This page is Atelier 0.0.9")
    await expect(notice).to_contain_text("Reload the page")


async def test_what_happens_before_the_feeds_first_word_is_shown(lab: Lab) -> None:
    """Events count from that word on, and panels may have asked before it."""
    missed_it = asyncio.Event()

    async def late(line: WebSocketRoute) -> None:
        said: list[str | bytes] = []

        def keep(message: str | bytes) -> None:
            said.append(message)

        line.on_message(keep)
        await missed_it.wait()
        platform = line.connect_to_server()
        for message in said:
            platform.send(message)

    await lab.page.route_web_socket(re.compile("/atelier/feed"), late)
    seen = lab.client.datasets.create("ada", f"d-{uuid.uuid4().hex[:8]}").name
    await lab.reload()
    await lab.run("atelier:show-datasets")
    panel = lab.page.locator("#atelier-datasets")
    await expect(panel.get_by_text(seen)).to_be_visible()
    missed = lab.client.datasets.create("ada", f"d-{uuid.uuid4().hex[:8]}").name
    missed_it.set()
    await expect(panel.get_by_text(missed)).to_be_visible()
    await lab.page.close()  # what it says later goes nowhere
