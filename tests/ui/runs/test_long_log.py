"""A log of 100 MB: read, followed and searched without a frozen page."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import expect

from tests.harness.control_plane import wait_for
from tests.ui.lab import Lab
from tests.ui.runs import steps

# Remembers the longest time in which the page could not react.
WATCH = """() => { window.longest = 0; let last = performance.now();
  const look = () => { const now = performance.now(); window.longest = Math.max(window.longest, now - last);
    last = now; setTimeout(look, 10); }; look(); }"""


async def test_it_never_freezes_the_page(lab: Lab, tmp_path: Path, record_property) -> None:  # type: ignore[no-untyped-def]
    run = steps.start(lab.client, tmp_path, steps.LOUD)
    assert wait_for(lab.client, "ada", run, 240).state == "done"
    await lab.page.evaluate(WATCH)
    await lab.run("atelier:open-run", {"project": "ada", "run": run})
    last = lab.page.locator(".at-Log-line").last
    await expect(last).to_contain_text("the very end", timeout=120_000)
    assert await lab.page.locator(".at-Log-line").count() < 200  # only what is seen is drawn
    await lab.page.get_by_label("Search the log").fill("step 00777777")
    await expect(lab.page.get_by_text("1 line", exact=True)).to_be_visible(timeout=60_000)
    await lab.page.get_by_role("button", name="Next match").click()
    await expect(lab.page.locator(".at-Log-line.at-mod-shown")).to_contain_text("step 00777777")
    await expect(lab.page.locator(".at-Log-line.at-mod-shown .at-Log-number")).to_have_attribute(
        "data-number", "777778"
    )
    longest = float(await lab.page.evaluate("window.longest"))
    record_property("longest_freeze_ms", longest)
    print(f"longest time without reaction: {longest:.0f} ms")
    assert longest < 1000
