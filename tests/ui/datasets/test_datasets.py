"""Datasets: registering from this computer, the workspace and an address; versions, previews, deleting."""

from __future__ import annotations

import datetime
import hashlib
import io
import re
import struct
import uuid
import wave
import zlib
from pathlib import Path

import pyarrow
import pyarrow.parquet
from playwright.async_api import Locator, expect

from tests.ui.lab import Lab

SLOW = 60_000


def picture(colour: tuple[int, int, int] = (0, 128, 128)) -> bytes:
    """A PNG of one colour."""

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + bytes(colour) * 8 for _ in range(8)))
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", rows) + part(b"IEND", b"")


async def ask(lab: Lab, kind: str) -> Locator:
    """The dialog with this kind chosen."""
    await lab.run("atelier:show-datasets")
    await lab.page.get_by_role("button", name="Register", exact=True).click()
    dialog = lab.page.get_by_role("dialog")
    await dialog.get_by_label(kind).check()
    return dialog


async def register(dialog: Locator) -> str:
    """Under a name that nobody has."""
    name = f"d-{uuid.uuid4().hex[:8]}"
    await dialog.get_by_label("Name").fill(name)
    await dialog.get_by_role("button", name="Register").click()
    return name


async def test_a_folder_becomes_versions_that_can_be_looked_into(lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "table.csv").write_text("name,score\na,1\nb,2.5\n")
    (folder / "sub" / "lines.jsonl").write_text('{"x": 1}\n{"x": 2}\n')
    (folder / "sub" / "words.txt").write_text("plain words")
    (folder / "picture.png").write_bytes(picture())
    dialog = await ask(lab, "A folder of this computer")
    await dialog.locator("input[type=file]").set_input_files(folder)
    name = await register(dialog)

    files = lab.page.locator(".at-Files-list .at-RowList-row")
    await expect(files).to_have_count(4, timeout=SLOW)
    look = lab.page.locator(".at-Look")
    await files.filter(has_text="table.csv").click()
    await expect(look.locator(".at-Table tbody tr")).to_have_count(2, timeout=SLOW)
    await files.filter(has_text="sub/lines.jsonl").click()
    await expect(look.locator(".at-Table th")).to_have_text(re.compile("x"), timeout=SLOW)
    await files.filter(has_text="sub/words.txt").click()
    await expect(look.locator("pre")).to_have_text("plain words", timeout=SLOW)
    await files.filter(has_text="picture.png").click()
    shown = look.locator("img")
    await expect(shown).to_be_visible(timeout=SLOW)
    assert await shown.evaluate("image => image.naturalWidth") == 8

    await lab.page.get_by_role("button", name="Delete…").click()
    await lab.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(lab.page.locator("#atelier-datasets").get_by_text(name)).to_have_count(0)


