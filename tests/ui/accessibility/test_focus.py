"""Through canvas and panels by the Tab key alone: in the order in which they are read, each place seen and named."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from playwright.async_api import expect

from tests.ui.lab import Lab
from tests.ui.pipelines.canvas import open_demo

MOST = 150
# Where the focus is: its region, its place, whether it is named, and whether one sees that it is there.
HERE = """regions => {
  const inside = root => root.shadowRoot?.activeElement ? inside(root.shadowRoot.activeElement) : root;
  const outer = document.activeElement, one = inside(outer), box = outer.getBoundingClientRect();
  const near = [one, outer, outer.parentElement, outer.nextElementSibling, outer.firstElementChild].filter(Boolean);
  const marked = style => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0
    || style.boxShadow !== 'none' || parseFloat(style.strokeWidth) >= 3;
  const path = outer.querySelector('.react-flow__edge-path');
  const ids = (outer.getAttribute('aria-labelledby') ?? '').split(' ').filter(Boolean);
  const words = [
    outer.getAttribute('aria-label'), outer.title, outer.textContent, one.placeholder,
    ...[...(one.labels ?? [])].map(label => label.textContent),
    ...ids.map(id => document.getElementById(id)?.textContent),
  ];
  return {
    region: Object.keys(regions).find(name => outer.closest(regions[name])) ?? '',
    what: outer.outerHTML.slice(0, 160),
    name: words.filter(Boolean).join(' ').trim(),
    seen: box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight,
    ring: [...near, ...(path ? [path] : [])].some(element => marked(getComputedStyle(element))),
    top: Math.round(box.top), left: Math.round(box.left), bottom: Math.round(box.bottom),
  };
}"""

Place = dict[str, Any]


async def walk(lab: Lab, regions: dict[str, str], key: str = "Tab") -> list[Place]:
    """Every place that the focus has, until it is in none of the regions."""
    places: list[Place] = []
    for _ in range(MOST):
        place = await lab.page.evaluate(HERE, regions)
        if not place["region"]:
            return places
        places.append(place)
        await lab.page.keyboard.press(key)
    raise AssertionError(f"the focus does not come out: {places[-3:]}")


def check(places: list[Place]) -> None:
    """Each is named and seen; Lab's own search box draws its border."""
    assert [place for place in places if not place["name"]] == []
    assert [place for place in places if not place["seen"]] == []
    assert [place for place in places if not (place["ring"] or "jp-FilterBox" in place["what"])] == []


REGIONS = {
    "toolbar": ".lm-DockPanel-widget:not(.lm-mod-hidden) .jp-Toolbar",
    "palette": ".at-Palette",
    "inspector": ".at-Inspector",
    "canvas": ".react-flow",
}


async def test_the_canvas(lab: Lab) -> None:
    canvas = await open_demo(lab)
    await canvas.step("random forest").click()
    await expect(canvas.field("trees")).to_be_visible()
    await lab.page.locator(".at-Palette-search input").focus()
    await lab.page.keyboard.press("Shift+Tab")
    assert (await lab.page.evaluate(HERE, REGIONS))["region"] == "toolbar"
    places = await walk(lab, REGIONS)
    check(places)
    order = list(dict.fromkeys(place["region"] for place in places))
    assert order == ["toolbar", "palette", "canvas", "inspector"]
    assert [one["region"] for one in places] == sorted((one["region"] for one in places), key=order.index)
    assert sum("react-flow__node" in place["what"] for place in places) == 8
    assert sum(place["region"] == "palette" for place in places) <= 3  # the search, and one row of the list


async def test_the_palette_by_its_arrow_keys(lab: Lab) -> None:
    canvas = await open_demo(lab)
    page = lab.page
    heading = page.locator(".at-Palette-heading").first
    await page.locator(".at-Palette-search input").focus()
    await page.keyboard.press("Tab")
    await expect(heading).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(heading).to_have_attribute("aria-expanded", "false")
    await page.keyboard.press("ArrowDown")
    await expect(page.locator(".at-Palette-heading").nth(1)).to_be_focused()
    await page.keyboard.press("ArrowDown")
    item = page.locator(".at-Palette-item").first
    await expect(item.locator(".at-Palette-add")).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(item.locator(".at-Palette-docs")).to_be_focused()
    await page.keyboard.press("End")
    await expect(page.locator(".at-Palette-add").last).to_be_focused()
    await page.keyboard.press(" ")
    await canvas.ready(9)


@pytest.mark.parametrize(
    ("command", "panel"),
    [
        ("atelier:show-runs", "#atelier-runs"),
        ("atelier:show-datasets", "#atelier-datasets"),
        ("atelier:show-models", "#atelier-models"),
        ("atelier:show-services", "#atelier-services"),
        ("atelier:show-catalog", "#atelier-catalog"),
        ("atelier:show-project", "#atelier-project"),
    ],
)
async def test_a_panel(lab: Lab, model: str, command: str, panel: str) -> None:
    await lab.run(command)
    shown = lab.page.locator(panel).locator("[role='row'], li, .at-EmptyState").filter(visible=True)
    await shown.first.wait_for()
    await lab.page.locator(f"{panel} button, {panel} input, {panel} select, {panel} jp-button").first.focus()
    places = await walk(lab, {"panel": panel})
    assert len(places) >= 2
    check(places)
    for one, other in pairwise(places):
        below, beside = other["bottom"] > one["bottom"], other["left"] > one["left"]
        assert below or beside or other["top"] >= one["top"], (one, other)
