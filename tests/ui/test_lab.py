"""JupyterLab with the extension in it."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Route, expect

from tests.ui.lab import Lab


async def test_the_extension_is_there(lab: Lab) -> None:
    plugins = await lab.page.evaluate("() => window.jupyterapp.listPlugins()")
    assert "@atelier/lab:connection" in plugins
    assert "@jupyterlab/apputils-extension:announcements" not in plugins  # it leads outside
    assert not lab.errors


@pytest.mark.new_tab
async def test_a_page_that_is_too_old_says_what_to_do(lab: Lab) -> None:
    """The page of a browser that kept an old one: at the wire it says that it is of another version."""

    async def older(route: Route) -> None:
        await route.continue_(url=re.sub(r"front=[^&]*", "front=0.0.9", route.request.url))

    await lab.page.route("**/atelier/info?front=*", older)
    await lab.reload()
    notice = lab.page.locator(".Toastify__toast", has_text="do not fit each other")
    await expect(notice).to_contain_text("This page is Atelier 0.0.9")
    await expect(notice).to_contain_text("Reload the page")
