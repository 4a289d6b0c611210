"""Axe looks at every panel of ours, in light and dark: nothing serious or critical in our elements."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.ui.lab import Lab
from tests.ui.pipelines.canvas import open_demo
from tests.ui.pipelines.test_controls import every_control
from tests.ui.pipelines.test_usage import working
from tests.ui.runs import steps
from tests.ui.services.test_services import fall_asleep, open_tab

THEMES = ("JupyterLab Light", "JupyterLab Dark")
OPTIONS = {"resultTypes": ["violations"], "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}


async def look(lab: Lab, what: str, where: str = ".at-Content") -> None:
    """Axe on all that is ours on the page, in both themes; the search box is Lab's own, and its inside as well."""
    now = await lab.page.locator("body").get_attribute("data-jp-theme-name")
    for theme in sorted(THEMES, key=lambda theme: theme != now):
        if theme != now:
            await lab.run("apputils:change-theme", {"theme": theme})
            await expect(lab.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
            await lab.page.wait_for_timeout(500)  # colours fade
        found = await Axe().run(lab.page, context={"include": [[where]], "exclude": [["jp-search"]]}, options=OPTIONS)
        bad = [
            f"{one['id']} ({one['impact']}): {one['help']}\n  {node['html'][:200]}\n  {node.get('failureSummary')}"
            for one in found.response["violations"]
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]
        assert not bad, f"{what}, {theme}:\n" + "\n".join(bad)


@pytest.fixture(scope="module")
def shown(client, tmp_path_factory) -> str:  # type: ignore[no-untyped-def]
    """A finished run with a log and results."""
    return steps.show(client, tmp_path_factory.mktemp("shown"))


async def test_the_runs(lab: Lab, shown: str) -> None:
    await lab.run("atelier:show-runs")
    await expect(lab.page.locator(".at-RunRow").filter(visible=True).first).to_be_visible()
    await look(lab, "the list of runs")


async def test_a_run(lab: Lab, shown: str) -> None:
    await lab.run("atelier:open-run", {"project": "ada", "run": shown})
    ready: dict[str, Callable[[], Awaitable[None]]] = {
        "Log": lambda: expect(lab.page.locator(".at-Log-line").nth(1)).to_be_visible(),
        "Results": lambda: expect(lab.page.locator(".at-Chart canvas")).to_be_visible(),
        "Outputs": lambda: expect(lab.page.locator(".at-Outputs")).to_be_visible(),
        "Attempts": lambda: expect(lab.page.locator(".at-Attempt")).to_be_visible(),
        "Parameters": lambda: expect(lab.page.get_by_text("No parameters")).to_be_visible(),
    }
    for tab, wait in ready.items():
        await lab.page.get_by_role("tab", name=tab, exact=True).click()
        await wait()
        await look(lab, tab)


async def test_two_runs(lab: Lab, shown: str, tmp_path: Path) -> None:
    other = steps.show(lab.client, tmp_path, 0.5)
    await lab.run("atelier:compare-runs", {"project": "ada", "run": shown, "other": other})
    await expect(lab.page.locator(".at-Compare-sides .at-Chart canvas")).to_have_count(2)
    await look(lab, "two runs side by side")


async def test_the_project(lab: Lab) -> None:
    await lab.run("atelier:show-project")
    await expect(lab.page.get_by_role("button", name="Add secret")).to_be_enabled()
    await look(lab, "secrets")
    await lab.page.get_by_role("tab", name="Members").click()
    await expect(lab.page.locator(".at-Items li").filter(visible=True).first).to_be_visible()
    await look(lab, "members")


async def test_the_catalog(lab: Lab) -> None:
    await lab.run("atelier:show-catalog")
    panel = lab.page.locator("#atelier-catalog")
    await panel.locator(".at-RowList-row").first.click()
    await expect(lab.page.locator(".at-Template .jp-RenderedMarkdown p").filter(visible=True).first).to_be_visible()
    for tab in ("Templates", "Images", "Flavors"):
        await panel.get_by_role("tab", name=tab).click()
        await expect(panel.locator(".at-Loading")).to_have_count(0)
        await look(lab, tab)


async def test_the_datasets(lab: Lab) -> None:
    await lab.run("atelier:show-datasets")
    panel = lab.page.locator("#atelier-datasets")
    await expect(panel.get_by_label("Filter datasets")).to_be_visible()
    await expect(panel.locator(".at-Loading")).to_have_count(0)
    await look(lab, "datasets")


async def test_a_dataset(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "table.csv").write_text("name,score\na,1\nb,2\n")
    (tmp_path / "rows" / "words.txt").write_text("plain words\n")
    name = f"axe-{uuid.uuid4().hex[:6]}"
    lab.client.datasets.create("ada", name, description="Rows and words", tags=["small"])
    lab.client.datasets.add("ada", name, tmp_path / "rows", note="the first")
    await lab.run("atelier:open-dataset", {"project": "ada", "name": name})
    await expect(lab.page.locator(".at-Look .at-Table tbody tr")).to_have_count(2, timeout=30_000)
    await look(lab, "a dataset")
    await lab.page.locator(".at-Files-list .at-RowList-row", has_text="words.txt").click()
    await expect(lab.page.locator(".at-Look pre")).to_be_visible(timeout=30_000)
    await look(lab, "a text of a dataset")


async def test_the_models(lab: Lab, model: str) -> None:
    await lab.run("atelier:show-models")
    await expect(lab.page.locator("#atelier-models .at-RowList-row", has_text=model)).to_be_visible()
    await lab.run("atelier:open-model", {"project": "ada", "name": model})
    ready = {"About": ".at-Facts", "Signature": ".at-Signature", "Parameters": "p.at-Quiet", "Use it": ".at-CopyText"}
    for tab, what in ready.items():
        await lab.page.get_by_role("tab", name=tab, exact=True).click()
        await expect(lab.page.locator(f".at-Tabs-panel {what}").filter(visible=True).first).to_be_visible()
        await look(lab, f"a model: {tab}")
    for number in (1, 2):
        await lab.page.get_by_label(f"Compare version {number}").check()
    await lab.page.get_by_role("button", name="Compare", exact=True).click()
    await expect(lab.page.get_by_role("table", name="Metrics")).to_be_visible()
    await look(lab, "two versions side by side")


async def test_the_services(lab: Lab, served: str) -> None:
    page = lab.page
    await lab.run("atelier:show-services")
    await expect(page.locator("#atelier-services .at-RowList-row", has_text=served)).to_be_visible()
    await lab.run("atelier:open-service", {"project": "ada", "name": served})
    await expect(page.get_by_role("region", name="Replicas")).to_contain_text("answers")
    await look(lab, "a service")
    await page.get_by_role("tab", name="Try it", exact=True).click()
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.locator(".at-Answer-label")).to_be_visible(timeout=30_000)
    await page.get_by_text("The same from elsewhere").click()
    await look(lab, "a service: Try it")
    ready = {"Figures": ".at-Chart canvas", "Logs": ".at-Log-line:not(.at-Log-probe)", "Keys": ".at-EmptyState"}
    for tab, what in ready.items():
        await page.get_by_role("tab", name=tab, exact=True).click()
        await expect(page.locator(what).filter(visible=True).first).to_be_visible(timeout=30_000)
        await look(lab, f"a service: {tab}")
    await page.get_by_role("button", name="Deploy…", exact=True).click()
    await page.get_by_role("dialog").get_by_text("Advanced").click()
    await look(lab, "how to deploy", ".jp-Dialog-content")


