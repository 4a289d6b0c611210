"""One websocket a tab: every event once, whatever dies in between; logs at the pace of whoever reads them."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import websockets

from atelier_sdk import Client
from atelier_server.relay import Relay
from atelier_server.settings import Settings
from atelier_server.upstream import ControlPlane as Upstream
from tests.atelier_server.alone import Meter, alone
from tests.atelier_server.servers import Notebook, SpawningHub, Tab
from tests.harness.control_plane import ControlPlane as Plane
from tests.harness.control_plane import pipeline, submit, wait_for

MB = 1024**2
PROJECT = "ada"


def make_events(platform: Client, count: int, name: str = "") -> None:
    """Each is one event of the person's own project."""
    for number in range(count):
        platform.secrets.set(PROJECT, f"S{name}{number}", "x")


def ids(tab: Tab) -> list[int]:
    return [event["id"] for event in tab.events()]


async def collect(tab: Tab, count: int) -> list[int]:
    while len(tab.events()) < count:
        await tab.next("event")
    return ids(tab)


async def test_events_come_once_and_in_order(notebook: Notebook, tokens: dict[str, str], platform: Client) -> None:
    async with notebook.feed(tokens["owner"]) as tab:
        begin = await tab.start()
        make_events(platform, 3, "A")
        found = await collect(tab, 3)
        assert found == sorted(set(found)) and found[0] > begin
        event = tab.events()[0]
        assert event["project"] == PROJECT and event["kind"] == "secret.added" and event["subject"]
    async with notebook.feed(tokens["owner"]) as again:
        await again.start(found[0])
        assert await collect(again, 2) == found[1:3]
        assert not await again.quiet(0.5)


async def test_a_tab_after_a_pause_begins_with_what_is_new(
    notebook: Notebook, tokens: dict[str, str], platform: Client
) -> None:
    """What came while no tab was open is in the lists that the page loads; as events it would be told as news."""
    async with notebook.feed(tokens["owner"]) as before:
        begin = await before.start()
    make_events(platform, 40, "P")
    async with notebook.feed(tokens["owner"]) as tab:
        assert await tab.start() >= begin + 40
        make_events(platform, 1, "Q")
        assert await collect(tab, 1) == [begin + 41]


async def test_a_tab_with_an_old_position_reads_what_the_server_forgot(
    notebook: Notebook, tokens: dict[str, str], platform: Client
) -> None:
    """From the beginning of the log: further back than the server ever heard."""
    make_events(platform, 2, "B")
    async with notebook.feed(tokens["owner"]) as live, notebook.feed(tokens["owner"]) as old:
        await live.start()
        make_events(platform, 1, "C")
        await live.next("event")
        await old.start(0)
        last = ids(live)[-1]
        while last not in ids(old):
            await old.next("event")
        found = ids(old)
        assert found == sorted(set(found)) and len(found) > 2
        make_events(platform, 1, "D")
        await live.next("event")
        await old.next("event")
        assert ids(old)[-1] == ids(live)[-1]


async def test_fifty_tabs_share_one_connection(
    notebook: Notebook, tokens: dict[str, str], platform: Client, plane_connections: object
) -> None:
    async with AsyncExitStack() as stack:
        tabs = [await stack.enter_async_context(notebook.feed(tokens["owner"])) for _ in range(50)]
        await asyncio.gather(*(tab.start() for tab in tabs))
        before = plane_connections()  # type: ignore[operator]
        make_events(platform, 2, "E")
        found = await asyncio.gather(*(collect(tab, 2) for tab in tabs))
        assert len({tuple(one) for one in found}) == 1
        assert before <= 3  # the shared one, and kept ones of earlier requests


