"""What the platform offers: templates with their documentation, images and flavors."""

from __future__ import annotations

from playwright.async_api import expect

from tests.ui.lab import Lab


async def test_templates_are_found_and_explained(lab: Lab) -> None:
    await lab.run("atelier:show-catalog")
    panel = lab.page.locator("#atelier-catalog")
    await expect(panel.locator(".at-RowList-row").first).to_be_visible()
    await panel.get_by_label("Search templates").fill("split")
    await expect(panel.locator(".at-RowList-row")).to_have_count(1)
    await panel.locator(".at-RowList-row").click()
    page = lab.page.locator(".at-Template")
    await expect(page).to_contain_text("test_size")
    await expect(page.locator(".jp-RenderedMarkdown li").first).to_be_visible()
    await lab.run("application:close")
    await expect(page).to_have_count(0)
    assert not lab.errors


async def test_images_flavors_and_what_comes(lab: Lab) -> None:
    await lab.run("atelier:show-catalog")
    panel = lab.page.locator("#atelier-catalog")
    for tab, text in [
        ("Images", "Python"),
        ("Flavors", "GiB"),
    ]:
        await panel.get_by_role("tab", name=tab).click()
        await expect(panel.get_by_role("tabpanel")).to_contain_text(text)


async def test_the_launcher_has_a_section(lab: Lab) -> None:
    section = lab.page.locator(".jp-Launcher-section", has_text="Atelier")
    await expect(section.locator('.jp-LauncherCard[title*="digits"]')).to_be_visible()
    await section.locator('.jp-LauncherCard[title*="digits"]').click()
    await expect(lab.page.locator("#jp-main-dock-panel").get_by_role("tab", name="digits.pipeline")).to_be_visible()
