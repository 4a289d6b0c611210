"""The control plane as a process: start, stop, and everything that keeps it from starting."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter, Depends

from atelier_hub.auth import check_routes, require
from atelier_hub.http import application, serve
from tests.atelier_hub.conftest import Person
from tests.atelier_hub.server import BASE, Server
from tests.harness.hub import TestHub
from tests.harness.ports import free_port


class Process:
    """`python -m atelier_hub` with its output."""

    def __init__(self, log: Path, folder: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.log = log
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "atelier_hub", "--data-dir", str(folder), *arguments],
                stdout=output,
                stderr=output,
                env={**os.environ, **(env or {})},
            )

    def url(self) -> str:
        """Where it listens, once it answers."""
        until = time.monotonic() + 150
        while time.monotonic() < until and self.process.poll() is None:
            found = re.search(r"listens on (http://\S+)", self.log.read_text())
            if found:
                url = f"{found[1]}{BASE}/api"
                httpx.get(f"{url}/health", timeout=30).raise_for_status()
                return url
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(90)


def test_a_start_takes_up_no_command_lines_of_others() -> None:
    """httpx brings one, a tenth of all that is imported; a grammar that a schema checker builds was half of it."""
    code = "import sys, atelier_hub.app; print([n for n in ('rich', 'lark') if n in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.fixture
def start(tmp_path: Path, hub: TestHub) -> Iterator[Callable[..., Process]]:
    processes: list[Process] = []

    def run(*arguments: str, folder: str = "data", env: dict[str, str] | None = None) -> Process:
        place = {"JUPYTERHUB_API_URL": hub.api_url, "JUPYTERHUB_API_TOKEN": hub.service_token}
        log = tmp_path / f"{len(processes)}.log"
        processes.append(Process(log, tmp_path / folder, *arguments, env=place | (env or {})))
        return processes[-1]

    yield run
    for one in processes:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait(10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_and_ends_cleanly_with_an_open_feed(start: Callable[..., Process], hub: TestHub, number: int) -> None:
    process = start("--port=0")
    url, token = process.url(), hub.add_user("outside")
    headers = {"Authorization": f"token {token}"}
    with httpx.stream("GET", f"{url}/events", headers=headers, timeout=20) as feed:
        assert feed.status_code == 200
        assert process.end(number) == 0
    log = process.log.read_text()
    assert "graceful shutdown exceeded" not in log  # nobody waited for the feed to end by itself
    assert "Traceback" not in log
    assert token not in log and hub.service_token not in log


def test_nothing_is_lost_by_kill_9(start: Callable[..., Process], hub: TestHub) -> None:
    headers = {"Authorization": f"token {hub.add_user('killer')}"}
    process = start("--port=0")
    made = []
    url = process.url()
    for n in range(20):
        answer = httpx.post(f"{url}/projects", json={"name": f"killed{n}"}, headers=headers, timeout=30)
        assert answer.status_code == 201
        made.append(f"killed{n}")
    assert process.end(signal.SIGKILL) == -signal.SIGKILL
    again = start("--port=0")
    items = httpx.get(f"{again.url()}/projects", headers=headers, timeout=30).json()["items"]
    assert {item["name"] for item in items} == {"killer", *made}
    assert again.end() == 0


def _sentence(process: Process) -> str:
    assert process.process.wait(150) == 1
    log = process.log.read_text()
    assert "Traceback" not in log, log
    return next(line for line in log.splitlines() if line.startswith("atelier-hub cannot start: "))


def test_a_port_in_use(start: Callable[..., Process]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sentence = _sentence(start(f"--port={port}"))
        assert f"127.0.0.1:{port} is in use" in sentence
        assert "AtelierHub.port" in sentence
        extra = _sentence(start("--port=0", f"--AtelierHub.extra_binds=127.0.0.1:{port}", folder="other"))
        assert "AtelierHub.extra_binds" in extra


def test_a_data_folder_that_cannot_be_written(start: Callable[..., Process], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    sentence = _sentence(start("--port=0", folder="file/data"))
    assert "cannot be written" in sentence and "AtelierHub.data_dir" in sentence


def test_a_newer_database(start: Callable[..., Process], tmp_path: Path) -> None:
    first = start("--port=0")
    first.url()
    first.end()
    with sqlite3.connect(tmp_path / "data/atelier.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'f00'")
    connection.close()
    assert "a newer version wrote it" in _sentence(start("--port=0"))


def test_a_file_that_is_no_database(start: Callable[..., Process], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/atelier.sqlite").write_text("this is not a database, whatever its name says\n" * 50)
    assert "database" in _sentence(start("--port=0"))


def test_a_database_that_does_not_answer(start: Callable[..., Process]) -> None:
    url = f"postgresql://nobody:pass-word@127.0.0.1:{free_port()}/nothing"
    sentence = _sentence(start("--port=0", f"--db-url={url}"))
    assert "AtelierHub.db_url" in sentence
    assert "pass-word" not in sentence


@pytest.mark.parametrize(
    ("argument", "part"),
    [
        ("--config=/nowhere/config.py", "no configuration file"),
        ("--AtelierHub.default_backend=mars", "mars"),
        ("--AtelierHub.extra_binds=nonsense", "not host:port"),
        ("--AtelierHub.store_url=nonsense://x", "store_url"),
    ],
)
def test_bad_configuration(start: Callable[..., Process], argument: str, part: str) -> None:
    assert part in _sentence(start("--port=0", argument))


def test_a_key_file_others_may_read(start: Callable[..., Process], tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("x")
    key.chmod(0o644)
    assert "chmod 600" in _sentence(start("--port=0", env={"ATELIER_SECRET_KEY_FILE": str(key)}))


def test_files_of_the_service_are_its_own(start: Callable[..., Process], tmp_path: Path) -> None:
    process = start("--port=0")
    process.url()
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0
    assert (tmp_path / "data/secret.key").stat().st_mode & 0o777 == 0o600


def test_configuration_file_and_command_line(start: Callable[..., Process], tmp_path: Path) -> None:
    config = tmp_path / "config.py"
    config.write_text("c.AtelierHub.port = 1\nc.AtelierHub.base_path = 'elsewhere/'\n")
    process = start(f"--config={config}", "--port=0")
    until = time.monotonic() + 150
    while "listens on" not in process.log.read_text() and time.monotonic() < until:
        time.sleep(0.05)
    root = re.search(r"listens on (http://\S+)", process.log.read_text())
    assert root, process.log.read_text()
    assert httpx.get(f"{root[1]}/elsewhere/api/health", timeout=30).status_code == 200
    assert httpx.get(f"{root[1]}{BASE}/api/health", timeout=30).status_code == 404


def test_the_side_door_is_for_workloads_only(server: Server, person: Callable[..., Person]) -> None:
    token = person().token
    headers = {"Authorization": f"Bearer {token}"}
    for prefix in ("", BASE):
        assert httpx.get(f"{server.side_url}{prefix}/api/health", timeout=30).status_code == 200
        for path in ("me", "projects", "events", "attempts", "healthy", "attempts/../me"):
            answer = httpx.get(f"{server.side_url}{prefix}/api/{path}", headers=headers, timeout=30)
            assert answer.status_code in {401, 404}, path
            assert "projects" not in answer.json()


@pytest.mark.parametrize("scopes", [(), ("signed-in", "admin")], ids=["none", "two"])
def test_a_route_without_scope_stops_the_start(scopes: tuple[str, ...]) -> None:
    router = APIRouter()

    @router.get("/open", dependencies=[Depends(require(scope)) for scope in scopes])
    def route() -> None: ...

    with pytest.raises(RuntimeError, match=r"/open.*exactly one scope"):
        check_routes(router.routes)


def test_routes_that_hide_others_stop_the_start() -> None:
    inner, outer = APIRouter(), APIRouter()

    @inner.get("/open", dependencies=[Depends(require("admin"))])
    def route() -> None: ...

    outer.include_router(inner)
    with pytest.raises(RuntimeError, match="exactly one scope"):
        check_routes(outer.routes)


def test_no_route_at_all_stops_the_start_too() -> None:
    with pytest.raises(RuntimeError, match="no route"):
        check_routes([])


def test_a_scope_that_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="scope table"):
        require("runs:everything")


def test_errors_inside_show_a_trace_and_nothing_else(
    server: Server, person: Callable[..., Person], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the secret detail")

    somebody = person()
    somebody.http.get("/me").raise_for_status()
    monkeypatch.setattr(server.context.auth.roles, "roles", broken)
    answer = somebody.http.get("/me")
    body = answer.json()
    assert (answer.status_code, body["code"]) == (500, "internal")
    assert "secret detail" not in answer.text
    assert body["trace"] in caplog.text and "the secret detail" in caplog.text


def test_connections_send_at_once() -> None:
    """Head and body of an answer are two packets: else the second waits 40 ms where a connection is used again."""
    for listening in serve.bind("127.0.0.1", 0, ["127.0.0.1:0"]):
        with listening, socket.create_connection(listening.getsockname()), listening.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_task_that_went_well_for_long_begins_again_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(application, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(application, "LONGEST_WAIT", 0.1)
    lasts = [0.0, 0.0, 0.2, 0.0]

    async def work() -> None:
        if lasts:
            await asyncio.sleep(lasts.pop(0))
            raise RuntimeError("crash")

    await application._keep_running("work", work)
    waits = [record.args[1] for record in caplog.records if isinstance(record.args, tuple)]
    assert waits == [0.01, 0.02, 0.01, 0.02]


async def test_background_tasks_start_again_after_a_crash_and_end_with_the_app(
    tmp_path: Path, new_url: Callable[[str], str], hub: TestHub
) -> None:
    server = Server(tmp_path, new_url("sqlite"), hub)
    log: list[str] = []

    async def work() -> None:
        log.append("start")
        if len(log) == 1:
            raise RuntimeError("crash")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            log.append("cleaned up")

    server.context.background("work", work)
    with pytest.raises(ValueError, match="already"):
        server.context.background("work", work)
    server.start()
    for _ in range(100):
        if len(log) == 2:
            break
        await asyncio.sleep(0.05)
    await asyncio.to_thread(server.stop)
    assert log == ["start", "start", "cleaned up"]
