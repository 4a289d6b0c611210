"""The extension's routes on a server of their own, with an owner who needs no hub: for what no control plane does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from jupyter_server.auth import IdentityProvider, User
from jupyter_server.serverapp import ServerApp
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from atelier_server.app import handlers
from atelier_server.settings import Settings


class Owned(User):
    """The owner, as the hub's identity provider gives them."""

    hub_user = {"kind": "user", "name": "ada"}  # noqa: RUF012


class Everybody(IdentityProvider):
    """Whoever asks is the owner."""

    def get_user(self, handler: object) -> User:
        """No question asked."""
        handler._token_authenticated = True  # type: ignore[attr-defined]
        return Owned("ada")


@asynccontextmanager
async def alone(api_url: str, root: Path | None = None, token: str = "its-own") -> AsyncIterator[httpx.AsyncClient]:
    """A client of the routes, whose control plane is at `api_url`."""
    app = ServerApp(identity_provider_class=Everybody, root_dir=str(root or Path.cwd()), open_browser=False)
    app.initialize(argv=[], new_httpserver=False, find_extensions=False)
    settings = Settings("ada", "ada", api_url, token, root)
    app.web_app.add_handlers(".*$", [(f"/{pattern}", handler, parts) for pattern, handler, parts in handlers(settings)])
    server = HTTPServer(app.web_app)
    (listener,) = bind_sockets(0, "127.0.0.1")
    server.add_sockets([listener])
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}/atelier") as client:
            yield client
    finally:
        server.stop()
        ServerApp.clear_instance()


class Meter:
    """Stands between a server and its control plane and counts what the server says."""

    def __init__(self, target: str) -> None:
        self._host, _, port = target.removeprefix("http://").partition("/")[0].partition(":")
        self._port, self._path = int(port), target.removeprefix("http://").partition("/")[2]
        self.bytes = self.connections = 0

    async def __aenter__(self) -> Meter:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/{self._path}"
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        back, forth = await asyncio.open_connection(self._host, self._port)
        await asyncio.gather(self._pass(reader, forth, True), self._pass(back, writer, False), return_exceptions=True)

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, counted: bool) -> None:
        try:
            while data := await source.read(65536):
                self.bytes += len(data) if counted else 0
                target.write(data)
                await target.drain()
        finally:
            target.close()
