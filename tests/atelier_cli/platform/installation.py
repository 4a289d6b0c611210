"""A platform of its own for tests: the real command, in a temporary data folder and at a free port."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from atelier_cli.platform.layout import Layout, load_settings
from tests.harness.control_plane import environment_cache

PASSWORD = "correct horse battery"


@dataclass
class Installation:
    """One data folder and the commands on it."""

    data: Path
    python: str = sys.executable
    env: dict[str, str] = field(default_factory=lambda: dict(os.environ))

    def sharing(self) -> Installation:
        """With the environments of steps that all tests share: building one takes a minute."""
        shared, cache = environment_cache() / "envs", self.data / "cache"
        shared.mkdir(parents=True, exist_ok=True)
        cache.mkdir(parents=True, mode=0o711)
        (cache / "envs").symlink_to(shared)
        return self

    @property
    def layout(self) -> Layout:
        return Layout(self.data)

    @property
    def url(self) -> str:
        return load_settings(self.layout).url

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`atelier ARGUMENTS --data …`."""
        done = subprocess.run(
            [self.python, "-c", "from atelier_cli.main import main; main()", *arguments, "--data", str(self.data)],
            env=self.env, capture_output=True, text=True, timeout=300, check=False, cwd="/",
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def json(self, *arguments: str) -> Any:
        """The object that the command prints."""
        return json.loads(self.run(*arguments, "--json").stdout)

    def up(self, *options: str) -> Any:
        credentials = str(self.data.parent / "credentials.json")
        return self.json("up", "--credentials", credentials, *options)

    def status(self) -> Any:
        return json.loads(self.run("status", "--json", check=False).stdout)

    def pid(self, name: str) -> int:
        return int(json.loads(self.layout.record(name).read_text())["pid"])

    def processes(self) -> dict[int, str]:
        """Every living process that has to do with this data folder, by what it was started with."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                command, environ = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
                folder = os.readlink(entry / "cwd").encode()
            except OSError:
                continue
            if str(self.data).encode() in command + environ + folder and int(entry.name) != os.getpid():
                found[int(entry.name)] = command.replace(b"\0", b" ").decode()
        return found


@dataclass
class Browser:
    """Somebody at the hub's pages, with cookies."""

    url: str
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.url, follow_redirects=True, timeout=30, trust_env=False)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *error: object) -> None:
        self.http.close()

    @property
    def xsrf(self) -> str:
        return next(cookie.value or "" for cookie in self.http.cookies.jar if cookie.name == "_xsrf")

    def choose_password(self, link: str, password: str = PASSWORD) -> httpx.Response:
        """Follow a one-time link and use it."""
        page = self.http.get(link)
        token = httpx.URL(link).params["token"]
        if f'value="{token}"' not in page.text:
            return page
        return self.http.post("/hub/atelier-setup", data={"_xsrf": self.xsrf, "token": token, "password": password})

    def sign_in(self, name: str, password: str = PASSWORD) -> httpx.Response:
        """Through the form."""
        self.http.get("/hub/login")
        form = {"_xsrf": self.xsrf, "username": name, "password": password}
        return self.http.post("/hub/login", data=form)

    def api(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The hub's API with the browser's session."""
        if method != "GET":
            self.http.get("/hub/home")  # renews the form token
        return self.http.request(method, f"/hub/api{path}", headers={"X-XSRFToken": self.xsrf}, **options)

    def start_server(self, user: str, name: str = "") -> dict[str, Any]:
        """Start a notebook and wait until it is ready."""
        path = f"/users/{user}/servers/{name}" if name else f"/users/{user}/server"
        answer = self.api("POST", path)
        # Signing in may have started it already.
        assert answer.status_code in {201, 202} or "already running" in answer.text, answer.text

        def ready() -> Any:
            server = self.api("GET", f"/users/{user}").json()["servers"].get(name, {})
            return server if server.get("ready") else None

        server: dict[str, Any] = wait_for(ready, 60)
        return server


def wait_for(condition: Callable[[], Any], seconds: float = 90) -> Any:
    """The first true value; fails after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"did not happen within {seconds} s"
        time.sleep(0.1)


def ok(url: str) -> bool:
    """Whether it answers 200 now."""
    try:
        return httpx.get(url, timeout=3, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