async def test_an_idle_tab_asks_nothing(notebook: Notebook, tokens: dict[str, str], platform: Client) -> None:
    """Not one byte goes to the control plane while nothing happens; then an event still arrives."""
    async with Meter(notebook.plane.url) as meter, alone(meter.url, token=tokens["owner"]) as server:
        url = f"{server.base_url}".replace("http", "ws", 1).rstrip("/") + "/feed"
        async with websockets.connect(url) as first, websockets.connect(url) as second:
            tabs = [Tab(first), Tab(second)]
            for tab in tabs:
                await tab.start()
            before = meter.bytes
            assert before > 0 and meter.connections == 1
            assert not await tabs[0].quiet(10)
            assert meter.bytes == before
            make_events(platform, 1, "I")
            for tab in tabs:
                await tab.next("event")
            assert meter.bytes == before and meter.connections == 1


async def test_control_plane_killed_and_started_again_under_open_feeds(
    notebook: Notebook, tokens: dict[str, str], platform: Client
) -> None:
    """Three times; one tab stays, one comes back in between with its last position. Nothing is lost or twice."""
    async with notebook.feed(tokens["owner"]) as tab:
        await tab.start()
        made = 0
        for number in range(3):
            make_events(platform, 4, f"K{number}")
            made += 4
            notebook.plane.kill()
            away = await tab.next("away")
            assert "does not answer" in away["message"] and away["hint"]
            notebook.plane.start()
            await tab.next("back")
            make_events(platform, 2, f"L{number}")
            made += 2
            async with notebook.feed(tokens["owner"]) as other:
                await other.start(ids(tab)[0])
                await collect(other, made - 1)
                assert ids(other) == sorted(set(ids(other)))
        found = await collect(tab, made)
        assert found == sorted(set(found)) and len(found) == made
        assert not [one for one in await tab.quiet(0.5) if one["type"] == "event"]


async def test_messages_that_are_none(notebook: Notebook, tokens: dict[str, str]) -> None:
    async with notebook.feed(tokens["owner"]) as tab:
        await tab.start()
        for message in ("[]", "{", '{"type":"other"}', '{"type":"start","after":-1}', '{"type":"start","after":"x"}'):
            await tab.socket.send(message)
            assert (await tab.next("error"))["message"]
        await tab.send(type="logs.open", id="l", project="..", run="r", step="s")
        assert (await tab.next("logs.error", id="l"))["code"] == "bad_path"
        await tab.send(type="logs.open", id="m", project="p", run="r", step="s", offset=-1)
        assert (await tab.next("logs.error", id="m"))["message"]
        await tab.send(type="logs.open", id="n", project="ada", run="no-run", step="s")
        assert (await tab.next("logs.error", id="n"))["code"] == "not_found"
        await tab.send(type="logs.close", id="never opened")
        assert not await tab.quiet(0.3)


async def test_a_page_of_another_site_cannot_listen(notebook: Notebook, tokens: dict[str, str]) -> None:
    """With the cookie alone a foreign page gets nothing; Jupyter's own check of the origin."""
    with pytest.raises(websockets.InvalidStatus) as refusal:
        async with notebook.feed(None, Origin="https://evil.example", Cookie="jupyterhub-user-ada=x"):
            pass
    assert refusal.value.response.status_code == 403


# --- logs ---

WRITER = """
import os, sys, time
line = ("x" * 96 + "é€\\n").encode()
block = line * 5000
for number in range({blocks}):
    os.write(1, block)
sys.stdout.flush()
print("end")
"""


