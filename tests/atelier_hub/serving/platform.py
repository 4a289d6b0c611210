"""Control plane and gateway as processes, and services that tell who answered."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from atelier_sdk import Client
from atelier_sdk.services import Service
from tests.atelier_gateway.gateway import BASE, GatewayProcess
from tests.harness.control_plane import ControlPlane, environment_cache
from tests.harness.hub import TestHub
from tests.harness.ports import free_port

SECONDS = 60.0
_numbers = itertools.count(1)

# Says which process answered, after `SLOW` seconds; its health, its answers and its end are what the test wants.
ANSWERER = """
import http.server, json, os, signal, sys, threading, time
def burn(file):
    while True:
        sum(range(20000)) if os.path.exists(file) else time.sleep(0.1)
if os.environ.get("BURN"):
    threading.Thread(target=burn, args=(os.environ["BURN"],), daemon=True).start()
slow, fails = float(os.environ.get("SLOW", "0")), os.environ.get("FAILS") == "1"
class Answerer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/health":
            return self.say(200, {})
        if self.path == "/die":
            os._exit(7)
        time.sleep(slow)
        self.say(500 if fails else 200, {"pid": os.getpid(), "text": os.environ.get("TEXT", ""),
            "revision": os.environ["ATELIER_REVISION"]})
    def say(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def log_message(self, *_):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    def handle_error(self, *_):
        pass  # somebody hung up; what a test looks for are the last words
server = Server(("127.0.0.1", int(os.environ["ATELIER_PORT_HTTP"])), Answerer)
time.sleep(float(os.environ.get("LATE", "0")))
print("it listens", flush=True)
server.serve_forever()
"""


def answerer(name: str, **fields: Any) -> dict[str, Any]:
    """The definition of a service that says who it is; `env` in `fields` is for it."""
    return {
        "name": name,
        "image": "python",
        "command": ["python", "-u", "-c", ANSWERER],
        "health": "/health",
        "grace": 5,
        **fields,
    }


def new_name(kind: str = "service") -> str:
    """A name that no other test has."""
    return f"{kind}-{next(_numbers)}"


class Platform:
    """A control plane on a database, and a gateway; both may be killed."""

    def __init__(self, folder: Path, hub: TestHub, db_url: str = "") -> None:
        port = free_port()
        local = {"type": "local", "cache_dir": str(environment_cache()), "cpu": 64, "memory": 64 * 1024**3}
        self.plane = ControlPlane(
            folder / "plane",
            hub,
            backends={"local": local},
            db_url=db_url,
            gateway_url=f"http://127.0.0.1:{port}",
            gateway_secret_file=str(folder / "gateway" / "secret"),
            gateway_public_url=f"http://127.0.0.1:{port}{BASE}",
        )
        self.gateway = GatewayProcess(folder / "gateway", f"{self.plane.url}/api")
        self.gateway._port = port
        self.http = httpx.Client(timeout=30)
        self._clients: dict[str, Client] = {}

    def start(self) -> Platform:
        """Both of them."""
        self.gateway.start()
        self.plane.start()
        return self

    def stop(self) -> None:
        """Both of them, and what still runs."""
        for client in self._clients.values():
            client.close()
        self.http.close()
        self.plane.close()
        self.gateway.stop()

    def client(self, user: str = "kim") -> Client:
        """The platform as a user sees it."""
        if user not in self._clients:
            self._clients[user] = self.plane.client(user)
            self._clients[user].me()
        return self._clients[user]

    def deploy(self, definition: dict[str, Any], *, wait: bool = True) -> Service:
        """Deploy it in kim's project; with `wait` until it serves."""
        services = self.client().services
        found = services.deploy("kim", definition)
        return services.wait("kim", found.name, found.newest, seconds=SECONDS) if wait else found

    @contextmanager
    def served(self, definition: dict[str, Any]) -> Iterator[Service]:
        """A service for as long as the body lasts."""
        try:
            yield self.deploy(definition)
        finally:
            self.remove(definition["name"])

    def remove(self, name: str) -> None:
        """Delete a service and wait until it is gone."""
        services = self.client().services
        services.delete("kim", name)
        self.until(lambda: name not in {one.name for one in services.list("kim")})

    def get(self, name: str) -> Service:
        """The service now."""
        return self.client().services.get("kim", name)

    def key(self, *services: str) -> dict[str, str]:
        """A header with a new key."""
        made = self.client().service_keys.create("kim", "test", services=services)
        return {"Authorization": f"Bearer {made.secret}"}

    def call(self, name: str, headers: dict[str, str], path: str = "/", **options: Any) -> httpx.Response:
        """Ask the service through the gateway."""
        return self.http.get(f"{self.gateway.url}{BASE}/s/kim/{name}{path}", headers=headers, **options)

    def answers(self, name: str, headers: dict[str, str], seconds: float = 15) -> dict[str, Any]:
        """The first good answer: routes and keys reach the gateway within moments."""
        last: list[httpx.Response] = []

        def ask() -> bool:
            last[:] = [self.call(name, headers)]
            return last[0].status_code == 200

        self.until(ask, seconds, lambda: f"{last[0].status_code} {last[0].text}")
        return dict(last[0].json())

    def told(self, key: dict[str, str]) -> None:
        """Wait until the gateway has the key itself, and need not ask."""
        sha256 = hashlib.sha256(key["Authorization"].removeprefix("Bearer ").encode()).hexdigest()
        self.until(lambda: sha256 in (self.gateway.folder / "data/routes.json").read_text())

    def replicas(self, name: str) -> list[dict[str, Any]]:
        """The replicas to which the gateway gives requests."""
        answer = self.http.get(f"{self.gateway.url}/internal/routes", headers=self.gateway.secret_header)
        targets = answer.raise_for_status().json()["services"][f"kim/{name}"]["targets"]
        return [one for target in targets for one in target["replicas"]]

    def until(self, what: Callable[[], Any], seconds: float = SECONDS, why: Callable[[], str] = lambda: "") -> None:
        """Wait until something is so."""
        until = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < until, f"it did not happen within {seconds} s {why()}\n{self.plane.log()[-2000:]}"
            time.sleep(0.05)
