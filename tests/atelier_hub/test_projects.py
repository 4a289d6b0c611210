"""Projects, members and secrets through the API."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event, text

from atelier_core.errors import Invalid
from atelier_hub.features.projects import service
from atelier_hub.features.projects.leftovers import Leftovers
from atelier_hub.features.projects.store import MemberRow, RemovedRow
from atelier_sdk import Client
from tests.atelier_hub.conftest import Person
from tests.atelier_hub.server import Server
from tests.harness.hub import TestHub

NewPerson = Callable[..., Person]
NewName = Callable[[], str]
ANY = {"If-Match": "*"}


@pytest.fixture
def owner(person: NewPerson) -> Person:
    return person()


@pytest.fixture
def project(owner: Person, new_name: NewName) -> str:
    name = new_name()
    owner.http.post("/projects", json={"name": name}).raise_for_status()
    return name


def test_a_personal_project_is_there_at_first_contact(owner: Person) -> None:
    found = owner.http.get(f"/projects/{owner.name}").json()
    assert (found["personal"], found["created_by"]) == (True, owner.name)


def test_first_contact_by_many_requests_at_once(server: Server, person: NewPerson) -> None:
    somebody = person()
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(server.client(somebody.token).get("/projects").status_code))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == [200] * 8


def test_create_read_change_delete(owner: Person, project: str) -> None:
    path = f"/projects/{project}"
    first = owner.http.get(path)
    old, new = first.headers["ETag"], f'"{first.json()["version"] + 1}"'
    changed = owner.http.patch(path, json={"description": "Digits"}, headers={"If-Match": old})
    assert (changed.json()["description"], changed.headers["ETag"]) == ("Digits", new)
    assert owner.http.patch(path, json={}).status_code == 428
    assert owner.http.patch(path, json={}, headers={"If-Match": old}).status_code == 412
    assert owner.http.patch(path, json={}, headers={"If-Match": "nonsense"}).status_code == 412
    assert owner.http.delete(path).status_code == 428
    assert owner.http.delete(path, headers={"If-Match": old}).status_code == 412
    assert owner.http.delete(path, headers={"If-Match": new}).status_code == 204
    assert owner.http.get(path).status_code == 404


@pytest.mark.parametrize("name", ["", "A", "1a", "a" * 31, "a-", "a/b", "a b", "../x", "ä"])
def test_bad_names_get_a_sentence(owner: Person, name: str) -> None:
    answer = owner.http.post("/projects", json={"name": name})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_name")
    assert answer.json()["hint"]


def test_a_name_that_cannot_be_stored_gets_a_sentence(owner: Person) -> None:
    answer = owner.http.post("/projects", json={"name": "a\0"})
    assert (answer.status_code, answer.json()["field"]) == (422, "name") and "U+0000" in answer.json()["message"]


def test_projects_and_users_share_their_names(owner: Person, person: NewPerson, project: str) -> None:
    other = person()  # known to the hub, never seen here
    for taken in (owner.name, other.name, project):
        answer = owner.http.post("/projects", json={"name": taken})
        assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")


def test_a_user_whose_name_a_project_took_does_not_get_in(owner: Person, project: str, person: NewPerson) -> None:
    """Not even as a member: they would take it for their own, and put their secrets where others read them."""
    member = {"kind": "user", "name": project, "role": "member"}
    owner.http.post(f"/projects/{project}/members", json=member).raise_for_status()
    late = person(name=project)
    for path in ("/me", "/projects", f"/projects/{project}"):
        answer = late.http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (403, "name_taken")
    assert "users and projects share their names" in answer.json()["message"] and answer.json()["hint"]
    owner.http.delete(f"/projects/{project}", headers=ANY).raise_for_status()
    own = late.http.get(f"/projects/{project}").json()  # as soon as the name is free
    assert (own["personal"], own["created_by"]) == (True, project)
    assert owner.http.get(f"/projects/{project}").status_code == 404


def test_nobody_gets_the_personal_project_of_another(server: Server, person: NewPerson) -> None:
    """Names that no path can hold are written another way, which somebody else may have as a name."""
    first = person(name="two words")
    (written,) = first.http.get("/me").json()["projects"]
    answer = person(name=written).http.get("/me")
    assert written != "two words" and (answer.status_code, answer.json()["code"]) == (403, "name_taken")


def test_unknown_back_ends_and_fields_are_refused(owner: Person, project: str) -> None:
    answer = owner.http.patch(f"/projects/{project}", json={"default_backend": "mars"}, headers=ANY)
    assert answer.status_code == 422
    assert "local" in answer.json()["hint"]
    answer = owner.http.patch(f"/projects/{project}", json={"nme": "x"}, headers=ANY)
    assert (answer.status_code, answer.json()["field"]) == (422, "nme")
    answer = owner.http.patch(
        f"/projects/{project}", content='{"settings": {"a": NaN}}', headers=ANY | {"Content-Type": "application/json"}
    )
    assert answer.status_code == 422


def test_paging_walks_through_everything_once(owner: Person, new_name: NewName) -> None:
    names = {owner.name} | {new_name() for _ in range(5)}
    for name in names - {owner.name}:
        owner.http.post("/projects", json={"name": name}).raise_for_status()
    seen: list[str] = []
    cursor = None
    for _ in range(10):
        page = owner.http.get("/projects", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        assert len(page["items"]) <= 2
        seen += [item["name"] for item in page["items"]]
        cursor = page["next"]
        if not cursor:
            break
    assert sorted(seen) == sorted(names)


@pytest.mark.parametrize("cursor", ["x", "W10", "WzFd", "bnVsbA", "WyJhXHUwMDAwIl0", "WyJcdWQ4MDAiXQ", "é"])
def test_bad_cursors_are_refused(owner: Person, cursor: str) -> None:
    assert owner.http.get("/projects", params={"cursor": cursor}).json()["code"] == "bad_cursor"


def test_members_roles_and_the_last_owner(owner: Person, person: NewPerson, project: str) -> None:
    guest, members = person(), f"/projects/{project}/members"
    added = owner.http.post(members, json={"name": guest.name, "role": "viewer"})
    assert added.status_code == 201
    assert owner.http.post(members, json={"name": guest.name, "role": "viewer"}).status_code == 409
    assert guest.http.post(members, json={"name": "x", "role": "owner"}).status_code == 403
    mine = f"{members}?kind=user&name={owner.name}"
    for answer in (
        owner.http.delete(mine, headers=ANY),
        owner.http.patch(mine, json={"role": "viewer"}, headers=ANY),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "last_owner")
    promoted = owner.http.patch(
        f"{members}?kind=user&name={guest.name}", json={"role": "owner"}, headers={"If-Match": added.headers["ETag"]}
    )
    assert promoted.json()["role"] == "owner"
    assert owner.http.delete(mine, headers=ANY).status_code == 204
    assert owner.http.get(f"/projects/{project}").status_code == 404


def test_groups_may_be_called_like_paths(server: Server, owner: Person, project: str) -> None:
    """As Keycloak calls them."""
    with Client(server.url.removesuffix("/api"), owner.token) as client:
        for name in ("/org/team", "a b", "..", ".", "a?b#c%2F&kind=user", "Büro"):
            for role in ("viewer", "member"):
                client.members.set(project, name, role, kind="group")
            assert [(one.name, one.role) for one in client.members.list(project) if one.kind == "group"] == [
                (name, "member")
            ]
            client.members.remove(project, name, kind="group")
    for name in ("x\ny", "\x7f", "a\u200bb"):
        answer = owner.http.post(f"/projects/{project}/members", json={"kind": "group", "name": name, "role": "viewer"})
        assert (answer.status_code, answer.json()["field"]) == (422, "name"), answer.text


def test_everybody_may_leave_but_not_remove_others(owner: Person, person: NewPerson, project: str) -> None:
    one, two = person(), person()
    for guest in (one, two):
        owner.http.post(f"/projects/{project}/members", json={"name": guest.name, "role": "viewer"}).raise_for_status()
    assert one.http.delete(f"/projects/{project}/members?kind=user&name={two.name}", headers=ANY).status_code == 403
    assert one.http.delete(f"/projects/{project}/members?kind=user&name={one.name}", headers=ANY).status_code == 204
    assert one.http.get(f"/projects/{project}").status_code == 404


def test_two_owners_who_leave_at_once_leave_one(server: Server, owner: Person, person: NewPerson, project: str) -> None:
    other = person()
    owner.http.post(f"/projects/{project}/members", json={"name": other.name, "role": "owner"}).raise_for_status()
    codes: list[int] = []

    def leave(who: Person) -> None:
        path = f"/projects/{project}/members?kind=user&name={who.name}"
        codes.append(server.client(who.token).delete(path, headers=ANY).status_code)

    threads = [threading.Thread(target=leave, args=(who,)) for who in (owner, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(codes) == [204, 409]


def test_a_personal_project_stays_its_users(owner: Person, person: NewPerson) -> None:
    friend, path = person(), f"/projects/{owner.name}"
    owner.http.get("/me").raise_for_status()
    owner.http.post(f"{path}/members", json={"name": friend.name, "role": "owner"}).raise_for_status()
    answer = friend.http.delete(f"{path}/members?kind=user&name={owner.name}", headers=ANY)
    assert (answer.status_code, answer.json()["code"]) == (409, "personal_project")
    assert owner.http.delete(path, headers=ANY).json()["code"] == "personal_project"


def test_secret_values_never_come_back(server: Server, owner: Person, project: str) -> None:
    value, path = "s3cr3t-värde-9f2", f"/projects/{project}/secrets"
    made = owner.http.post(path, json={"name": "API_KEY", "value": value})
    assert made.status_code == 201
    listed = owner.http.get(path)
    assert [item["name"] for item in listed.json()["items"]] == ["API_KEY"]
    assert value not in made.text + listed.text
    with server.context.db.read() as session:
        stored = session.execute(text("SELECT value FROM secrets WHERE project = :p"), {"p": project}).scalar_one()
        assert value.encode() not in bytes(stored)
        assert service.reveal(session, server.context.keyring, project, "API_KEY") == value
        with pytest.raises(Invalid, match="NOT_THERE"):
            service.reveal(session, server.context.keyring, project, "NOT_THERE")
    assert owner.http.put(f"{path}/API_KEY", json={"value": "b"}).status_code == 428
    replaced = owner.http.put(f"{path}/API_KEY", json={"value": "b"}, headers={"If-Match": made.headers["ETag"]})
    old, new = made.headers["ETag"], replaced.headers["ETag"]
    assert new == f'"{made.json()["version"] + 1}"'
    assert owner.http.delete(f"{path}/API_KEY", headers={"If-Match": old}).status_code == 412
    assert owner.http.delete(f"{path}/API_KEY", headers={"If-Match": new}).status_code == 204
    assert owner.http.get(path).json()["items"] == []


def test_who_saw_a_deleted_secret_overwrites_no_new_one_of_its_name(owner: Person, project: str) -> None:
    path = f"/projects/{project}/secrets"
    seen = owner.http.post(path, json={"name": "KEY", "value": "a"}).raise_for_status().headers["ETag"]
    owner.http.delete(f"{path}/KEY", headers={"If-Match": seen}).raise_for_status()
    owner.http.post(path, json={"name": "KEY", "value": "b"}).raise_for_status()
    assert owner.http.put(f"{path}/KEY", json={"value": "c"}, headers={"If-Match": seen}).status_code == 412
    assert owner.http.delete(f"{path}/KEY", headers={"If-Match": seen}).status_code == 412


def test_paging_goes_on_after_a_name_that_cannot_be_printed(server: Server, owner: Person, project: str) -> None:
    """Such a name is refused, but may have been stored before it was."""
    path, names = f"/projects/{project}/members", ["a\u00a0b", "ab"]
    with server.context.db.write() as session:
        session.add_all(MemberRow(project=project, kind="group", name=name, role="viewer") for name in names)
    cursor, seen = "", []
    while cursor is not None:
        page = owner.http.get(path, params={"limit": 1} | ({"cursor": cursor} if cursor else {})).raise_for_status()
        seen += [item["name"] for item in page.json()["items"]]
        cursor = page.json()["next"]
    assert sorted(seen) == sorted([*names, owner.name])


def test_validation_errors_do_not_repeat_secrets(owner: Person, project: str) -> None:
    answer = owner.http.post(f"/projects/{project}/secrets", json={"name": "A", "value": ["hush-hush"]})
    assert (answer.status_code, answer.json()["field"]) == (422, "value")
    assert "hush-hush" not in answer.text


def test_bodies_have_a_limit(owner: Person) -> None:
    big = b'{"name": "' + b"a" * (9 * 1024**2) + b'"}'
    headers = {"Content-Type": "application/json"}
    announced = owner.http.post("/projects", content=big, headers=headers)
    streamed = owner.http.post("/projects", content=iter([big]), headers=headers)
    assert (announced.status_code, streamed.status_code) == (413, 413)
    assert streamed.json()["code"] == "too_large"


def test_a_name_used_again_does_not_show_the_old_projects_past(
    owner: Person, person: NewPerson, project: str, server: Server
) -> None:
    owner.http.delete(f"/projects/{project}", headers=ANY).raise_for_status()
    heir = person()
    heir.http.post("/projects", json={"name": project}).raise_for_status()
    with server.context.db.read() as session:
        rows = session.execute(text("SELECT kind, actor FROM events WHERE project = :p"), {"p": project}).all()
    assert [tuple(row) for row in rows] == [("project.created", heir.name)]


def test_a_name_used_again_does_not_show_the_old_projects_files(
    tmp_path: Path, new_url: Callable[[str], str], hub: TestHub, new_name: NewName
) -> None:
    """Whenever the control plane dies: a deletion that was cut short is finished before the name is free again."""
    shared, token = tmp_path / "projects", hub.add_user("tidy")
    backends = {"local": {"type": "local", "people": str(tmp_path)}}
    server = Server(tmp_path / "control-plane", new_url("sqlite"), hub, backends=backends)
    killed, deleted, stuck = new_name(), new_name(), new_name()
    for name in (killed, deleted, stuck):
        (shared / name).mkdir(parents=True)
        (shared / name / "payroll.csv").write_text("99999")
    with server.context.db.write() as session:
        session.add(RemovedRow(name=killed))
    server.start()
    try:
        until(lambda: not (shared / killed).exists() and not any((shared / ".removed").iterdir()))
        client = server.client(token)
        client.post("/projects", json={"name": killed}).raise_for_status()
        for name in (deleted, stuck):
            client.post("/projects", json={"name": name}).raise_for_status()
        client.delete(f"/projects/{deleted}", headers=ANY).raise_for_status()
        assert not (shared / deleted).exists()
        client.post("/projects", json={"name": deleted}).raise_for_status()
        until(lambda: not any((shared / ".removed").iterdir()))
        (shared / ".removed").rmdir()
        (shared / ".removed").touch()  # nothing can be set aside now
        client.delete(f"/projects/{stuck}", headers=ANY).raise_for_status()
        answer = client.post("/projects", json={"name": stuck})
        assert (answer.status_code, answer.json()["code"]) == (409, "being_removed") and answer.json()["hint"]
        (shared / ".removed").unlink()
        server.context.get(Leftovers).set_aside()
        client.post("/projects", json={"name": stuck}).raise_for_status()
        assert not (shared / stuck).exists()
    finally:
        server.stop()


def test_a_full_disk_is_told_as_such(
    tmp_path: Path, new_url: Callable[[str], str], hub: TestHub, new_name: NewName
) -> None:
    server = Server(tmp_path, new_url("sqlite"), hub).start()
    client = server.client(hub.add_user("diskfiller"))
    client.get("/me").raise_for_status()
    undo = _limit_pages(server)
    try:
        answers = [client.post("/projects", json={"name": new_name(), "settings": {"x": "y" * 60000}}) for _ in "123"]
        full = [answer for answer in answers if answer.status_code == 507]
        assert full, [answer.status_code for answer in answers]
        assert full[-1].json()["code"] == "storage_full"
        assert client.get("/projects").status_code == 200
        undo()
        client.post("/projects", json={"name": new_name()}).raise_for_status()
    finally:
        server.stop()


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def _limit_pages(server: Server) -> Callable[[], None]:
    """Let the database grow by nothing; SQLite then says what it says on a full disk. Returns the undoing."""

    def limit(connection: sqlite3.Connection, *_: object) -> None:
        count = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {count}")

    engine = server.context.db.engine
    event.listen(engine, "checkout", limit)

    def undo() -> None:
        event.remove(engine, "checkout", limit)
        engine.dispose()

    return undo
