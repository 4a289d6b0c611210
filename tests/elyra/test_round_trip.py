"""What one editor writes, the other opens and saves without loss: real files through Elyra's real editor."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

import atelier_templates
from atelier_core.pipeline.document import parse
from atelier_sdk import Client
from tests.elyra.documents import comparable, documents, lost
from tests.elyra.elyra_server import ElyraEditor, ElyraServer

DEMO = Path(atelier_templates.__file__).parent / "demo/digits/digits.pipeline"


@pytest.fixture(scope="module")
async def editor(elyra: ElyraServer, chromium: Browser) -> AsyncIterator[ElyraEditor]:
    """One tab for all of them; Lab itself takes seconds to load."""
    opened = await ElyraEditor.open(elyra, chromium)
    yield opened
    await opened.page.close()


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
