"""A small real server of the attempt protocol (docs/step-shim.md) with a folder as its store, and a place for marks.

Marks are how tests count what really happened: a command posts to `/mark/<text>`, which the platform knows nothing of.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Stored:
    """An output as it arrived."""

    artifact: str
    kind: str
    type: str
    path: Path
    size: int


@dataclass
class AttemptState:
    """What the server knows of one attempt."""

    token: str
    over: bool = False
    code: dict[str, bytes] = field(default_factory=dict)
    inputs: dict[str, Path] = field(default_factory=dict)
    outputs: dict[str, Stored] = field(default_factory=dict)
    logs: dict[str, bytes] = field(default_factory=dict)
    claims: dict[str, str] = field(default_factory=dict)
    started: list[dict[str, Any]] = field(default_factory=list)
    finished: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, dict[str, Any]] = field(default_factory=dict)


class AttemptApi:
    """The server; runs in a thread between `start` and `stop`. `advertised` is the host that attempts are told."""

    def __init__(self, folder: Path, host: str = "127.0.0.1", advertised: str = "") -> None:
        self.folder = folder
        self.attempts: dict[str, AttemptState] = {}
        self.refuse_outputs = 0
        self.unavailable = 0
        self.requests: list[str] = []
        self._marks = folder / "marks"
        self._lock = threading.Lock()
        api = self

        class Bound(_Handler):
            """The handler of this server."""

            server_api = api

        self._server = ThreadingHTTPServer((host, 0), Bound)
        self._server.daemon_threads = True
        self.host, self.port = advertised or host, self._server.server_port

    @property
    def url(self) -> str:
        """What a spec's `url` is."""
        return f"http://{self.host}:{self.port}/api"

    def start(self) -> None:
        """Serve from now on."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()

    def expect(self, attempt: str, code: bytes | None = None, inputs: dict[str, Path] | None = None) -> AttemptState:
        """Let an attempt in; its token is `token-<attempt>`."""
        state = AttemptState(token=f"token-{attempt}", inputs=inputs or {})
        if code is not None:
            state.code[digest_of(code)] = code
        self.attempts[attempt] = state
        return state

    def mark(self, text: str) -> None:
        """Note that something happened, durably."""
        with self._lock, self._marks.open("a") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())

    def marks(self, text: str) -> int:
        """How often it happened."""
        return self._marks.read_text().splitlines().count(text) if self._marks.exists() else 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_api: AttemptApi

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._route()

    def do_POST(self) -> None:
        self._route()

    def do_PUT(self) -> None:
        self._route()

    def _route(self) -> None:
        api, parts = self.server_api, urlsplit(self.path)
        words = [unquote(word) for word in parts.path.strip("/").split("/")]
        if words[0] == "mark":
            api.mark(words[1])
            return self._answer(204)
        api.requests.append(f"{self.command} {parts.path}")
        if api.unavailable > 0:
            api.unavailable -= 1
            self.close_connection = True
            return self._answer(503)
        state = api.attempts.get(words[2]) if words[:2] == ["api", "attempts"] else None
        if state is None or state.over or self.headers.get("Authorization") != f"Bearer {state.token}":
            self.close_connection = True
            return self._answer(401, {"message": "This attempt is over."})
        handler = getattr(self, f"_{self.command.lower()}_{words[3]}")
        return handler(state, *words[4:], **{key: values[0] for key, values in parse_qs(parts.query).items()})

    def _post_claim(self, state: AttemptState) -> None:
        body = json.loads(self._body())
        holder = state.claims.setdefault(body["replica"], body["uid"])
        self._answer(204 if holder == body["uid"] else 409, None if holder == body["uid"] else {"code": "claimed"})

    def _post_started(self, state: AttemptState) -> None:
        state.started.append(json.loads(self._body()))
        self._answer(204)

    def _post_finished(self, state: AttemptState) -> None:
        state.finished.append(json.loads(self._body()))
        self._answer(204)

    def _post_usage(self, state: AttemptState) -> None:
        body = json.loads(self._body())
        state.usage[body["replica"]] = body
        self._answer(200, {"after": 0.5})

    def _post_logs(self, state: AttemptState, replica: str, offset: str) -> None:
        piece, known = self._body(), state.logs.get(replica, b"")
        if int(offset) != len(known):
            return self._answer(409, {"offset": len(known)})
        state.logs[replica] = known + piece
        return self._answer(204)

    def _get_code(self, state: AttemptState, digest: str) -> None:
        if digest not in state.code:
            return self._answer(404, {"message": "There is no such code."})
        return self._send(io.BytesIO(state.code[digest]), len(state.code[digest]), {})

    def _get_inputs(self, state: AttemptState, name: str) -> None:
        path = state.inputs.get(name)
        if path is None:
            return self._answer(404, {"message": f"There is no input {name}."})
        if path.is_dir():
            archive = tar_of(path)
            return self._send(io.BytesIO(archive), len(archive), {"X-Atelier-Kind": "folder"})
        with path.open("rb") as file:
            return self._send(file, path.stat().st_size, {"X-Atelier-Kind": "file"})

    def _put_outputs(self, state: AttemptState, name: str) -> None:
        if self.server_api.refuse_outputs > 0:
            self.server_api.refuse_outputs -= 1
            self._body()
            return self._answer(507, {"message": "There is no room left.", "hint": "Delete something."})
        path = self.server_api.folder / f"{state.token}-{name}"
        size, digest = 0, hashlib.sha256()
        with path.open("wb") as file:
            for piece in self._pieces():
                size += len(piece)
                digest.update(piece)
                file.write(piece)
        artifact = f"artifact-{name}"
        kind, type_ = self.headers["X-Atelier-Kind"], self.headers["X-Atelier-Type"]
        state.outputs[name] = Stored(artifact, kind, type_, path, size)
        return self._answer(200, {"artifact": artifact, "digest": f"sha256:{digest.hexdigest()}", "size": size})

    def _body(self) -> bytes:
        return b"".join(self._pieces())

    def _pieces(self) -> Any:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline().strip(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            piece = self.rfile.read(min(left, 1024**2))
            left -= len(piece)
            yield piece

    def _answer(self, status: int, document: Any = None) -> None:
        self._send(io.BytesIO(body := json.dumps(document).encode() if document else b""), len(body), {}, status)

    def _send(self, source: Any, size: int, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(size))
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        while piece := source.read(1024**2):
            self.wfile.write(piece)


def digest_of(data: bytes) -> str:
    """The digest of a code archive."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def code_archive(files: dict[str, str]) -> bytes:
    """A code snapshot with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text.encode()), 0o644
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def tar_of(folder: Path) -> bytes:
    """The tar of a folder's content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.add(path, path.relative_to(folder), recursive=False)
    return buffer.getvalue()
