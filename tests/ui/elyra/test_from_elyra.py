"""What Elyra's editor saved, opened and saved on our canvas: nothing of it is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, expect

from atelier_sdk import Client, credentials
from tests.atelier_cli.platform.installation import Installation
from tests.elyra.documents import comparable, documents, lost
from tests.elyra.elyra_server import ElyraEditor, ElyraServer
from tests.ui.lab import Lab
from tests.ui.pipelines.canvas import Canvas


@pytest.fixture(scope="module")
def elyra(tmp_path_factory: pytest.TempPathFactory, platform: Installation) -> Iterator[ElyraServer]:
    """A real Elyra, signed in as Ada."""
    found = credentials.load(platform.data.parent / "credentials.json")
    server = ElyraServer(tmp_path_factory.mktemp("elyra"), found.url, "ada", found.token)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
async def editor(elyra: ElyraServer, chromium: Browser) -> AsyncIterator[ElyraEditor]:
    """Its editor, in a tab of its own."""
    opened = await ElyraEditor.open(elyra, chromium)
    yield opened
    await opened.page.close()


@pytest.mark.parametrize("seed", range(20, 23))
async def test_nothing_is_lost(lab: Lab, client: Client, elyra: ElyraServer, editor: ElyraEditor, seed: int) -> None:
    document = documents(client, seed)
    nodes = document["pipelines"][0]["nodes"]
    name = f"pipeline {seed}.pipeline"
    elyra.write(name, document)
    theirs = await editor.open_and_save(name, len(nodes))
    lab.write(name, theirs)
    await lab.run("docmanager:open", {"path": name})
    canvas = Canvas(lab, name)
    await expect(lab.page.locator(".react-flow__node-step, .at-Step")).not_to_have_count(0)
    await canvas.step(nodes[0]["app_data"]["label"]).click()
    await lab.page.keyboard.press("ArrowRight")
    await canvas.save()
    ours = lab.read(name)
    assert ours != theirs, "the canvas wrote nothing"
    assert lost(comparable(theirs), comparable(ours)) == []
