"""People and steps at the gateway: a real hub and a real control plane say who they are."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from atelier_hub.crypto import Keyring
from atelier_hub.engine.tokens import AttemptTokens
from tests.atelier_gateway.gateway import GatewayProcess, Key, service, until
from tests.atelier_gateway.upstream import Replica
from tests.harness.control_plane import ControlPlane, pipeline, submit
from tests.harness.hub import TestHub

PROJECT = "guarded-vision"
URL = f"s/{PROJECT}/digits/v2"


@dataclass
class House:
    """Hub, control plane, gateway, and a project with a service."""

    hub: TestHub
    control_plane: ControlPlane
    gateway: GatewayProcess
    tokens: dict[str, str]

    def status(self, token: str, project: str = PROJECT) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.get(f"{self.gateway.url}/s/{project}/digits/v2", headers=headers, timeout=30).status_code

    def ask(self, token: str, secret: str = "", **params: str) -> httpx.Response:
        """The control plane, as the gateway does."""
        headers = {"X-Atelier-Gateway": secret or self.gateway.secret}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.get(f"{self.control_plane.url}/api/gateway/access", params=params, headers=headers, timeout=30)


@pytest.fixture(scope="module")
def house(hub: TestHub, tmp_path_factory: pytest.TempPathFactory, replica: Replica) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    secret = folder / "gateway/secret"
    plane = ControlPlane(folder / "plane", hub, gateway_secret_file=str(secret))
    gateway = GatewayProcess(folder / "gateway", f"{plane.url}/api")
    plane.start()
    gateway.start()
    try:
        tokens = {role: hub.add_user(f"gate-{role}") for role in ("owner", "member", "viewer", "stranger")}
        tokens["admin"] = hub.add_user("gate-admin", ("platform-admins",))
        with httpx.Client(base_url=f"{plane.url}/api", timeout=30) as client:
            client.headers["Authorization"] = f"Bearer {tokens['owner']}"
            client.post("/projects", json={"name": PROJECT}).raise_for_status()
            for role in ("member", "viewer"):
                member = {"name": f"gate-{role}", "role": role}
                client.post(f"/projects/{PROJECT}/members", json=member).raise_for_status()
        gateway.put({f"{PROJECT}/digits": service(replica.url)})
        yield House(hub, plane, gateway, tokens)
    finally:
        gateway.stop()
        plane.stop()


@pytest.mark.parametrize(
    ("role", "status"), [("owner", 200), ("member", 200), ("viewer", 200), ("admin", 200), ("stranger", 404)]
)
def test_people_by_their_role(house: House, role: str, status: int) -> None:
    assert house.status(house.tokens[role]) == status
    assert house.status(house.tokens[role], "no-such-project") == 404


def test_tokens_that_are_none(house: House) -> None:
    assert house.status("nonsense") == 401
    assert house.status("atat_nonsense") == 401
    narrow = house.hub.token("gate-owner", ["read:users:name!user"])
    assert house.status(narrow) == 403


def test_what_the_control_plane_says(house: House) -> None:
    found = house.ask(house.tokens["member"], project=PROJECT).json()
    assert found["actor"] == "gate-member" and found["project"] == PROJECT
    assert {"services:call", "services:write", "models:write"} <= set(found["scopes"])
    assert "models:approve" not in found["scopes"]
    viewer = set(house.ask(house.tokens["viewer"], project=PROJECT).json()["scopes"])
    assert {"services:call", "services:read", "models:read"} <= viewer
    assert not {"services:write", "models:write"} & viewer
    assert house.ask(house.tokens["member"]).json()["project"] == "gate-member", "without a project: their own"


@pytest.mark.parametrize("secret", ["guess", "x" * 64])
def test_only_the_gateway_may_ask(house: House, secret: str) -> None:
    answer = house.ask(house.tokens["owner"], secret, project=PROJECT)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_the_gateway")
    bare = httpx.get(f"{house.control_plane.url}/api/gateway/access", params={"project": PROJECT}, timeout=30)
    assert bare.status_code == 401


def test_a_key_opens_before_the_gateway_is_told_of_it(house: House) -> None:
    """This control plane tells the gateway of nothing."""
    owner = {"Authorization": f"Bearer {house.tokens['owner']}"}
    keys = f"{house.control_plane.url}/api/projects/{PROJECT}/service-keys"
    made = httpx.post(keys, json={"name": "fresh"}, headers=owner, timeout=30).raise_for_status().json()
    assert house.status(made["secret"]) == 200
    assert house.status(made["secret"], "gate-owner") == 403
    narrow = {"name": "short", "expires_at": (datetime.now(UTC) + timedelta(seconds=5)).isoformat()}
    short = httpx.post(keys, json=narrow, headers=owner, timeout=30).raise_for_status().json()
    httpx.delete(f"{keys}/{made['id']}", headers=owner, timeout=30).raise_for_status()
    until(lambda: house.status(made["secret"]) == house.status(short["secret"]) == 401)


def test_a_revoked_token_is_forgotten_by_the_control_plane_at_once(house: House) -> None:
    token = house.hub.add_user("gate-leaver")
    assert house.ask(token).json()["actor"] == "gate-leaver"
    house.hub.revoke("gate-leaver", token)
    assert house.ask(token).status_code == 401


def test_what_runs_in_a_project_calls_its_services_and_no_others(house: House, tmp_path: Path) -> None:
    (tmp_path / "wait.py").write_text("import time\ntime.sleep(60)\n")
    client = house.control_plane.client("gate-owner")
    run = submit(client, PROJECT, tmp_path, pipeline({"wait": {"file": "wait.py"}}))
    attempt, token = _attempt(house.control_plane)
    found = house.ask(token, project=PROJECT).json()
    assert found["actor"] == f"attempt:{attempt}" and "services:call" in found["scopes"]
    assert house.ask(token).json()["project"] == PROJECT
    assert house.ask(token, project="gate-owner").status_code == 404
    assert house.status(token) == 200 and house.status(token, "gate-owner") == 404
    client.runs.cancel(PROJECT, run)
    until = time.monotonic() + 30
    while house.ask(token, project=PROJECT).status_code != 401:
        assert time.monotonic() < until, "the token outlives its attempt"
        time.sleep(0.1)


def _attempt(plane: ControlPlane) -> tuple[str, str]:
    """The one attempt that runs, and its token, made as the control plane makes it."""
    tokens = AttemptTokens(Keyring(plane.folder / "data/secret.key").derive("attempt tokens"))
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with closing(sqlite3.connect(plane.folder / "data/atelier.sqlite")) as db:
            row = db.execute("select id, nonce, token_sha256 from attempts order by created_at desc").fetchone()
        if row:
            token = tokens.token(row[0], row[1])
            assert hashlib.sha256(token.encode()).hexdigest() == row[2]
            return row[0], token
        time.sleep(0.1)
    raise AssertionError("no attempt began")


def test_hub_and_control_plane_may_go(house: House, replica: Replica) -> None:
    """Last: afterwards they come back."""
    key = Key(PROJECT)
    house.gateway.put({f"{PROJECT}/digits": service(replica.url)}, [key.route])
    assert house.status(house.tokens["owner"]) == 200
    house.control_plane.kill()
    try:
        assert house.status(key.token) == 200
        assert house.status(house.tokens["owner"]) == 200, "remembered"
        assert house.status(house.hub.add_user("gate-late")) == 503
        house.gateway.kill()
        house.gateway.start()
        assert house.status(key.token) == 200
        assert house.status(house.tokens["owner"]) == 503, "a new gateway remembers keys, not people"
    finally:
        house.control_plane.start()
    assert house.status(house.tokens["owner"]) == 200
