"""The control plane dies and comes back while a person watches a run: nothing has to be loaded anew."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.ui.lab import Lab
from tests.ui.pipelines.canvas import open_chain
from tests.ui.runs.steps import lasts_until

pytestmark = pytest.mark.usefixtures("own_tab")


async def test_a_run_stays_live_over_a_restart_of_the_control_plane(lab: Lab, tmp_path: Path) -> None:
    go, page = tmp_path / "go", lab.page
    await open_chain(lab, first="print(1)\n", second=lasts_until(go), third="print(3)\n")
    await page.locator(".at-RunButton").get_by_role("button").click()
    await page.locator(".jp-Dialog .jp-mod-accept").click()
    await expect(page.locator('.at-Step[data-state="running"]')).to_have_count(1, timeout=60_000)
    await expect(page.locator('.at-Step[data-state="done"]')).to_have_count(1, timeout=60_000)
    supervisor = lab.platform.pid("supervisor")
    os.kill(supervisor, signal.SIGSTOP)  # so that nobody starts it again at once
    try:
        os.kill(lab.platform.pid("control-plane"), signal.SIGKILL)
        await expect(page.get_by_role("button", name="Atelier: Away")).to_be_visible(timeout=10_000)
        await expect(page.locator(".Toastify__toast", has_text="this page catches up by itself")).to_be_visible()
        await lab.run("atelier:show-models")  # what nobody has looked at yet fails to load
        await expect(page.locator("#atelier-models .at-ErrorNotice")).to_be_visible(timeout=10_000)
        await lab.run("atelier:show-catalog")
        await expect(page.locator("#atelier-catalog .at-ErrorNotice")).to_be_visible(timeout=10_000)
    finally:
        os.kill(supervisor, signal.SIGCONT)
    await expect(page.get_by_role("button", name="Atelier: Live")).to_be_visible(timeout=60_000)
    await expect(page.locator(".Toastify__toast", has_text="is back")).to_be_visible()
    await expect(page.locator("#atelier-catalog .at-RowList-row").first).to_be_visible(timeout=60_000)
    await lab.run("atelier:show-models")
    await expect(page.locator("#atelier-models .at-ErrorNotice")).to_have_count(0, timeout=60_000)
    go.touch()
    await expect(page.locator('.at-RunBar[data-state="done"]')).to_be_visible(timeout=60_000)
    states = await page.locator(".at-Step").evaluate_all("all => all.map(one => one.dataset.state)")
    assert states == ["done"] * 3
