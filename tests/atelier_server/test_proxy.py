"""The way to the control plane: a stream both ways, nothing passed on that must not be, honest when it is cut."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack

import httpx
import psutil
import pytest

from atelier_server.access import OwnerHandler
from atelier_server.page import away_page
from tests.atelier_server.servers import Notebook

MB = 1024**2


class Recorder:
    """A server that keeps what it was asked and answers what it is told: a control plane's worst day."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[bytes] = []
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        self._closing = False
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while not self._closing:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                self.requests.append(connection.recv(65536))
                connection.sendall(self.answer)

    def close(self) -> None:
        self._closing = True
        self._listener.close()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.close()


def test_reads_and_writes_as_the_owner(ada: httpx.Client) -> None:
    me = ada.get("/api/me")
    assert me.status_code == 200 and me.json()["name"] == "ada"
    made = ada.post("/api/projects", json={"name": "through", "description": "é"})
    assert made.status_code == 201 and made.json()["name"] == "through"
    etag = ada.get("/api/projects/through").headers["etag"]
    stale = ada.patch("/api/projects/through", json={"description": "x"}, headers={"If-Match": '"99"'})
    assert stale.status_code == 412
    changed = ada.patch("/api/projects/through", json={"description": "x"}, headers={"If-Match": etag})
    assert changed.status_code == 200 and changed.json()["description"] == "x"
    gone = ada.delete("/api/projects/through", headers={"If-Match": "*"})
    assert gone.status_code == 204 and gone.content == b"" and "content-type" not in gone.headers


def test_errors_come_as_they_are(ada: httpx.Client) -> None:
    missing = ada.get("/api/projects/nothing-here")
    assert missing.status_code == 404 and missing.json()["code"] == "no_project"
    refused = ada.post("/api/projects", json={"name": "NO"})
    assert refused.status_code == 422 and refused.json()["hint"]
    query = ada.get("/api/projects", params={"limit": 0})
    assert query.status_code == 422


@pytest.mark.parametrize(
    "path",
    ["/api/../me", "/api/%2e%2e/%2e%2e/hub/api/user", "/api/x/..%2f..%2f..%2fhub", "/api/%252e%252e/x", "/api/..\\x"],
)
def test_no_path_leads_out_of_the_api(notebook: Notebook, tokens: dict[str, str], path: str) -> None:
    host, port = notebook.url.removeprefix("http://").partition("/")[0].split(":")
    base = "/" + notebook.url.removeprefix("http://").partition("/")[2]
    lines = [f"GET {base}/atelier{path} HTTP/1.1", f"Host: {host}:{port}", f"Authorization: token {tokens['owner']}"]
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 404"), answer[:300]


async def test_passes_on_what_is_named_and_nothing_else(
    recorder: Recorder, notebook: Notebook, tokens: dict[str, str]
) -> None:
    from atelier_server.proxy import ANSWERED, ASKED
    from tests.atelier_server.alone import alone

    recorder.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\nServer: x\r\n"
        b"Content-Security-Policy: sandbox; default-src 'none'\r\nETag: \"1\"\r\nX-Powered-By: y\r\n\r\nok"
    )
    async with alone(recorder.url) as server:
        sent = {name: "1" for name in ASKED if name not in {"Content-Length", "Accept", "Content-Type"}}
        sent |= {"Cookie": "secret=1", "Authorization": "token owner", "X-Forwarded-For": "1.2.3.4", "User-Agent": "z"}
        answer = await server.get("/api/things?a=b%20c", headers=sent)
    asked = recorder.requests[0].decode().split("\r\n")
    assert asked[0] == "GET /api/things?a=b%20c HTTP/1.1"
    names = {line.partition(":")[0].lower() for line in asked[1:] if line}
    allowed = {name.lower() for name in ASKED} | {
        "host",
        "authorization",
        "accept-encoding",
        "connection",
        "user-agent",
    }
    assert names <= allowed and "Authorization: Bearer its-own" in asked
    assert "secret=1" not in recorder.requests[0].decode()
    assert "set-cookie" not in answer.headers and "x-powered-by" not in answer.headers
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert answer.headers["etag"] == '"1"' and answer.text == "ok" and "Set-Cookie" not in ANSWERED


