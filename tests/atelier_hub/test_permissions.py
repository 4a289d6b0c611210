"""Every route and every kind of caller, against a file that a person reviews."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import yaml
from starlette.routing import Mount, Route

from tests.atelier_hub.server import BASE, Server
from tests.harness.hub import TestHub

CALLERS = ("anonymous", "stranger", "viewer", "member", "maintainer", "owner", "admin")
EXPECTED: dict[str, list[bool | int]] = yaml.safe_load((Path(__file__).parents[1] / "permissions.yaml").read_text())
PROJECT = "guarded"
ABSENT = {"name": "nobody", "digest": "sha256:" + "0" * 64}
QUERY = {
    f"{method} /projects/{{project}}/members": {"kind": "user", "name": "nobody"} for method in ("PATCH", "DELETE")
}


@pytest.fixture(scope="module")
def clients(server: Server, hub: TestHub) -> dict[str, httpx.Client]:
    """One client for each kind of caller; the project and the roles are there."""
    clients = {"anonymous": server.client()}
    for caller in CALLERS[1:]:
        groups = ("platform-admins",) if caller == "admin" else ()
        clients[caller] = server.client(hub.add_user(f"perm-{caller}", groups))
        clients[caller].get("/me").raise_for_status()
    owner = clients["owner"]
    owner.post("/projects", json={"name": PROJECT}).raise_for_status()
    for role in ("viewer", "member", "maintainer"):
        owner.post(f"/projects/{PROJECT}/members", json={"name": f"perm-{role}", "role": role}).raise_for_status()
    return clients


def test_the_file_names_every_route_and_no_other(server: Server) -> None:
    (served,) = (route for route in server.app.routes)
    assert isinstance(served, Mount) and served.path == f"{BASE}/api"
    routes = [route for route in served.routes if isinstance(route, Route)]
    assert routes == served.routes
    assert {f"{method} {route.path}" for route in routes for method in route.methods or ()} == set(EXPECTED)


def _outcome(client: httpx.Client, method: str, path: str) -> bool | int:
    """True, or the status with which the caller (not the content of the request) was refused."""
    place = path.replace("{project}", PROJECT)
    for name, value in ABSENT.items():
        place = place.replace(f"{{{name}}}", value)
    place = place.replace("{", "").replace("}", "")
    body = None if method in {"GET", "HEAD"} else {}
    # The version never fits, so that nobody who may delete does.
    headers, query = {"If-Match": '"99999"'}, QUERY.get(f"{method} {path}")
    with client.stream(method, place, params=query, json=body, headers=headers) as answer:
        if answer.headers["content-type"].startswith("text/event-stream"):
            return answer.status_code == 200
        answer.read()
    assert answer.status_code < 500, answer.text
    if answer.status_code in {401, 403}:
        return answer.status_code
    if answer.status_code != 404:
        return True
    if method == "HEAD":  # no body, so nothing tells a missing project from a missing object: GET the project
        return 404 if client.get(f"/projects/{PROJECT}").status_code == 404 else True
    return 404 if answer.json()["code"] == "no_project" else True


@pytest.mark.parametrize("route", sorted(EXPECTED))
def test_everybody_gets_what_the_file_says(server: Server, clients: dict[str, httpx.Client], route: str) -> None:
    method, _, path = route.partition(" ")
    assert [_outcome(clients[caller], method, path) for caller in CALLERS] == EXPECTED[route]


def test_the_refusal_of_a_foreign_project_is_that_of_a_missing_one(clients: dict[str, httpx.Client]) -> None:
    foreign = clients["stranger"].get(f"/projects/{PROJECT}")
    missing = clients["stranger"].get("/projects/missing")
    assert foreign.status_code == missing.status_code == 404
    assert foreign.text.replace(PROJECT, "missing") == missing.text
