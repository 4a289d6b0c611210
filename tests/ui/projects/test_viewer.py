"""Who may only look: buttons say so before the platform refuses."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from playwright.async_api import expect

from atelier_sdk import Client
from tests.harness.control_plane import pipeline, submit, wait_for
from tests.ui.lab import Lab
from tests.ui.pipelines.canvas import open_demo

pytestmark = pytest.mark.usefixtures("own_tab")


@pytest.fixture
def viewed(client: Client, tmp_path: Path) -> str:
    """A project with a dataset and a run, in which Ada is a viewer by now; somebody else owns it."""
    name = f"v-{uuid.uuid4().hex[:8]}"
    client.projects.create(name)
    (tmp_path / "main.py").write_text("print('here')\n")
    run = submit(client, name, tmp_path, pipeline({"one": {"file": "main.py"}}))
    assert wait_for(client, name, run, 60).state == "done"
    client.datasets.create(name, "rows", description="", tags=[])
    client.datasets.add(name, "rows", tmp_path / "main.py")
    client.members.set(name, "grace", "owner")
    client.members.set(name, "ada", "viewer")
    return name


async def test_a_viewer_sees_everything_and_changes_nothing(lab: Lab, viewed: str) -> None:
    page = lab.page
    await lab.run("atelier:choose-project", {"project": viewed})
    await lab.run("atelier:show-runs")
    row = page.locator(".at-RunRow").first
    await row.hover()
    refused = "You are Viewer here; this takes at least Member. Ask an owner of the project."
    await expect(row.get_by_role("button", name=refused)).to_be_disabled()
    await lab.run("atelier:show-datasets")
    await expect(page.get_by_role("button", name="Register", exact=True)).to_be_disabled()
    await page.locator("#atelier-datasets .at-RowList-row").click()
    for name in ("New version…", "Delete…", "Delete version…"):
        await expect(page.get_by_role("button", name=name)).to_be_disabled()
    await expect(page.locator(".at-Look pre")).to_contain_text("here", timeout=30_000)
    await lab.run("atelier:show-project")
    await expect(page.locator("#atelier-project")).to_contain_text("Not for viewers")
    canvas = await open_demo(lab)
    await expect(canvas.page.locator(".at-RunButton").get_by_role("button")).to_be_disabled()
    await lab.run("atelier:choose-project", {"project": "ada"})
    await expect(canvas.page.locator(".at-RunButton").get_by_role("button")).to_be_enabled()
