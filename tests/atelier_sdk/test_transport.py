"""Calls and streams against a real HTTP server that fails in the ways that a restarting platform does."""

from __future__ import annotations

import io
import json
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path

import pytest

from atelier_sdk import AtelierError, Client, NotSignedIn, Unreachable

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server(ThreadingHTTPServer):
    """Answers each request with the next of `answers` (the last one again and again) and remembers the requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Answer] = []
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        answers = self.server.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    do_GET = do_POST = do_PUT = do_HEAD = do_PATCH = do_DELETE = _any

    def log_message(self, *_: object) -> None:
        pass


def says(body: object, status: int = 200, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    return answer


def streams(*blocks: bytes, whole: bool) -> Answer:
    """A chunked answer; without `whole` the connection breaks before its end."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.protocol_version = "HTTP/1.1"
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        for block in blocks:
            request.wfile.write(f"{len(block):x}\r\n".encode() + block + b"\r\n")
            request.wfile.flush()
        if whole:
            request.wfile.write(b"0\r\n\r\n")
        request.close_connection = True

    return answer


def hangs_up(request: BaseHTTPRequestHandler) -> None:
    request.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join(5)


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url, "secret", patience=5) as connected:
        yield connected


def test_reads_are_repeated_until_the_platform_is_back(server: Server, client: Client) -> None:
    server.answers = [says({}, 503), hangs_up, says(b"<html>bad gateway", 502), says({"name": "anna"})]
    assert client.me().name == "anna"
    assert len(server.seen) == 4
    assert {headers["Authorization"] for _, _, headers, _ in server.seen} == {"Bearer secret"}


def test_making_a_project_is_never_sent_twice(server: Server, client: Client) -> None:
    server.answers = [says({}, 503), says({"name": "p"})]
    with pytest.raises(Unreachable):
        client.projects.create("p")
    server.answers = [hangs_up, says({"name": "p"})]
    with pytest.raises(Unreachable):
        client.projects.create("p")
    assert len(server.seen) == 2


def test_a_run_is_sent_again_with_the_same_key(server: Server, client: Client) -> None:
    server.answers = [hangs_up, says({"id": "r1", "state": "queued"})]
    assert client.runs.create("p", revision="v1").id == "r1"
    bodies = [json.loads(body) for *_, body in server.seen]
    assert bodies[0] == bodies[1]
    assert bodies[0]["idempotency_key"]


def test_other_errors_are_final_and_speak(server: Server, client: Client) -> None:
    server.answers = [
        says({"message": "No.", "code": "forbidden", "hint": "Ask.", "trace": "t1", "problems": [1]}, 403)
    ]
    with pytest.raises(AtelierError) as caught:
        client.projects.get("p")
    error = caught.value
    assert (error.message, error.code, error.hint, error.trace, error.status) == ("No.", "forbidden", "Ask.", "t1", 403)
    assert error.details == {"problems": [1]}
    assert len(server.seen) == 1


def test_a_revoked_token_says_what_to_do(server: Server, client: Client) -> None:
    server.answers = [says({"message": "Not signed in.", "code": "unauthorized", "hint": ""}, 401)]
    with pytest.raises(NotSignedIn) as caught:
        client.me()
    assert "atelier login" in caught.value.hint


def test_another_server_is_recognised(server: Server, client: Client) -> None:
    server.answers = [says(b"<html>not here</html>", 404)]
    with pytest.raises(AtelierError) as caught:
        client.me()
    assert caught.value.code == "unexpected_answer"


def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = Client(f"http://127.0.0.1:{unused.getsockname()[1]}", "t", patience=0)
        with pytest.raises(Unreachable) as caught:
            client.me()
    assert "atelier up" in caught.value.hint


def test_pages_are_followed(server: Server, client: Client) -> None:
    server.answers = [
        says({"items": [{"name": "a"}], "next": "c2"}),
        says({"items": [{"name": "b", "new": 1}], "next": None}),
    ]
    found = list(client.projects.list())
    assert [project.name for project in found] == ["a", "b"]
    assert found[1].model_extra == {"new": 1}
    assert "cursor=c2" in server.seen[1][1]


def test_edits_say_which_version_they_were_made_from(server: Server, client: Client) -> None:
    server.answers = [says({"name": "p", "description": "D", "version": 8})]
    assert client.projects.update("p", version=7, description="D").version == 8
    client.projects.update("p", description="E")
    assert [headers["If-Match"] for _, _, headers, _ in server.seen] == ['"7"', "*"]