def _memory(notebook: Notebook) -> int:
    for process in psutil.process_iter(["cmdline"]):
        if "jupyterhub.singleuser" in (process.info["cmdline"] or []) and str(notebook.folder) == process.cwd():
            return int(process.memory_info().rss)
    raise AssertionError("the notebook's process was not found")


def test_large_bodies_pass_in_constant_memory(notebook: Notebook, ada: httpx.Client) -> None:
    """200 MB up that do not have the digest they claim, so that the control plane reads all of it and then refuses."""
    block = os.urandom(MB)
    digest = "sha256:" + hashlib.sha256(b"something else").hexdigest()
    ada.post("/api/projects", json={"name": "large"})
    before, peak = _memory(notebook), 0

    def body() -> Iterator[bytes]:
        nonlocal peak
        for number in range(200):
            if number % 20 == 0:
                peak = max(peak, _memory(notebook))
            yield block

    answer = ada.put(f"/api/projects/large/snapshots/{digest}", content=body(), timeout=120)
    assert answer.status_code == 422 and answer.json()["code"] == "digest_mismatch", answer.text
    assert peak - before < 60 * MB, f"{(peak - before) / MB:.0f} MB more"


def test_an_answer_before_the_end_of_the_body_arrives(ada: httpx.Client) -> None:
    """A project that is not there is said at once, not after the upload."""
    digest = "sha256:" + "0" * 64
    body = iter([os.urandom(MB)] * 30)
    answer = ada.put(f"/api/projects/not-there/snapshots/{digest}", content=body, timeout=60)
    assert answer.status_code == 404 and answer.json()["code"] == "no_project"


async def test_the_browser_goes_away_in_the_middle(
    notebook: Notebook, tokens: dict[str, str], plane_connections: Callable[[], int]
) -> None:
    """An event stream that nobody reads any more ends at the control plane too; so does half an upload."""
    before = plane_connections()
    async with httpx.AsyncClient(
        base_url=f"{notebook.url}/atelier", headers={"Authorization": f"token {tokens['owner']}"}
    ) as client:
        lines = []
        async with AsyncExitStack() as open_streams:
            for _ in range(4):
                stream = await open_streams.enter_async_context(client.stream("GET", "/api/events", timeout=30))
                assert stream.status_code == 200
                lines.append(stream.aiter_lines())
                await anext(lines[-1])
            assert plane_connections() >= 4 > before

        async def half() -> AsyncIterator[bytes]:
            yield b"x" * MB
            await asyncio.sleep(60)

        digest = "sha256:" + "0" * 64
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await client.put(f"/api/projects/ada/snapshots/{digest}", content=half())
    until = time.monotonic() + 20
    while plane_connections() > 1 and time.monotonic() < until:
        await asyncio.sleep(0.2)
    assert plane_connections() <= 1  # one may wait for the next request


def test_away_is_said_once_as_json_and_once_as_a_page() -> None:
    page = away_page("<b>", 'it\'s "away"')
    assert (
        "&lt;b&gt;" in page
        and "<b>" not in page
        and "prefers-color-scheme: dark" in page
        and "http" not in page.split("<style>")[1]
    )
    assert OwnerHandler.__doc__


def test_while_the_control_plane_is_away(notebook: Notebook, ada: httpx.Client) -> None:
    notebook.plane.kill()
    try:
        answer = ada.get("/api/me")
        assert answer.status_code == 503 and answer.headers["retry-after"]
        assert answer.json()["code"] == "control_plane_away" and answer.json()["hint"]
        page = ada.get("/api/projects/x/artifacts/y/content", headers={"Accept": "text/html,*/*;q=0.8"})
        assert page.status_code == 503 and page.headers["content-type"].startswith("text/html")
        assert "does not answer" in page.text and "script" not in page.headers["content-security-policy"]
        chinese = {"Accept": "text/html", "Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}
        assert "控制平面没有响应" in ada.get("/api/me", headers=chinese).text
        info = ada.get("/info").json()
        assert info["user"] == "ada" and info["control_plane"]["state"] == "away" and info["control_plane"]["hint"]
    finally:
        notebook.plane.start()
    assert ada.get("/info").json()["control_plane"]["state"] == "ok"
