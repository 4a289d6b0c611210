"""A real JupyterHub for tests: users, groups and tokens through its own API. It spawns nothing and needs no proxy."""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import httpx

from atelier_spawner.hub_config import SERVICE_SCOPES
from tests.harness.ports import free_port

START_SECONDS = 150
_CONFIG = '''
from jupyterhub.proxy import Proxy


class NoProxy(Proxy):
    """The hub's own port is asked directly; there is nothing to route."""

    should_start = False

    async def add_route(self, routespec, target, data):
        pass

    async def delete_route(self, routespec):
        pass

    async def get_all_routes(self):
        return {{}}


c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = {password!r}
c.Authenticator.allow_all = True
c.JupyterHub.bind_url = "http://127.0.0.1:{proxy_port}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.db_url = "sqlite:///{folder}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{folder}/cookie_secret"
c.JupyterHub.custom_scopes = {{
    "custom:atelier:use": {{"description": "Use Atelier"}},
    "custom:atelier:admin": {{"description": "Administer Atelier", "subscopes": ["custom:atelier:use"]}},
}}
c.JupyterHub.extra_user_scopes = {{"access:services!service=atelier"}}
c.JupyterHub.services = [
    {{"name": "atelier", "api_token": {service!r}}},
    {{"name": "driver", "api_token": {driver!r}}},
]
c.JupyterHub.load_roles = [
    {{"name": "atelier-admin", "scopes": ["custom:atelier:admin"], "groups": ["platform-admins"]}},
    {{"name": "atelier-service", "scopes": {scopes!r}, "services": ["atelier"]}},
    {{"name": "test-driver", "scopes": ["admin:users", "tokens", "admin:groups"], "services": ["driver"]}},
]
c.JupyterHub.load_groups = {{"platform-admins": {{"users": []}}}}
'''


class TestHub:
    """One running hub; `driver` is the test's own service with rights over users, groups and tokens."""

    __test__ = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.api_url = f"http://127.0.0.1:{self.port}/hub/api"
        self.service_token = secrets.token_hex(16)
        self._driver_token = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        self._http = httpx.Client(
            base_url=self.api_url, headers={"Authorization": f"token {self._driver_token}"}, timeout=30
        )
        self._write_config()

    def _write_config(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        text = _CONFIG.format(
            password=secrets.token_hex(32),
            proxy_port=free_port(),
            port=self.port,
            folder=self.folder,
            service=self.service_token,
            driver=self._driver_token,
            scopes=list(SERVICE_SCOPES),
        )
        (self.folder / "jupyterhub_config.py").write_text(text)

    def start(self) -> None:
        """Start it (again) and wait until it answers."""
        log = (self.folder / "hub.log").open("ab")
        command = [sys.executable, "-m", "jupyterhub", "-f", "jupyterhub_config.py"]
        self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        log.close()
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            try:
                if self._http.get("/").status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        self.stop()
        raise RuntimeError(f"JupyterHub did not start:\n{(self.folder / 'hub.log').read_text()[-3000:]}")

    def stop(self) -> None:
        """End it; users and tokens stay in its database."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process = None

    def _call(self, method: str, path: str, json: object = None) -> httpx.Response:
        answer = self._http.request(method, path, json=json)
        answer.raise_for_status()
        return answer

    def add_user(self, name: str, groups: Iterable[str] = ()) -> str:
        """Make a user (in these groups, made on the way); returns a token with everything the user may do."""
        if self._http.post(f"/users/{name}").status_code not in {201, 409}:
            raise RuntimeError(f"user {name} could not be made")
        for group in groups:
            self.add_to_group(name, group)
        return self.token(name)

    def add_to_group(self, user: str, group: str) -> None:
        """Put a user into a group."""
        if self._http.post(f"/groups/{group}").status_code not in {201, 409}:
            raise RuntimeError(f"group {group} could not be made")
        self._call("POST", f"/groups/{group}/users", {"users": [user]})

    def remove_from_group(self, user: str, group: str) -> None:
        """Take a user out of a group."""
        self._call("DELETE", f"/groups/{group}/users", {"users": [user]})

    def token(self, user: str, scopes: list[str] | None = None) -> str:
        """A new token of the user; without `scopes` it can do what the user can."""
        body = {"note": "test"} | ({"scopes": scopes} if scopes is not None else {})
        return str(self._call("POST", f"/users/{user}/tokens", body).json()["token"])

    def revoke(self, user: str, token: str) -> None:
        """Revoke a token."""
        found = httpx.get(f"{self.api_url}/user", headers={"Authorization": f"token {token}"}, timeout=30)
        found.raise_for_status()
        self._call("DELETE", f"/users/{user}/tokens/{found.json()['token_id']}")