@pytest.fixture(scope="module")
def big_log(platform_module: Client, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A finished run whose step wrote 100 MB."""
    folder = tmp_path_factory.mktemp("big")
    (folder / "big.py").write_text(WRITER.format(blocks=200))
    document = pipeline({"big": {"file": "big.py", "image": "python"}})
    run = submit(platform_module, PROJECT, folder, document)
    assert wait_for(platform_module, PROJECT, run, 120).state == "done"
    return run, "big"


@pytest.fixture(scope="module")
def platform_module(plane: object, tokens: dict[str, str]) -> Iterator[Client]:
    with Client(plane.url, tokens["owner"]) as client:  # type: ignore[attr-defined]
        yield client


def memory(notebook: Notebook) -> int:
    for process in psutil.process_iter(["cmdline"]):
        if "jupyterhub.singleuser" in (process.info["cmdline"] or []) and str(notebook.folder) == process.cwd():
            return int(process.memory_info().rss)
    raise AssertionError("the notebook's process was not found")


async def read_log(tab: Tab, name: str, each: object = None) -> tuple[int, int, int]:
    """(characters, end offset, messages) of an open log."""
    characters = messages = offset = 0
    while True:
        message = await _log_message(tab, name)
        if message["type"] != "logs.data":
            assert message["type"] == "logs.end", message
            return characters, offset, messages
        assert message["offset"] > offset and len(message["text"].encode()) <= 300_000
        offset, messages = message["offset"], messages + 1
        characters += len(message["text"])
        if callable(each):
            await each(message)


async def _log_message(tab: Tab, name: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            message: dict[str, Any] = json.loads(await tab.socket.recv())
            if message.get("id") == name and message["type"].startswith("logs."):
                return message


async def test_a_hundred_megabytes_of_log_in_bounded_memory(
    notebook: Notebook, tokens: dict[str, str], big_log: tuple[str, str], platform: Client
) -> None:
    run, step = big_log
    before, peak = memory(notebook), 0
    async with notebook.feed(tokens["owner"]) as tab:
        await tab.start()
        await tab.send(type="logs.open", id="big", project=PROJECT, run=run, step=step)
        began = time.monotonic()

        async def look(message: dict[str, object]) -> None:
            nonlocal peak
            peak = max(peak, memory(notebook)) if message["offset"] % 40 == 0 else peak  # type: ignore[operator]

        characters, offset, messages = await read_log(tab, "big", look)
        seconds = time.monotonic() - began
    lines = 200 * 5000
    assert characters == lines * 99 + 4 and offset == lines * (96 + 2 + 3 + 1) + 4
    assert messages / seconds < 25
    assert max(peak, memory(notebook)) - before < 40 * MB


async def test_a_tab_that_does_not_read_holds_the_log_back(
    notebook: Notebook, tokens: dict[str, str], big_log: tuple[str, str], platform: Client
) -> None:
    """The slow tab costs no memory, and another tab's events are not late."""
    run, step = big_log
    async with notebook.feed(tokens["owner"]) as slow, notebook.feed(tokens["owner"]) as other:
        await slow.start()
        await other.start()
        before = memory(notebook)
        for number in range(5):
            await slow.send(type="logs.open", id=f"l{number}", project=PROJECT, run=run, step=step)
        await asyncio.sleep(5)
        assert memory(notebook) - before < 40 * MB
        make_events(platform, 1, "Slow")
        await other.next("event", seconds=2)


async def test_a_log_goes_on_at_a_byte_and_never_splits_a_character(
    notebook: Notebook, tokens: dict[str, str], big_log: tuple[str, str]
) -> None:
    run, step = big_log
    async with notebook.feed(tokens["owner"]) as tab:
        await tab.start()
        await tab.send(type="logs.open", id="a", project=PROJECT, run=run, step=step, offset=102 * 999_990)
        text = ""
        while True:
            message = await _log_message(tab, "a")
            if message["type"] == "logs.end":
                break
            text += message["text"]
    assert text == ("x" * 96 + "é€\n") * 10 + "end\n"


async def test_a_log_is_followed_over_a_restart_of_the_control_plane(
    notebook: Notebook, tokens: dict[str, str], platform: Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("slow")
    code = "import time\nfor number in range(60):\n    print(number, flush=True)\n    time.sleep(0.1)\n"
    (folder / "slow.py").write_text(code)
    run = submit(platform, PROJECT, folder, pipeline({"slow": {"file": "slow.py", "image": "python"}}))
    async with notebook.feed(tokens["owner"]) as tab:
        await tab.start()
        await tab.send(type="logs.open", id="s", project=PROJECT, run=run, step="slow")
        text = ""
        killed = False
        while True:
            message = await _log_message(tab, "s")
            if message["type"] == "logs.end":
                break
            assert message["type"] == "logs.data", message
            text += message["text"]
            if "5\n" in text and not killed:
                killed = True
                notebook.plane.kill()
                notebook.plane.start()
    assert text == "".join(f"{number}\n" for number in range(60)) and killed


async def test_a_closed_log_is_closed_at_the_control_plane(
    notebook: Notebook, tokens: dict[str, str], big_log: tuple[str, str]
) -> None:
    run, step = big_log
    async with notebook.feed(tokens["owner"]) as tab:
        await tab.start()
        await tab.send(type="logs.open", id="c", project=PROJECT, run=run, step=step)
        await _log_message(tab, "c")
        await tab.send(type="logs.close", id="c")
        await asyncio.sleep(0.5)
        await tab.quiet(0.5)
        assert not [one for one in await tab.quiet(1) if one.get("id") == "c"]


# --- the relay by itself ---


async def test_the_ring_forgets_and_a_slow_reader_still_misses_nothing(
    notebook: Notebook, tokens: dict[str, str], platform: Client
) -> None:
    """A ring of four events and a reader who is ten behind."""
    upstream = Upstream(Settings("ada", "ada", notebook.plane.url, tokens["owner"]))
    relay = Relay(upstream, ring=4)
    relay.join()
    try:
        while not relay.live:
            await asyncio.wait_for(relay.changed.wait(), 10)
        assert relay.last is not None
        start = relay.last
        await asyncio.to_thread(make_events, platform, 12, "R")
        async with asyncio.timeout(10):
            while relay.after(relay.floor) is None or relay.last < start + 12:
                await relay.changed.wait()
        assert relay.after(start) is None
        older = [event.id async for event in relay.older(start)]
        newer = relay.after(relay.floor)
        assert newer is not None
        assert older + [event.id for event in newer] == list(range(start + 1, start + 13))
    finally:
        relay.leave()
        await upstream.close()


async def test_a_platform_restored_from_a_backup_begins_anew(
    spawning_hub: SpawningHub, tokens: dict[str, str], tmp_path: Path
) -> None:
    """Its log is shorter than what the tab has seen: the tab is told where to begin, and hears what comes then."""
    plane = Plane(tmp_path, spawning_hub)
    plane.start()
    database, kept = tmp_path / "data/atelier.sqlite", tmp_path / "kept.sqlite"
    try:
        with Client(plane.url, tokens["owner"]) as client:
            make_events(client, 1, "before")
            plane.stop()
            shutil.copy(database, kept)
            plane.start()
            async with alone(plane.url, token=tokens["owner"]) as server:
                url = f"{server.base_url}".replace("http", "ws", 1).rstrip("/") + "/feed"
                async with websockets.connect(url) as socket:
                    tab = Tab(socket)
                    begin = await tab.start()
                    make_events(client, 3, "lost")
                    assert await collect(tab, 3) == [begin + 1, begin + 2, begin + 3]
                    plane.stop()
                    for file in tmp_path.glob("data/atelier.sqlite*"):
                        file.unlink()
                    shutil.copy(kept, database)
                    plane.start()
                    assert (await tab.next("hello"))["last"] <= begin
                    make_events(client, 1, "after")
                    assert (await tab.next("event"))["event"]["subject"] == "Safter0"
    finally:
        plane.stop()


async def test_a_tab_that_comes_back_from_before_a_restore_begins_anew(
    notebook: Notebook, tokens: dict[str, str], platform: Client
) -> None:
    """It knows events that the platform has never heard of, and its connection is a new one."""
    async with notebook.feed(tokens["owner"]) as tab:
        last = await tab.start(10**9)
        assert (await tab.next("hello"))["last"] >= last
        make_events(platform, 2, "B")
        assert await collect(tab, 2) == sorted(ids(tab)) and ids(tab)[0] > last
        assert not await tab.quiet(0.5)


def test_the_guest_hears_nothing(bob: httpx.Client) -> None:
    assert bob.get("/feed").status_code == 403