def sound() -> bytes:
    """A second of silence."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(8000)
        written.writeframes(bytes(16_000))
    return file.getvalue()


async def test_tables_and_sounds_are_shown(lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    table = pyarrow.table({"name": ["a", "b", "c"], "score": [1, 2, None], "when": [datetime.date(2026, 1, 2)] * 3})
    pyarrow.parquet.write_table(table, folder / "table.parquet")
    (folder / "beep.wav").write_bytes(sound())
    (folder / "broken.parquet").write_bytes(b"PAR1 no, it is not")
    name = f"d-{uuid.uuid4().hex[:8]}"
    lab.client.datasets.create("ada", name, description="", tags=[])
    lab.client.datasets.add("ada", name, folder)
    await lab.run("atelier:open-dataset", {"project": "ada", "name": name})
    files = lab.page.locator(".at-Files-list .at-RowList-row")
    look = lab.page.locator(".at-Look")
    await files.filter(has_text="table.parquet").click()
    await expect(look.locator(".at-Table tbody tr")).to_have_count(3, timeout=SLOW)
    await expect(look.locator(".at-Table")).to_contain_text("2026-01-02")
    await expect(look).to_contain_text("3 of 3 rows")
    await files.filter(has_text="beep.wav").click()
    audio = look.locator("audio")
    await expect(audio).to_be_visible(timeout=SLOW)
    length = (
        "audio => new Promise(done => audio.readyState ? done(audio.duration) : "
        "audio.addEventListener('loadedmetadata', () => done(audio.duration)))"
    )
    assert await audio.evaluate(length) == 1
    await files.filter(has_text="broken.parquet").click()
    await expect(look.locator(".at-EmptyState")).to_be_visible(timeout=SLOW)


async def test_an_upload_goes_on_after_the_network_broke(lab: Lab, tmp_path: Path) -> None:
    data = hashlib.shake_128(b"atelier").digest(20_000_000)
    (tmp_path / "large.bin").write_bytes(data)
    pieces: list[str] = []

    async def broken(route) -> None:  # type: ignore[no-untyped-def]
        pieces.append(route.request.url)
        await (route.abort() if len(pieces) == 2 else route.continue_())

    await lab.page.route("**/uploads/*?offset=*", broken)
    dialog = await ask(lab, "Files of this computer")
    await dialog.locator("input[type=file]").set_input_files(tmp_path / "large.bin")
    name = await register(dialog)
    head = lab.page.locator(".at-Run-step .at-Panel-bar")
    await expect(head).to_contain_text("20.0 MB", timeout=SLOW)
    offsets = [int(re.findall(r"offset=(\d+)", url)[0]) for url in pieces]
    assert len(pieces) > 3 and offsets.count(0) == 1, "what had arrived was sent again"
    async with lab.page.expect_download() as download:
        await lab.page.get_by_role("link", name="Download large.bin").click()
    assert (await (await download.value).path()).read_bytes() == data
    assert name


async def test_a_file_of_the_workspace_and_an_address(lab: Lab) -> None:
    lab.write("data/small.csv", "a,b\n1,2\n")
    dialog = await ask(lab, "A file or folder of the workspace")
    await dialog.get_by_label("Path in the workspace").fill("data/small.csv")
    await register(dialog)
    await expect(lab.page.locator(".at-Look .at-Table tbody tr")).to_have_count(1, timeout=SLOW)

    dialog = await ask(lab, "An address (URI)")
    await dialog.get_by_label("Address", exact=False).last.fill("s3://bucket/folder")
    await register(dialog)
    await expect(lab.page.get_by_text("Kept elsewhere")).to_be_visible(timeout=SLOW)


async def test_a_dataset_grows_by_versions_and_loses_one(lab: Lab) -> None:
    page = lab.page
    lab.write("data/grows.csv", "a,b\n1,2\n")
    dialog = await ask(lab, "A file or folder of the workspace")
    await dialog.get_by_label("Path in the workspace").fill("data/grows.csv")
    name = await register(dialog)
    rows = page.locator(".at-Look .at-Table tbody tr")
    await expect(rows).to_have_count(1, timeout=SLOW)
    lab.write("data/grows.csv", "a,b\n1,2\n3,4\n")
    await page.get_by_role("button", name="New version…").click()
    await dialog.get_by_label("A file or folder of the workspace").check()
    await dialog.get_by_label("Path in the workspace").fill("data/grows.csv")
    await dialog.get_by_role("button", name="Register").click()
    versions = page.get_by_role("grid", name="Versions").get_by_role("row")
    await expect(versions).to_have_count(2, timeout=SLOW)
    await versions.filter(has_text="Version 2").click()
    await expect(rows).to_have_count(2, timeout=SLOW)
    await versions.filter(has_text="Version 1").click()
    await expect(rows).to_have_count(1, timeout=SLOW)  # what was registered stays as it was
    await page.get_by_role("button", name="Delete version…").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(versions).to_have_count(1, timeout=SLOW)
    assert [one.number for one in lab.client.datasets.versions("ada", name)] == [2]


async def test_a_name_that_is_refused_says_why(lab: Lab) -> None:
    lab.write("data/small.csv", "a,b\n1,2\n")
    dialog = await ask(lab, "A file or folder of the workspace")
    await dialog.get_by_label("Path in the workspace").fill("data/small.csv")
    await dialog.get_by_label("Name").fill("Not A Name!")
    await dialog.get_by_role("button", name="Register").click()
    await expect(lab.page.get_by_role("dialog")).to_contain_text("It could not be registered")
