"""What one editor writes, the other opens and saves without loss: real files through Elyra's real editor."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

import atelier_templates
from atelier_core.pipeline.document import parse
from atelier_sdk import Client
from tests.elyra.documents import documents
from tests.elyra.elyra_server import ElyraEditor, ElyraServer

DEMO = Path(atelier_templates.__file__).parent / "demo/digits/digits.pipeline"


@pytest.fixture(scope="module")
async def editor(elyra: ElyraServer, chromium: Browser) -> AsyncIterator[ElyraEditor]:
    """One tab for all of them; Lab itself takes seconds to load."""
    opened = await ElyraEditor.open(elyra, chromium)
    yield opened
    await opened.page.close()


def lost(before: Any, after: Any, at: str = "") -> list[str]:
    """What was in `before` and is not, or is different, in `after`; what was added is not counted."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [line for key, value in before.items() for line in lost(value, after.get(key), f"{at}/{key}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [line for index, (one, other) in pairs for line in lost(one, other, f"{at}/{index}")]
    return [] if before == after else [f"{at}: {before!r} became {after!r}"]


def comparable(document: Any) -> Any:
    """Without what Elyra writes from its own palette, and without what is empty, which it leaves out."""
    plain = copy.deepcopy(document)
    for pipeline in plain["pipelines"]:
        pipeline["nodes"].sort(key=lambda node: node["id"])
        for node in pipeline["nodes"]:
            for place in ("x_pos", "y_pos", "image", "description"):
                node["app_data"]["ui_data"].pop(place, None)
    return _without_empty(plain)


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        cleaned = {key: _without_empty(one) for key, one in value.items()}
        return {key: one for key, one in cleaned.items() if one not in ("", None) and one != [] and one != {}}
    return [_without_empty(one) for one in value] if isinstance(value, list) else value


async def test_the_demo_survives_elyra(elyra: ElyraServer, editor: ElyraEditor) -> None:
    document = json.loads(DEMO.read_text())
    elyra.write("survives/digits.pipeline", document)
    saved = await editor.open_and_save("survives/digits.pipeline", len(document["pipelines"][0]["nodes"]))
    assert lost(comparable(document), comparable(saved)) == []
    parse(saved)


@pytest.mark.parametrize("seed", range(6))
async def test_documents_survive_elyra(elyra: ElyraServer, editor: ElyraEditor, client: Client, seed: int) -> None:
    document = documents(client, seed)
    name = f"survives/pipeline {seed}.pipeline"
    elyra.write(name, document)
    saved = await editor.open_and_save(name, len(document["pipelines"][0]["nodes"]))
    assert lost(comparable(document), comparable(saved)) == []
    parse(saved)
