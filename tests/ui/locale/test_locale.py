"""English and Chinese: every string has its text, and Lab shows it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import expect

import atelier_templates
from tests.ui.lab import Lab
from tests.ui.locale.messages import CATALOG, catalog, messages
from tests.ui.pipelines.canvas import open_demo

pytestmark = pytest.mark.usefixtures("own_tab")

SETTINGS = "@jupyterlab/translation-extension:plugin"
SAVE = "([id, raw]) => window.jupyterapp.serviceManager.settings.save(id, raw)"


def test_every_string_has_a_chinese_text() -> None:
    texts = catalog()
    missing = {message.key: message.place for message in messages() if not any(texts.get(message.key, []))}
    assert not missing, f"{CATALOG.name} lacks: {json.dumps(missing, indent=1, ensure_ascii=False)}"


def test_the_catalog_holds_nothing_else() -> None:
    assert catalog().keys() <= {message.key for message in messages()}


def test_translations_have_the_same_gaps_to_fill() -> None:
    def gaps(text: str) -> list[str]:
        return sorted(re.findall(r"%\d|\{\{.*?\}\}", text))

    texts = catalog()
    wrong = [
        message.key for message in messages() for text in texts[message.key] if gaps(text) != gaps(message.forms[0])
    ]
    assert not wrong


def test_translations_are_chinese() -> None:
    """Where a text is the same as the English one, it is a name or a pattern."""
    same = {key for key, texts in catalog().items() for text in texts if not re.search(r"[\u4e00-\u9fff]", text)}
    assert same <= {"Atelier", "Atelier: %1", "GPUs", "v%1", "%1 of %2", "%1/%2 steps"}, same


def test_counted_things_have_two_texts() -> None:
    """Chinese needs one, but Lab takes a lone text for one of a string that counts nothing, and shows the English."""
    texts = catalog()
    assert {len(texts[message.key]) for message in messages() if len(message.forms) == 2} == {2}
    assert {len(texts[message.key]) for message in messages() if len(message.forms) == 1} == {1}


def test_lab_finds_the_language() -> None:
    """Lab compares it with its own locale, which has a hyphen there."""
    assert json.loads(CATALOG.read_text())[""]["language"] == "zh-CN"


def test_templates_are_documented_in_chinese() -> None:
    """What stands between backticks is typed, and is the same in both."""
    folders = [manifest.parent for manifest in Path(atelier_templates.__file__).parent.glob("*/template.yaml")]
    assert folders
    for folder in folders:
        english, chinese = ((folder / name).read_text("utf-8") for name in ("README.md", "README.zh_CN.md"))
        assert re.search(r"[\u4e00-\u9fff]", chinese)
        typed = [set(re.findall(r"`[^`\n]+`", text)) for text in (english, chinese)]
        assert typed[0] == typed[1], folder.name


@asynccontextmanager
async def chinese(lab: Lab) -> AsyncIterator[Lab]:
    """Lab in Chinese, for as long as somebody needs it."""
    await lab.page.evaluate(SAVE, [SETTINGS, '{"locale": "zh_CN"}'])
    try:
        await lab.reload()
        yield lab
    finally:
        await lab.page.evaluate(SAVE, [SETTINGS, "{}"])


async def test_lab_speaks_chinese(lab: Lab) -> None:
    async with chinese(lab):
        await lab.run("atelier:show-catalog")
        await expect(lab.page.get_by_role("tab", name="模板")).to_be_visible()
        await lab.page.get_by_label("搜索模板").fill("随机")
        await lab.page.locator("#atelier-catalog .at-RowList-row", has_text="随机森林").click()
        await expect(lab.page.locator(".at-Template")).to_contain_text("树越多越稳定，也越慢。")
        await expect(lab.page.locator(".at-Template .jp-RenderedMarkdown")).to_contain_text("下一步：评估。")
        await lab.run("atelier:show-runs")
        await expect(lab.page.get_by_label("筛选运行")).to_be_visible()
        await lab.run("atelier:show-project")
        await expect(lab.page.get_by_role("button", name="添加密钥")).to_be_visible()
        await lab.run("atelier:show-datasets")
        await expect(lab.page.get_by_label("筛选数据集")).to_be_visible()
        await expect(lab.page.get_by_role("button", name="Atelier：实时")).to_be_visible()


async def test_what_the_platform_says_is_chinese(lab: Lab) -> None:
    async with chinese(lab):
        page = lab.page
        canvas = await open_demo(lab)
        await canvas.step("random forest").click()
        await expect(canvas.field("task").locator("option")).to_have_text(["自动", "分类", "回归"])
        await canvas.field("trees").get_by_role("spinbutton").fill("0")
        await lab.run("atelier:show-problems")
        problem = page.locator(".at-Problems-row")
        await expect(problem).to_contain_text("'random forest': 参数 'trees' 不正确：0 小于最小值 1。")
        await expect(problem).to_contain_text("树越多越稳定，也越慢。")
        await lab.run("atelier:show-project")
        await page.get_by_role("button", name="添加密钥").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("textbox").first.fill("not a name!")
        await dialog.get_by_role("button").last.click()
        await expect(dialog).to_contain_text("请更正指出的字段后重新发送。")


async def test_choices_of_settings_are_chinese(lab: Lab) -> None:
    async with chinese(lab):
        await lab.run("settingeditor:open", {"query": "Atelier"})
        shown = lab.page.locator("select", has=lab.page.locator("option", has_text="我的每个运行"))
        await expect(shown.locator("option")).to_have_text(["我的每个运行", "仅失败的运行", "从不"])
        await shown.select_option("仅失败的运行")
        raw = "async () => (await window.jupyterapp.serviceManager.settings.fetch('@atelier/lab:runs')).raw"
        for _ in range(50):
            if "failed" in await lab.page.evaluate(raw):
                break
            await lab.page.wait_for_timeout(100)
        assert '"notify": "failed"' in await lab.page.evaluate(raw)
    await lab.page.evaluate(SAVE, ["@atelier/lab:runs", "{}"])