def test_names_cannot_leave_their_place_in_the_path(server: Server, client: Client) -> None:
    server.answers = [says({"name": "x"})]
    client.projects.get("../admin?x=/y")
    assert server.seen[0][1] == "/api/projects/..%2Fadmin%3Fx%3D%2Fy"


def _sse(number: int, kind: str) -> bytes:
    return f"id: {number}\nevent: change\ndata: {json.dumps({'id': number, 'kind': kind})}\n\n".encode()


def test_events_go_on_where_the_connection_broke(server: Server, client: Client) -> None:
    server.answers = [
        streams(b": keepalive\n\n", _sse(4, "run.queued"), _sse(5, "run.running")[:-9], whole=False),
        says({}, 503),
        streams(_sse(5, "run.running"), whole=True),
        streams(_sse(6, "run.done"), whole=False),
    ]
    events = list(islice(client.events.follow(project="p", after=3), 3))
    assert [(event.id, event.kind) for event in events] == [(4, "run.queued"), (5, "run.running"), (6, "run.done")]
    assert [headers.get("Last-Event-ID") for _, _, headers, _ in server.seen] == ["3", "4", "4", "5"]


def test_a_log_goes_on_at_the_byte_where_it_broke(server: Server, client: Client) -> None:
    server.answers = [streams("grü".encode()[:-1], whole=False), hangs_up, streams(b"\xbc\n", b"end", whole=True)]
    assert b"".join(client.steps.logs("p", "r", "s", follow=True)).decode() == "grü\nend"
    offsets = [path.rsplit("offset=", 1)[1] for _, path, _, _ in server.seen]
    assert offsets == ["0", "3", "3"]


def test_streams_give_up_when_the_platform_stays_away(server: Server, client: Client) -> None:
    server.answers = [hangs_up]
    with pytest.raises(Unreachable):
        list(client.steps.logs("p", "r", "s", follow=True, patience=0.3))


def test_a_stream_that_is_refused_is_not_tried_again(server: Server, client: Client) -> None:
    server.answers = [says({"message": "No such run.", "code": "not_found", "hint": ""}, 404)]
    with pytest.raises(AtelierError, match="No such run"):
        list(client.steps.logs("p", "r", "s"))
    assert len(server.seen) == 1


def test_a_download_that_breaks_off_begins_again(server: Server, client: Client, tmp_path: Path) -> None:
    server.answers = [says({}, 503), streams(b"half", whole=False), hangs_up, says(b"half and half")]
    file = client.artifacts.download("p", "a", tmp_path / "file")
    assert file.read_bytes() == b"half and half"
    assert list(tmp_path.iterdir()) == [file]


def test_a_download_that_never_ends_leaves_what_was_there(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"before")
    server.answers = [streams(b"half", whole=False)]
    with Client(server.url, "secret", patience=0.5) as client, pytest.raises(Unreachable, match="cannot be reached"):
        client.artifacts.download("p", "a", file)
    assert len(server.seen) > 1
    assert [(one, one.read_bytes()) for one in tmp_path.iterdir()] == [(file, b"before")]
    with Client(server.url, "secret") as client, pytest.raises(Unreachable):
        client.models.download("p", "m", 1, tmp_path / "model")


@pytest.mark.parametrize("name", ["../away", "/away", "link"])
def test_a_model_stays_in_its_folder(server: Server, client: Client, tmp_path: Path, name: str) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo(name)
        if name == "link":
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    server.answers = [says(packed.getvalue())]
    with pytest.raises(AtelierError, match="neither a file nor a folder"):
        client.models.download("ada", "digits", 1, tmp_path / "model")
    assert list(tmp_path.rglob("*")) == [tmp_path / "model"]


@pytest.mark.parametrize(
    "answer",
    [says(b"", 302, Location="/hub/"), says(b"<html>", Content_Type="text/html; charset=utf-8")],
    ids=["redirect", "page"],
)
def test_the_hubs_own_address_is_no_platforms(server: Server, answer: Answer) -> None:
    server.answers = [answer]
    with Client(server.url, "token", patience=1) as client, pytest.raises(AtelierError) as refused:
        client.me()
    assert refused.value.code == "unexpected_answer" and "atelier login" in refused.value.hint
