"""Models: registered from a run and a folder, named, approved, compared, deleted; who only looks changes nothing."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.ui.lab import Lab
from tests.ui.models.trained import answer, begin, fact, train

SLOW = 60_000


@pytest.fixture
def name() -> str:
    """Of a model that nobody has."""
    return f"m-{uuid.uuid4().hex[:8]}"


async def test_from_an_output_to_production(lab: Lab, trained: str, name: str) -> None:
    page = lab.page
    await lab.run("atelier:open-run", {"project": "ada", "run": trained})
    await page.get_by_role("tab", name="Outputs").click()
    await page.get_by_role("button", name="Register model as a model").click()
    await answer(page, "Register", Name=name, Note="first")

    row = page.locator(".at-Versions tbody tr")
    await expect(row).to_contain_text("Version 1", timeout=SLOW)
    await expect(row).to_contain_text("0.75")
    await expect(fact(page, "Note")).to_contain_text("first")

    await page.get_by_role("button", name="Add alias…").click()
    await answer(page, "Set", Alias="candidate")
    await expect(fact(page, "Aliases")).to_contain_text("@candidate")
    await page.get_by_role("button", name="Add alias…").click()
    await page.get_by_role("dialog").get_by_label("Alias").fill("production")
    await page.get_by_role("dialog").get_by_role("button", name="Set").click()
    await expect(page.get_by_role("dialog")).to_contain_text("not approved")
    await page.get_by_role("dialog").get_by_role("button").last.click()

    await page.get_by_role("button", name="Approve…").click()
    await answer(page, "Approve", Why="good on all of them")
    await expect(fact(page, "Approval")).to_contain_text("good on all of them")
    await page.get_by_role("button", name="Add alias…").click()
    await answer(page, "Set", Alias="production")
    await expect(fact(page, "Aliases")).to_contain_text("@production")
    found = lab.client.models.get("ada", name)
    assert found.aliases == {"candidate": 1, "production": 1}

    await page.get_by_role("tab", name="Signature").click()
    await expect(page.locator(".at-Signature")).to_contain_text("width")
    await page.get_by_role("tab", name="Use it").click()
    await page.get_by_role("button", name="Copy: Reference", exact=True).click()
    assert await page.evaluate("navigator.clipboard.readText()") == f"models:/{name}@candidate"
    await expect(page.get_by_label("Python", exact=True)).to_contain_text(f"models:/{name}@candidate")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download", exact=True).click()
    assert (await download.value).suggested_filename == f"{name}-1.tar"

    await lab.run("atelier:show-models")
    panel = page.locator("#atelier-models")
    await panel.get_by_label("Filter models").fill(f"{name} candidate")
    await expect(panel.locator(".at-RowList-row")).to_have_count(1)
    await expect(panel.locator(".at-RowList-row")).to_contain_text("Approved for production")
    await page.get_by_role("tab", name="About").click()
    await page.get_by_role("button", name=f"Run {trained}").click()
    await expect(page.locator(f'[id="run:ada:{trained}"]')).to_be_visible()
    assert [one for one in lab.errors if "409" not in one] == []  # the alias that was refused


async def test_two_versions_side_by_side_and_one_deleted(lab: Lab, trained: str, name: str) -> None:
    page = lab.page
    for output in ("model", "second"):
        lab.client.models.register_run("ada", name, run=trained, step="train", output=output)
    lab.client.models.set_alias("ada", name, "old", 1)
    await lab.run("atelier:open-model", {"project": "ada", "name": name})
    compare = page.get_by_role("button", name="Compare", exact=True)
    await expect(compare).to_be_disabled()
    for number in (1, 2):
        await page.get_by_label(f"Compare version {number}").check()
    await compare.click()
    shown = page.get_by_role("region", name="Two versions side by side")
    await expect(shown.get_by_role("table", name="Metrics")).to_contain_text("0.75")
    await expect(shown).to_contain_text(trained)
    await page.get_by_role("button", name="Close the comparison").click()

    await page.get_by_role("button", name="Version 1", exact=True).click()
    await page.get_by_role("button", name="Delete version…").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Delete", exact=True).click()
    await expect(dialog).to_contain_text("the alias old")
    await dialog.get_by_role("button", name="Delete all the same").click()
    await expect(page.locator(".at-Versions tbody tr")).to_have_count(1)
    assert [one.number for one in lab.client.models.versions("ada", name)] == [2]


async def test_a_folder_of_the_workspace(lab: Lab, trained: str, name: str, tmp_path: Path) -> None:
    artifact = next(one for one in lab.client.runs.artifacts("ada", trained) if one.name == "model")
    lab.client.artifacts.download("ada", artifact.id, tmp_path / "model.tar")
    shutil.unpack_archive(tmp_path / "model.tar", lab.folder / "kept" / name)
    await begin(lab, "atelier:register-model", path=f"kept/{name}")
    await answer(lab.page, "Register")
    await expect(lab.page.locator(".at-Versions tbody tr")).to_have_count(1, timeout=SLOW)
    await expect(fact(lab.page, "From")).to_contain_text("no run is known")
    assert lab.client.models.version("ada", name).framework == "sklearn"


async def test_what_is_no_model_is_refused_with_what_to_do(lab: Lab, name: str) -> None:
    lab.write(f"kept/{name}/notes.md", "nothing to serve")
    dialog = await begin(lab, "atelier:register-model", path=f"kept/{name}")
    await dialog.get_by_role("button", name="Register").click()
    await expect(dialog).to_contain_text("not a model that can be registered")


async def test_a_viewer_is_offered_nothing(lab: Lab, name: str, tmp_path: Path) -> None:
    client, page, project = lab.client, lab.page, f"v-{uuid.uuid4().hex[:8]}"
    client.projects.create(project)
    run = train(client, project, tmp_path)
    client.models.register_run(project, name, run=run, step="train", output="model")
    client.members.set(project, "grace", "owner")
    client.members.set(project, "ada", "viewer")
    await lab.run("atelier:choose-project", {"project": project})
    try:
        await lab.run("atelier:show-models")
        panel = page.locator("#atelier-models")
        await expect(panel.get_by_role("button", name="Register")).to_be_disabled()
        await panel.locator(".at-RowList-row").click()
        for text in ("Describe…", "Delete…", "Delete version…", "Deploy…", "Add alias…", "Approve…"):
            button = page.get_by_role("button", name=text, exact=True)
            await expect(button).to_be_disabled()
            assert "You are Viewer here" in str(await button.get_attribute("title"))
        await lab.run("atelier:show-services")
        await expect(page.locator("#atelier-services").get_by_role("button", name="New service")).to_be_disabled()
    finally:
        await lab.run("atelier:choose-project", {"project": "ada"})


async def test_mlflows_own_pages_are_not_for_browsers(lab: Lab) -> None:
    """They show what people logged, which must not happen at the hub's origin; the answer says where to look."""
    answer = await lab.page.goto("/services/atelier-gateway/mlflow/")
    assert answer is not None and answer.status == 401
    assert "Models and Runs" in await answer.text()
