"""The list of runs, a run's page, two runs side by side, notices."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import Locator, Route, expect

from tests.harness.control_plane import wait_for
from tests.ui.lab import Lab
from tests.ui.runs import steps

SLOW = 120_000


def row(lab: Lab, run: str) -> Locator:
    return lab.page.locator(f'.at-RunRow[data-run="{run}"]')


async def test_the_list_is_live_and_filters(lab: Lab, tmp_path: Path) -> None:
    await lab.run("atelier:show-runs")
    run = steps.start(lab.client, tmp_path, steps.SLEEP)
    await expect(row(lab, run)).to_contain_text("Running", timeout=SLOW)
    await row(lab, run).hover()
    await row(lab, run).get_by_role("button", name="Cancel run").click()
    await lab.page.get_by_role("dialog").get_by_role("button", name="Cancel run").click()
    await expect(row(lab, run)).to_contain_text("Stopped", timeout=SLOW)
    assert lab.client.runs.get("ada", run).state == "stopped"

    await lab.page.get_by_label("State").select_option("failed")
    await expect(row(lab, run)).to_have_count(0)
    await lab.page.get_by_label("State").select_option("stopped")
    await expect(row(lab, run)).to_be_visible()
    await lab.page.get_by_label("Filter runs").fill("no such run")
    await expect(row(lab, run)).to_have_count(0)
    await expect(lab.page.get_by_text("No run fits the filter.")).to_be_visible()
    await lab.page.get_by_label("Filter runs").fill(run)
    await expect(row(lab, run)).to_be_visible()
    assert not lab.errors


@pytest.mark.new_tab
async def test_a_run_that_begins_while_the_list_is_on_its_way_is_in_it(lab: Lab, tmp_path: Path) -> None:
    begun: list[str] = []
    arrived = asyncio.Event()

    async def late(route: Route) -> None:
        if begun:
            await route.continue_()
            return
        answer = await route.fetch()
        begun.append(steps.show(lab.client, tmp_path))  # done before the list that lacks it arrives
        await lab.page.wait_for_timeout(2000)
        await route.fulfill(response=answer)
        arrived.set()

    await lab.page.route("**/projects/ada/runs?*", late)
    await lab.run("atelier:show-runs")
    async with asyncio.timeout(60):
        await arrived.wait()
    await expect(lab.page.locator("#atelier-runs .at-RunRow").first).to_be_visible(timeout=SLOW)
    await expect(row(lab, begun[0])).to_contain_text("Done")


async def test_a_run_that_ends_while_its_page_is_on_its_way_is_shown_as_ended(lab: Lab, tmp_path: Path) -> None:
    run = steps.start(lab.client, tmp_path, steps.SLEEP)
    read: set[str] = set()
    fetched, ended, arrived = asyncio.Semaphore(0), asyncio.Event(), asyncio.Semaphore(0)

    async def hold(route: Route) -> None:
        path = route.request.url.partition("?")[0]
        if path in read:
            await route.continue_()
            return
        read.add(path)
        answer = await route.fetch()
        fetched.release()
        async with asyncio.timeout(60):
            await ended.wait()
        await route.fulfill(response=answer)
        arrived.release()

    await lab.page.route(re.compile(rf"/runs/{run}(/steps)?(\?|$)"), hold)
    await lab.run("atelier:open-run", {"project": "ada", "run": run})
    async with asyncio.timeout(60):
        await fetched.acquire()
        await fetched.acquire()
        lab.client.runs.cancel("ada", run)
        wait_for(lab.client, "ada", run, 60)
        await lab.page.wait_for_timeout(1500)  # the events are there before the page is
        ended.set()
        await arrived.acquire()
        await arrived.acquire()
    await lab.page.wait_for_timeout(1000)
    await expect(lab.page.locator(".at-Run-header").filter(has_text=run)).to_contain_text("Stopped")


async def test_a_page_shows_log_results_outputs_and_attempts(lab: Lab, tmp_path: Path) -> None:
    run = steps.show(lab.client, tmp_path)
    await lab.run("atelier:open-run", {"project": "ada", "run": run})
    await expect(lab.page.locator(".at-Log-line").last).to_contain_text("line 299")  # it follows the end
    await lab.page.locator(".at-Log-box").evaluate("box => { box.scrollTop = 0; }")
    await expect(lab.page.locator(".at-ansi-fg-red").first).to_have_text("red words")
    await expect(lab.page.get_by_label("Follow")).not_to_be_checked()

    await lab.page.get_by_label("Search the log").fill("LINE 15")
    await expect(lab.page.get_by_text("11 lines")).to_be_visible()  # 15 and 150 to 159
    await lab.page.get_by_role("button", name="Next match").click()
    await expect(lab.page.locator(".at-Log-line.at-mod-shown mark")).to_have_text("line 15")

    await lab.page.get_by_role("tab", name="Results").click()
    await expect(lab.page.locator(".at-Metrics-one")).to_contain_text("0.75")
    await expect(lab.page.locator(".at-Chart canvas")).to_be_visible()
    await lab.page.get_by_role("button", name="score").click()
    firsts = lab.page.locator(".at-Table tbody tr td:first-child")
    assert await firsts.all_text_contents() == ["c", "b", "a"]  # as numbers, not as text
    frame = lab.page.locator("iframe.at-Result-frame")
    assert await frame.get_attribute("sandbox") == "allow-scripts"
    picture = lab.page.get_by_role("img", name="Dots")
    await expect(picture).to_be_visible()
    assert await picture.evaluate("image => image.naturalWidth") == 8
    await expect(lab.page.get_by_role("region", name="Words")).to_contain_text("plain text")

    await lab.page.get_by_role("tab", name="Outputs").click()
    async with lab.page.expect_download() as download:
        await lab.page.get_by_role("link", name="Download results").click()
    assert (await (await download.value).path()).stat().st_size > 0
    await lab.page.get_by_role("tab", name="Attempts").click()
    await expect(lab.page.get_by_text("exit code 0")).to_be_visible()


async def test_a_page_survives_a_reload_and_runs_again(lab: Lab, tmp_path: Path) -> None:
    run = steps.start(lab.client, tmp_path, steps.FAIL)
    wait_for(lab.client, "ada", run, 180)
    await lab.run("atelier:open-run", {"project": "ada", "run": run})
    await expect(lab.page.locator(".at-Run-header")).to_contain_text("Failed")
    await lab.page.wait_for_timeout(1500)  # Lab saves its layout after a while
    await lab.reload()
    await expect(lab.page.locator(".at-Run-header")).to_contain_text(run, timeout=SLOW)
    before = {one.id for one in lab.client.runs.list("ada")}
    await lab.page.get_by_role("button", name="Run again").click()
    await expect(lab.page.locator(".at-Run-header").last).not_to_contain_text(run)
    [again] = {one.id for one in lab.client.runs.list("ada")} - before
    assert lab.client.runs.get("ada", again).revision == lab.client.runs.get("ada", run).revision
    # A failure is told, with a way to it.
    await expect(lab.page.locator(".Toastify__toast").filter(has_text="failed")).to_be_visible(timeout=SLOW)


async def test_two_runs_side_by_side(lab: Lab, tmp_path: Path) -> None:
    one = steps.show(lab.client, tmp_path / "one", 0.5)
    other = steps.show(lab.client, tmp_path / "other", 0.75)
    await lab.run("atelier:compare-runs", {"project": "ada", "run": one, "other": other})
    metric = lab.page.get_by_role("row", name="shown · accuracy")
    await expect(metric).to_contain_text("0.5")
    await expect(metric).to_contain_text("(+0.25)")
    assert "at-mod-differs" in (await metric.get_attribute("class") or "")
    await expect(lab.page.locator(".at-Compare-sides .at-Chart canvas")).to_have_count(2)


@pytest.mark.new_tab  # rows of runs that are news to an open list would come between
async def test_the_keyboard_walks_the_list(lab: Lab, tmp_path: Path) -> None:
    for number in range(2):
        steps.show(lab.client, tmp_path / str(number))
    await lab.run("atelier:show-runs")
    rows = lab.page.locator("#atelier-runs .at-RowList-row")
    await rows.first.focus()
    await lab.page.keyboard.press("ArrowDown")
    await expect(rows.nth(1)).to_be_focused()
    await lab.page.keyboard.press("Space")
    await lab.page.keyboard.press("Home")
    await lab.page.keyboard.press("Space")
    await lab.page.get_by_role("button", name="Compare", exact=True).click()
    await expect(lab.page.get_by_role("region", name="Two runs side by side")).to_be_visible()
    await rows.first.focus()
    await lab.page.keyboard.press("Enter")
    await expect(lab.page.locator(".at-Run-header")).to_be_visible()
