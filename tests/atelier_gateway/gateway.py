"""The real gateway as a process of its own, and what tests tell it."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

BASE = "/services/atelier-gateway"
PROJECT = "vision"


def until(what: Callable[[], Any], seconds: float = 30) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, f"it did not happen within {seconds} s"
        time.sleep(0.02)


class GatewayProcess:
    """`python -m atelier_gateway` on a folder; it may be killed and started again, at the same port."""

    def __init__(self, folder: Path, control_plane_url: str = "http://127.0.0.1:9/api", **traits: Any) -> None:
        self.folder = folder
        self.secret = secrets.token_hex(32)
        self.process: subprocess.Popen[bytes] | None = None
        self.generation = 0
        self.services: dict[str, Any] = {}
        self.keys: list[dict[str, Any]] = []
        self._port = 0
        self._starts = 0
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "secret").write_text(self.secret)
        values = {
            "data_dir": str(folder / "data"),
            "secret_file": str(folder / "secret"),
            "control_plane_url": control_plane_url,
            **traits,
        }
        lines = [f"c.AtelierGateway.{name} = {value!r}" for name, value in values.items()]
        (folder / "gateway.py").write_text("\n".join(["c = get_config()", *lines, ""]))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def log_file(self) -> Path:
        return self.folder / f"gateway-{self._starts}.log"

    def start(self) -> GatewayProcess:
        """Start it (again); returns when it answers."""
        self._starts += 1
        with self.log_file.open("wb") as log:
            command = [sys.executable, "-m", "atelier_gateway", "--config", str(self.folder / "gateway.py")]
            self.process = subprocess.Popen([*command, "--port", str(self._port)], stdout=log, stderr=log)
        end = time.monotonic() + 120
        while time.monotonic() < end and self.process.poll() is None:
            found = re.search(r"listens on http://[^:]+:(\d+)", self.log_file.read_text())
            if found:
                self._port = int(found[1])
                if self._answers():
                    return self
            time.sleep(0.02)
        raise AssertionError(f"the gateway did not start:\n{self.log_file.read_text()}")

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        """As if the power went."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        """In an orderly way."""
        if self.process is None or self.process.poll() is not None:
            return 0
        self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def memory(self) -> int:
        """Resident bytes."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]

    @property
    def secret_header(self) -> dict[str, str]:
        return {"X-Atelier-Gateway": self.secret}

    def put(self, services: dict[str, Any], keys: list[dict[str, Any]] | None = None, generation: int = 0) -> Any:
        """Put routes in force, of the next generation."""
        self.generation = generation or self.generation + 1
        document = {"generation": self.generation, "services": services, "keys": keys or []}
        answer = httpx.put(f"{self.url}/internal/routes", json=document, headers=self.secret_header, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def logged(self, service: str, limit: int = 100) -> list[dict[str, Any]]:
        """The request log, newest first."""
        params: dict[str, Any] = {"service": service, "limit": limit}
        answer = httpx.get(f"{self.url}/internal/log", params=params, headers=self.secret_header, timeout=10)
        answer.raise_for_status()
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def active(self) -> int:
        """How many requests are under way at services."""
        answer = httpx.get(f"{self.url}/internal/routes", headers=self.secret_header, timeout=10)
        answer.raise_for_status()
        return sum(int(one["active"]) for one in answer.json()["services"].values())

    def stats(self) -> Any:
        answer = httpx.get(f"{self.url}/internal/stats", headers=self.secret_header, timeout=10)
        answer.raise_for_status()
        return answer.json()


class Key:
    """A service key, and how the routes know it."""

    def __init__(self, project: str = PROJECT, *services: str, expires_at: datetime | None = None) -> None:
        self.token = f"atk_{secrets.token_urlsafe(24)}"
        self.route = {
            "id": secrets.token_hex(4),
            "sha256": hashlib.sha256(self.token.encode()).hexdigest(),
            "project": project,
            "services": list(services),
            "expires_at": expires_at.isoformat() if expires_at else None,
        }

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def service(*urls: str, **options: Any) -> dict[str, Any]:
    """A service with one revision and these replicas."""
    replicas = [{"id": f"r{n}", "url": url} for n, url in enumerate(urls)]
    return {"targets": [{"revision": 1, "weight": 100, "replicas": replicas}], **options}
