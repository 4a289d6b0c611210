"""A control plane that says what a test tells it to: for what the real one says rarely, late, or never."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import uvicorn

Answer = tuple[int, dict[str, Any]]


class Orders:
    """A server in a thread. `answers` maps `access`, `mlflow` and `wake` to functions of the question."""

    def __init__(self, port: int = 0) -> None:
        self.answers: dict[str, Callable[[dict[str, Any]], Answer]] = {}
        self.asked: list[dict[str, Any]] = []
        config = uvicorn.Config(self._app, port=port, log_level="error", lifespan="off", interface="asgi3")
        self._socket = config.bind_socket()
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api"

    def start(self) -> Orders:
        self._thread.start()
        until = time.monotonic() + 10
        while not self._server.started and time.monotonic() < until:
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()

    def questions(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.asked if one["kind"] == kind]

    def _run(self) -> None:
        asyncio.run(self._server.serve([self._socket]))

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive()).get("body", b"")
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        question = {
            "kind": scope["path"].rpartition("/")[2],
            "project": parse_qs(scope["query_string"].decode()).get("project", [""])[0],
            "token": headers.get("authorization", "").removeprefix("Bearer "),
            "secret": headers.get("x-atelier-gateway", ""),
            "body": json.loads(body) if body else None,
        }
        self.asked.append(question)
        status, answer = self.answers.get(question["kind"], lambda _: (404, {"message": "no", "code": "not_found"}))(
            question
        )
        text = json.dumps(answer).encode()
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/json")]})
        await send({"type": "http.response.body", "body": text})