async def test_the_drift_of_a_service(lab: Lab, served: str) -> None:
    page, services = lab.page, lab.client.services
    await open_tab(lab, served, "Drift")
    tab = page.get_by_role("region", name="Drift")
    await expect(tab.locator(".at-EmptyState")).to_be_visible()
    await look(lab, "a service without readings")
    keeps = {"name": served, "model": f"models:/{served}/1", "grace": 2, "log": {"sample": 1, "bodies": True}}
    newest = services.deploy("ada", keeps).newest
    services.wait("ada", served, newest, seconds=240)
    columns = {"width": [n % 10 + 6.5 for n in range(350)], "height": [n % 7 / 7 for n in range(350)]}
    inputs = [{"name": name, "shape": [350, 1], "datatype": "FP64", "data": data} for name, data in columns.items()]
    services.infer(services.get("ada", served), inputs)
    await page.get_by_role("tab", name="Overview", exact=True).click()
    await page.get_by_role("tab", name="Drift", exact=True).click()
    await expect(tab.locator(".at-Drift-chart").first).to_be_visible(timeout=30_000)
    await look(lab, "a service: Drift")


async def test_a_service_asleep(lab: Lab, served: str) -> None:
    await fall_asleep(lab, served)
    await lab.run("atelier:show-services")
    await expect(lab.page.locator("#atelier-services .at-mod-asleep")).to_be_visible()
    await lab.run("atelier:open-service", {"project": "ada", "name": served})
    await expect(lab.page.locator(".at-Run-header .at-mod-asleep")).to_be_visible()
    await look(lab, "a service asleep")


async def test_every_control(lab: Lab) -> None:
    canvas = await every_control(lab)
    for field in ("tags", "points", "labels"):
        await canvas.field(field).get_by_role("button", name="Add", exact=True).last.click()
    await look(lab, "every kind of control", ".at-PipelineContent")
    box = canvas.field("flavor").get_by_role("combobox")
    await box.press("ArrowDown")
    await expect(lab.page.locator(".at-Picker-option").filter(visible=True).first).to_be_visible()
    await look(lab, "an open picker", ".at-Picker")


async def test_the_canvas(lab: Lab) -> None:
    canvas = await open_demo(lab)
    await look(lab, "a pipeline", ".at-PipelineContent")
    await canvas.step("random forest").click()
    await expect(canvas.field("trees")).to_be_visible()
    await lab.run("atelier:show-problems")
    await look(lab, "a step and its form", ".at-PipelineContent")


async def test_the_canvas_with_what_steps_use(lab: Lab) -> None:
    async with working(lab) as canvas:
        for name in ("busy", "quiet"):
            await expect(canvas.step(name).locator(".at-Usage")).to_contain_text("CPU", timeout=20_000)
        await look(lab, "running steps with what they use", ".at-PipelineContent")
        run = await canvas.page.locator(".at-RunBar").get_attribute("data-run")
        await lab.run("atelier:open-run", {"project": "ada", "run": run})
        await expect(lab.page.locator(".at-Run-usage")).to_be_visible(timeout=20_000)
        await look(lab, "a running run")
