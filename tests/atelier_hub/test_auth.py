"""Who is let in: against a real JupyterHub."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from tests.atelier_hub.conftest import Person
from tests.atelier_hub.server import Server
from tests.harness.hub import TestHub

NewPerson = Callable[..., Person]


def test_health_needs_nobody(server: Server) -> None:
    answer = server.client().get("/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": b"Bearer \xfc\xe9"},
        {"Authorization": b"Bearer \xf0\x9f\x98\x80"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer atat_nonsense"},
        {"Cookie": "jupyterhub-session-id=x; jupyterhub-services=y"},
        {"X-Forwarded-User": "admin", "Remote-User": "admin", "X-JupyterHub-User": "admin"},
    ],
)
def test_only_a_valid_token_counts(server: Server, headers: dict[str, str | bytes]) -> None:
    answer = httpx.get(f"{server.url}/me", headers=headers, timeout=30)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert set(answer.json()) == {"message", "code", "hint", "trace"}


def test_a_cookie_or_query_with_a_valid_token_is_nobody(server: Server, person: NewPerson) -> None:
    token = person().token
    assert httpx.get(f"{server.url}/me", params={"token": token}, timeout=30).status_code == 401
    assert httpx.get(f"{server.url}/me", cookies={"token": token}, timeout=30).status_code == 401


@pytest.mark.parametrize("kind", ["Bearer", "token", "bearer"])
def test_me(server: Server, person: NewPerson, kind: str) -> None:
    alice = person(groups=("lab",))
    answer = httpx.get(f"{server.url}/me", headers={"Authorization": f"{kind} {alice.token}"}, timeout=30)
    assert answer.json() == {
        "name": alice.name,
        "kind": "user",
        "admin": False,
        "groups": ["lab"],
        "projects": {alice.name: "owner"},
    }


def test_a_token_for_something_else_is_refused(server: Server, hub: TestHub, person: NewPerson) -> None:
    token = hub.token(person().name, ["read:users:name!user"])
    answer = server.client(token).get("/me")
    assert answer.status_code == 403
    assert answer.json()["code"] == "token_without_scope"
    assert "access:services!service=atelier" in answer.json()["hint"]


def test_a_hub_service_never_becomes_a_user(server: Server, hub: TestHub) -> None:
    answer = server.client(hub.service_token).get("/me")
    assert answer.status_code == 403


def test_a_user_with_the_name_of_a_service_stays_out(server: Server, person: NewPerson) -> None:
    owner = person()
    member = {"kind": "user", "name": "service:nightly", "role": "owner"}
    owner.http.post(f"/projects/{owner.name}/members", json=member).raise_for_status()
    answer = person(name="service:nightly").http.get(f"/projects/{owner.name}")
    assert (answer.status_code, answer.json()["code"]) == (403, "reserved_name") and answer.json()["hint"]


def test_revoked_tokens_die_at_once_where_it_matters(server: Server, hub: TestHub, person: NewPerson) -> None:
    alice = person()
    assert alice.http.get(f"/projects/{alice.name}/secrets").status_code == 200
    hub.revoke(alice.name, alice.token)
    assert alice.http.get("/me").status_code == 200, "remembered for the cache time"
    assert alice.http.get(f"/projects/{alice.name}/secrets").status_code == 401
    assert alice.http.get("/me").status_code == 401, "what was learnt on the way counts everywhere"


def test_groups_give_roles_and_take_them(
    server: Server, hub: TestHub, person: NewPerson, new_name: Callable[[], str]
) -> None:
    owner, project, group = person(), new_name(), f"group-{new_name()}"
    owner.http.post("/projects", json={"name": project}).raise_for_status()
    owner.http.post(f"/projects/{project}/members", json={"kind": "group", "name": group, "role": "member"})
    guest = person(groups=(group,))
    assert guest.http.get("/me").json()["projects"][project] == "member"
    assert guest.http.get(f"/projects/{project}/secrets").status_code == 200
    hub.remove_from_group(guest.name, group)
    assert guest.http.get(f"/projects/{project}/secrets").status_code == 404


def test_admins_see_all_but_write_no_secrets(server: Server, person: NewPerson) -> None:
    alice, admin = person(), person(groups=("platform-admins",))
    alice.http.get("/me").raise_for_status()
    assert admin.http.get("/me").json()["admin"] is True
    assert admin.http.get(f"/projects/{alice.name}").status_code == 200
    answer = admin.http.post(f"/projects/{alice.name}/secrets", json={"name": "KEY", "value": "x"})
    assert answer.status_code == 403


def test_without_the_hub_known_people_go_on(
    new_url: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    hub = TestHub(tmp_path_factory.mktemp("ownhub"))
    hub.start()
    server = Server(tmp_path_factory.mktemp("data"), new_url("sqlite"), hub).start()
    try:
        known, unknown = server.client(hub.add_user("known")), server.client(hub.add_user("unknown"))
        assert known.get("/me").status_code == 200
        hub.stop()
        assert known.get("/me").status_code == 200
        answer = unknown.get("/me")
        assert (answer.status_code, answer.json()["code"]) == (503, "hub_unavailable")
        assert answer.headers["Retry-After"]
        hub.start()
        assert unknown.get("/me").status_code == 200
    finally:
        server.stop()
        hub.stop()
