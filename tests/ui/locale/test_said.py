"""What the platform says by itself: every sentence of it is known in Chinese, and Lab finds it again."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

from tests.ui.locale.said import CATALOG, ROOT, catalog, sentences

GAP = re.compile(r"%(\d+)")
MODULE = ROOT / "labextensions" / "packages" / "api" / "lib" / "said.js"
TRANSLATE = """
import { readFileSync } from 'node:fs';
import { isSaid, Phrases } from 'MODULE';
const phrases = new Phrases(JSON.parse(readFileSync('CATALOG', 'utf-8')));
const asked = JSON.parse(readFileSync(0, 'utf-8'));
process.stdout.write(JSON.stringify(asked.map(one => METHOD)));
"""


def translate(*texts: str) -> list[str]:
    """What Lab's own code makes of them."""
    answered: list[str] = ask("phrases.say(one)", list(texts))
    return answered


def ask(method: str, asked: list[Any]) -> list[Any]:
    """What Lab's own code says to each."""
    script = TRANSLATE.replace("MODULE", str(MODULE)).replace("CATALOG", str(CATALOG)).replace("METHOD", method)
    told = subprocess.run(
        ["node", "--input-type=module", "-e", script],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answered: list[Any] = json.loads(told.stdout)
    return answered


def filled(template: str) -> str:
    return GAP.sub(r"‹\1›", template)


def test_every_sentence_has_a_chinese_text() -> None:
    missing = {text: place for text, place in sentences().items() if text not in catalog()}
    assert not missing, f"{CATALOG.name} lacks: {json.dumps(missing, indent=1, ensure_ascii=False)}"


def test_the_catalog_holds_nothing_else() -> None:
    assert catalog().keys() <= sentences().keys()
    assert list(catalog()) == sorted(catalog())


def test_texts_have_the_same_gaps_and_are_chinese() -> None:
    wrong = {key for key, text in catalog().items() if sorted(GAP.findall(key)) != sorted(GAP.findall(text))}
    assert not wrong
    assert all(re.search(r"[\u4e00-\u9fff]", text) for text in catalog().values())


def test_each_is_found_again_whatever_is_put_in() -> None:
    texts = catalog()
    found = dict(zip(texts, translate(*map(filled, texts)), strict=True))
    wrong = {key: text for key, text in found.items() if text != filled(texts[key])}
    assert not wrong, json.dumps(wrong, indent=1, ensure_ascii=False)


def test_sentences_in_sentences_and_after_one_another() -> None:
    said = translate(
        "Revision 2 failed: It was not ready within 30 s. It ended by itself.\nRevision 1 goes on serving.",
        "name: Input should be a valid integer",
        "The step declares the output 'model' but left nothing at outputs/model (outputs/ is empty).",
        "The control plane answered 500. Try again.",
        "the parameter 'trees' is not right: 0 is less than the minimum of 1.",
        "'random forest': the parameter 'trees' is not right: 0 is less than the minimum of 1.",
        "'random forest': the parameter 'trees' is missing. Fill it in.",
        "name: Field required (and 2 more)",
    )
    assert said[0] == "修订 2 失败：它在 30 秒内没有就绪。它自行结束了。\n修订 1 继续提供服务。"
    assert said[1] == "name: 应为有效的整数"
    assert said[2] == "步骤声明了输出 'model'，但在以下位置没有留下内容：outputs/model (outputs/ is empty)。"
    assert said[3] == "控制平面回应 500。请重试。"
    assert said[4] == "参数 'trees' 不正确：0 小于最小值 1。"
    assert said[5] == "'random forest': 参数 'trees' 不正确：0 小于最小值 1。"
    assert said[6] == "'random forest': 缺少参数 'trees'。请填写。"
    assert said[7] == "name: 此字段必填（还有 2 个）"


def test_what_others_said_stays() -> None:
    others = ["Traceback (most recent call last):", "disk quota?", "model-3: 0.5", "", "x" * 10_000]
    assert translate(*others) == others


def test_what_people_have_made_stays() -> None:
    data, version = "/atelier/api/projects/ada/datasets/logs", "versions/1/preview?path=a.jsonl"
    asked = [
        (f"{data}/{version}", True),
        (f"{data}/{version}", False),
        (data, True),
        ("/atelier/api/projects/ada/revisions/v1", True),
        ("/atelier/api/projects/ada/revisions?limit=1", True),
        ("/atelier/local/predict", True),
        ("/atelier/local/predict", False),
    ]
    assert ask("isSaid(...one)", list(asked)) == [False, True, True, False, True, False, True]
