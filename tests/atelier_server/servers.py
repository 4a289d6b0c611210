"""A hub that starts real notebooks, and those notebooks as their owner, a guest and a stranger see them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import websockets

from tests.harness.control_plane import ControlPlane
from tests.harness.hub import TestHub

READY_SECONDS = 90
# The notebooks of this hub belong to one account of the machine, each in a folder of its own: what keeps people apart
# on one machine has tests elsewhere; here it is what a server says to whom.
_SPAWNING = '''
from atelier_spawner.hub_config import setup
from atelier_spawner.notebooks.local import LocalNotebookSpawner


class OneAccount(LocalNotebookSpawner):
    """Several people under one account of the machine."""

    async def start(self):
        self.folders.identities.path.unlink(missing_ok=True)
        return await super().start()


c.JupyterHub.spawner_class = OneAccount
c.JupyterHub.allow_named_servers = True
c.OneAccount.data_dir = {data!r}
c.OneAccount.one_person = "a test"
c.OneAccount.start_timeout = 90
c.JupyterHub.load_roles += [
    {{"name": "starter", "scopes": ["servers", "access:servers", "read:users"], "services": ["driver"]}},
    {{"name": "guest", "scopes": ["access:servers!server={owner}/"], "users": ["{guest}"]}},
]
setup(c, service_url={plane!r}, service_token={service!r}, api_url={plane!r})
'''


class SpawningHub(TestHub):
    """The hub of the tests, with a spawner. `guest` may open the server of `owner`."""

    def __init__(self, folder: Path, *, owner: str, guest: str) -> None:
        self.owner, self.guest = owner, guest
        super().__init__(folder)

    def spawn_with(self, plane_url: str) -> None:
        """Configure the spawner, once it is known where the control plane will answer."""
        text = _SPAWNING.format(
            data=str(self.folder / "data"),
            owner=self.owner,
            guest=self.guest,
            plane=plane_url,
            service=self.service_token,
        )
        with (self.folder / "jupyterhub_config.py").open("a") as file:
            file.write(text)

    def start_server(self, user: str, name: str = "") -> str:
        """Start a notebook; returns its address."""
        path = f"/users/{user}/servers/{name}" if name else f"/users/{user}/server"
        self._call("POST", path)
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            model = self._http.get(f"/users/{user}", params={"include_stopped_servers": True}).json()
            server = model.get("servers", {}).get(name, {})
            if server.get("ready"):
                place = json.loads(
                    (self.folder / "data/run/servers" / f"{user}{'+' + name if name else ''}.json").read_text()
                )
                return _address(place["pid"])
            time.sleep(0.1)
        raise RuntimeError(f"the server of {user} did not start:\n{self.server_log(user)[-3000:]}")

    def server_log(self, user: str) -> str:
        """What the notebook printed."""
        return (self.folder / "data/logs/servers" / f"{user}.log").read_text(errors="replace")

    def stop_server(self, user: str) -> None:
        """End a notebook."""
        self._http.delete(f"/users/{user}/server")


def _address(pid: int) -> str:
    """Where the process was told to listen."""
    pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    told = dict(pair.decode().split("=", 1) for pair in pairs if b"=" in pair)
    return told["JUPYTERHUB_SERVICE_URL"].rstrip("/")


@dataclass
class Notebook:
    """One person's server."""

    owner: str
    url: str
    folder: Path
    hub: TestHub
    plane: ControlPlane

    def client(self, token: str | None, **headers: str) -> httpx.Client:
        """Somebody at this server."""
        shown = {"Authorization": f"token {token}"} if token else {}
        return httpx.Client(base_url=f"{self.url}/atelier", headers=shown | headers, timeout=60)

    @asynccontextmanager
    async def feed(self, token: str | None, **headers: str) -> AsyncIterator[Tab]:
        """A tab's websocket."""
        url = f"{self.url.replace('http', 'ws', 1)}/atelier/feed"
        shown = {"Authorization": f"token {token}"} if token else {}
        async with websockets.connect(url, additional_headers=shown | headers, max_size=None) as socket:
            yield Tab(socket)


class Tab:
    """What a tab does with its websocket."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.seen: list[dict[str, Any]] = []

    async def send(self, **message: Any) -> None:
        """Say something."""
        await self.socket.send(json.dumps(message))

    async def next(self, kind: str, seconds: float = 30, **fields: Any) -> dict[str, Any]:
        """The next message of a kind; others are kept in `seen`."""
        async with asyncio.timeout(seconds):
            while True:
                message: dict[str, Any] = json.loads(await self.socket.recv())
                self.seen.append(message)
                if message["type"] == kind and all(message.get(name) == value for name, value in fields.items()):
                    return message

    async def quiet(self, seconds: float) -> list[dict[str, Any]]:
        """All that comes within some seconds."""
        found = []
        try:
            async with asyncio.timeout(seconds):
                while True:
                    found.append(json.loads(await self.socket.recv()))
        except TimeoutError:
            return found

    async def start(self, after: int | None = None) -> int:
        """Say hello; returns the position that events begin at."""
        hello = await self.next("hello")
        await self.send(type="start", after=after)
        return int(hello["last"])

    def events(self) -> list[dict[str, Any]]:
        """The events seen so far."""
        return [message["event"] for message in self.seen if message["type"] == "event"]
