"""A small service for tests, in a process of its own: `python -m tests.atelier_gateway.upstream NAME PORT`."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import uvicorn

from tests.harness.ports import free_port

PIECE = bytes(range(256)) * 256


class Service:
    """Answers with what it was asked, and a few special things."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.served = 0
        self.open = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self.websocket(scope, receive, send)
            return
        query = {key: values[0] for key, values in parse_qs(scope["query_string"].decode()).items()}
        handler = getattr(self, scope["path"].strip("/").partition("/")[0], self.echo)
        self.open += 1
        try:
            await handler(scope, receive, send, query)
        finally:
            self.open -= 1

    async def echo(self, scope: Any, receive: Any, send: Any, query: dict[str, str]) -> None:
        size, digest = await read(receive)
        if query.get("crash") == self.name:
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(float(query.get("delay", 0)))
        self.served += 1
        seen = {
            "name": self.name,
            "method": scope["method"],
            "path": scope["raw_path"].decode(),
            "query": scope["query_string"].decode(),
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
            "bytes": size,
            "sha256": digest,
        }
        status = int(query.get("status", 200))
        body = b"" if status in (204, 304) else json.dumps(seen).encode()
        await answer(send, body, status)

    async def state(self, scope: Any, receive: Any, send: Any, query: dict[str, str]) -> None:
        await answer(send, json.dumps({"served": self.served, "open": self.open - 1}).encode())

    async def download(self, scope: Any, receive: Any, send: Any, query: dict[str, str]) -> None:
        await read(receive)
        left = int(query["bytes"])
        headers = [] if "chunked" in query else [(b"content-length", query["bytes"].encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while left:
            piece = PIECE[:left]
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def events(self, scope: Any, receive: Any, send: Any, query: dict[str, str]) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for number in range(int(query["count"])):
            await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
            await asyncio.sleep(float(query["every"]))
        await send({"type": "http.response.body", "body": b""})

    async def duplex(self, scope: Any, receive: Any, send: Any, query: dict[str, str]) -> None:
        """Answers each piece of the request before the next one comes."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            message = await receive()
            await send({"type": "http.response.body", "body": message.get("body", b""), "more_body": True})
            if not message.get("more_body"):
                break
        await send({"type": "http.response.body", "body": b""})

    async def hang(self, scope: Any, receive: Any, send: Any, query: dict[str, str]) -> None:
        """Never answers; ends when the caller leaves."""
        await read(receive)
        while (await receive())["type"] != "http.disconnect":
            pass

    async def early(self, scope: Any, receive: Any, send: Any, query: dict[str, str]) -> None:
        """Answers without reading the request."""
        await answer(send, b"no", 422)

    async def cookies(self, scope: Any, receive: Any, send: Any, query: dict[str, str]) -> None:
        headers = [
            (b"set-cookie", b"jupyterhub-session-id=stolen; Path=/"),
            (b"Set-Cookie", b"other=1"),
            (b"clear-site-data", b'"cookies"'),
            (b"x-atelier-gateway", b"forged"),
            (b"x-own", b"stays"),
            (b"connection", b"x-hop"),
            (b"x-hop", b"goes"),
            (b"content-type", b"text/html"),
        ]
        await answer(send, b"<script>alert(1)</script>", headers=headers)

    async def crash(self, scope: Any, receive: Any, send: Any, query: dict[str, str]) -> None:
        """The process dies in the middle of an answer, or before one."""
        await read(receive)
        if "begin" in query:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000000")]})
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
            await asyncio.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)

    async def websocket(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if scope["path"] == "/refused":
            await send({"type": "websocket.close"})
            return
        await send({"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)})
        names = sorted(name.decode() for name, _ in scope["headers"])
        await send({"type": "websocket.send", "text": json.dumps({"path": scope["path"], "headers": names})})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") == "bye":
                await send({"type": "websocket.close", "code": 3007})
                return
            if message.get("text") is not None:
                await send({"type": "websocket.send", "text": message["text"]})
            else:
                await send({"type": "websocket.send", "bytes": message["bytes"]})


async def read(receive: Any) -> tuple[int, str]:
    """The body's size and digest."""
    size, digest = 0, hashlib.sha256()
    while True:
        message = await receive()
        piece = message.get("body", b"")
        size += len(piece)
        digest.update(piece)
        if not message.get("more_body"):
            return size, digest.hexdigest()


async def answer(send: Any, body: bytes, status: int = 200, headers: Any = ()) -> None:
    headers = [*headers, (b"content-length", str(len(body)).encode())] if status != 204 else [*headers]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Replica:
    """One process of it."""

    def __init__(self, name: str, port: int = 0) -> None:
        self.name = name
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Replica:
        """Start it (again); returns when it answers."""
        command = [sys.executable, "-m", "tests.atelier_gateway.upstream", self.name, str(self.port)]
        self.process = subprocess.Popen(command, cwd=Path(__file__).parents[2])
        until = time.monotonic() + 120
        while time.monotonic() < until:
            try:
                httpx.get(f"{self.url}/state", timeout=2)
                return self
            except httpx.HTTPError:
                time.sleep(0.02)
        raise AssertionError("the test service did not start")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        """What is under way is finished."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(20)

    def state(self) -> Any:
        return httpx.get(f"{self.url}/state", timeout=10).json()


if __name__ == "__main__":
    uvicorn.run(
        Service(sys.argv[1]), port=int(sys.argv[2]), log_level="error", access_log=False, lifespan="off",
        server_header=False, ws="websockets-sansio", timeout_keep_alive=2,
    )  # fmt: skip
