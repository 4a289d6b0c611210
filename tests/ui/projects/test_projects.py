"""The project: choosing it, its secrets and members, and what the tab says when the platform goes away."""

from __future__ import annotations

import uuid

import pytest
from playwright.async_api import expect

from tests.ui.lab import Lab

pytestmark = pytest.mark.usefixtures("own_tab")


async def test_secrets_are_kept_and_never_shown(lab: Lab) -> None:
    name = f"KEY_{uuid.uuid4().hex[:6]}"
    await lab.run("atelier:show-project")
    await lab.page.get_by_role("button", name="Add secret").click()
    dialog = lab.page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill(name)
    await dialog.get_by_label("Value").fill("first value")
    await dialog.get_by_role("button", name="Add").click()
    await expect(lab.page.get_by_text(name, exact=True)).to_be_visible()
    before = {one.name: one.model_dump()["version"] for one in lab.client.secrets.list("ada")}[name]

    await lab.page.get_by_role("button", name=f"Change {name}").click()
    await dialog.get_by_label("New value").fill("second value")
    await dialog.get_by_role("button", name="Change").click()
    await expect(dialog).to_have_count(0)
    await lab.page.wait_for_timeout(500)
    assert {one.name: one.model_dump()["version"] for one in lab.client.secrets.list("ada")}[name] > before
    assert "second value" not in await lab.page.content()

    await lab.page.get_by_role("button", name=f"Remove {name}").click()
    await dialog.get_by_role("button", name="Remove").click()
    await expect(lab.page.get_by_text(name, exact=True)).to_have_count(0)
    assert name not in {one.name for one in lab.client.secrets.list("ada")}


async def test_a_wrong_name_is_refused_with_what_to_do(lab: Lab) -> None:
    await lab.run("atelier:show-project")
    await lab.page.get_by_role("button", name="Add secret").click()
    dialog = lab.page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("not a name!")
    await dialog.get_by_role("button", name="Add").click()
    await expect(dialog).to_contain_text("name")
    await dialog.get_by_role("button").last.click()


async def test_another_project_stays_chosen_over_a_reload(lab: Lab) -> None:
    name = f"p-{uuid.uuid4().hex[:8]}"
    await lab.run("atelier:show-project")
    await lab.page.get_by_role("button", name="New project").click()
    dialog = lab.page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill(name)
    await dialog.get_by_label("Description").fill("A project for this test")
    await dialog.get_by_role("button", name="Create").click()
    await expect(lab.page.get_by_text("A project for this test")).to_be_visible()
    item = lab.page.get_by_role("button", name=f"Project {name}: choose another")
    await expect(item).to_be_visible()
    await lab.page.get_by_role("tab", name="Members").click()
    await expect(lab.page.locator(".at-Items")).to_contain_text("Owner")
    await lab.page.wait_for_timeout(1000)  # Lab writes its state after a while
    await lab.reload()
    await expect(item).to_be_visible()
    await item.click()
    await (
        lab.page.get_by_role("menuitemcheckbox", name="ada", exact=True)
        .or_(lab.page.locator(".lm-Menu-itemLabel", has_text="ada"))
        .first.click()
    )
    await expect(lab.page.get_by_role("button", name="Project ada: choose another")).to_be_visible()


async def test_the_tab_says_how_it_stands_with_the_platform(lab: Lab) -> None:
    await lab.page.get_by_role("button", name="Atelier: Live").click()
    await expect(lab.page.get_by_role("dialog")).to_contain_text("Connected with the platform")
