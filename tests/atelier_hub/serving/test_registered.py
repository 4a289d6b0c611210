"""Registered models are served by reference; the registry keeps what is served, and production wants an approval."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx
import pytest

from atelier_core.errors import Conflict
from atelier_core.service import validate
from atelier_core.service_view import Place, ReplicaView, RevisionView, ServiceView
from atelier_core.states import State
from atelier_hub.artifacts.tars import Member
from atelier_hub.features.registry import registering
from atelier_hub.features.registry import service as registry
from atelier_hub.features.registry.folders import Folder
from atelier_hub.features.registry.registering import Origin
from atelier_hub.features.registry.service import Registry
from atelier_hub.features.serving import keys, sources, startup, store, traffic
from atelier_hub.features.serving.plan import ServingPlan
from tests.atelier_hub.conftest import Person
from tests.atelier_hub.server import Server
from tests.harness.hub import TestHub

_numbers = itertools.count(1)
MLMODEL = b"flavors: {python_function: {}, lightgbm: {model_file: model.txt}}\n"


@pytest.fixture(scope="module")
def server(new_url: Callable[[str], str], hub: TestHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A control plane whose only back end cannot be reached: nothing of what is deployed starts."""
    folder = tmp_path_factory.mktemp("registered")
    away = {"type": "kubernetes", "kubeconfig": str(folder / "there-is-none")}
    running = Server(folder / "data", new_url("sqlite"), hub, backends={"away": away}).start()
    yield running
    running.stop()


@pytest.fixture
def model(server: Server, person: Callable[..., Person]) -> tuple[Person, str]:
    """Somebody's project with a model that has one version, which nobody has approved."""
    owner, name = person(), f"model{next(_numbers)}"
    owner.http.get("/me").raise_for_status()
    context = server.context
    files = []
    for path, content in {"MLmodel": MLMODEL, "model.txt": name.encode()}.items():
        stored = context.store.put_sync([content])
        files.append(Member(path, stored.size, stored.digest))
    folder = Folder(tuple(files), "sha256:" + hashlib.sha256(name.encode()).hexdigest(), "lightgbm")
    _register(server, owner.name, name, folder)
    return owner, name


def _register(server: Server, project: str, name: str, folder: Folder) -> None:
    with server.context.db.write() as session:
        row = registering.version_row(project, name, 1, folder, Origin())
        row.created_by = "somebody"
        registering.insert_version(session, "somebody", row, folder.files)


def _deploy(person: Person, project: str, name: str, model: str, **fields: object) -> httpx.Response:
    definition = {"name": name, "model": model, **fields}
    return person.http.post(f"/projects/{project}/services", json={"definition": definition})


def test_a_version_is_served_in_the_image_of_its_framework_and_kept(server: Server, model: tuple[Person, str]) -> None:
    owner, name = model
    answer = _deploy(owner, owner.name, "served", f"models:/{name}/latest", replicas={"min": 0, "max": 2})
    assert answer.status_code == 201, answer.text
    assert answer.json()["source"] == f"models:/{name}/1"
    assert answer.json()["model_url"].endswith(f"/s/{owner.name}/served/v2/models/served")
    with server.context.db.read() as session:
        row = store.find_service(session, owner.name, "served")
        revision = store.get_revision(session, row.id, 1)
        plan = ServingPlan.model_validate(revision.plan)
        guards = server.context.get(Registry).guards
        with pytest.raises(Conflict, match="the service served"):
            registry.check_unused(session, owner.name, name, 1, force=True, guards=guards)
        with pytest.raises(Conflict, match="the service served"):
            registry.check_unused(session, owner.name, name, None, force=True, guards=guards)
        registry.check_unused(session, owner.name, name, 2, force=False, guards=guards)
        digests = frozenset(one[2] for one in plan.content.files)
        assert startup.in_plans(session, digests | {"sha256:" + "0" * 64}) == digests
    assert plan.image == "serve-lightgbm"
    assert plan.command[:3] == ("python", "-m", "atelier_serve")
    assert plan.command[plan.command.index("--version") + 1] == "1"
    assert plan.code == server.context.get(sources.ServingOffer).server


def test_production_wants_an_approval_of_those_who_cannot_give_it(
    server: Server, model: tuple[Person, str], person: Callable[..., Person]
) -> None:
    owner, name = model
    other = person()
    other.http.get("/me").raise_for_status()
    project = f"shared{next(_numbers)}"
    owner.http.post("/projects", json={"name": project}).raise_for_status()
    owner.http.post(f"/projects/{project}/members", json={"name": other.name, "role": "member"}).raise_for_status()
    with server.context.db.read() as session:
        content = registry.content(session, owner.name, f"models:/{name}/1")
    _register(server, project, name, Folder(content.files, content.manifest, "lightgbm"))
    refused = _deploy(other, project, "served", f"models:/{name}/1")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_approved")
    assert _deploy(other, project, "tried", f"models:/{name}/1", stage="test").status_code == 201
    approval = owner.http.put(f"/projects/{project}/models/{name}/versions/1/approval", json={})
    assert approval.status_code == 200, approval.text
    assert _deploy(other, project, "served", f"models:/{name}/1").status_code == 201


def test_what_is_not_there_is_said(server: Server, model: tuple[Person, str]) -> None:
    owner, name = model
    for reference, code in (
        (f"models:/{name}/9", "no_version"),
        (f"models:/{name}@best", "no_alias"),
        ("x", "bad_reference"),
    ):
        answer = _deploy(owner, owner.name, "served", reference)
        assert answer.status_code in (404, 422)
        assert answer.json()["code"] == code


def test_a_project_has_so_many_keys_and_no_more(server: Server, person: Callable[..., Person]) -> None:
    """The gateway is told of all keys of everybody: one project must not make that too long."""
    owner = person()
    owner.http.get("/me").raise_for_status()
    path = f"/projects/{owner.name}/service-keys"
    first = owner.http.post(path, json={"name": "first"}).json()
    with server.context.db.write() as session:
        for number in range(keys.MOST - 1):
            row = store.KeyRow(id=f"{owner.name}{number}"[-20:], project=owner.name, name="more", services=[])
            row.sha256, row.created_by = hashlib.sha256(f"{owner.name} {number}".encode()).hexdigest(), owner.name
            session.add(row)
    refused = owner.http.post(path, json={"name": "last"})
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_keys")
    owner.http.delete(f"{path}/{first['id']}").raise_for_status()
    assert owner.http.post(path, json={"name": "last"}).status_code == 201


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "1969-12-31T23:59:59Z"])
def test_no_moment_is_an_accident(server: Server, person: Callable[..., Person], moment: str) -> None:
    owner = person()
    owner.http.get("/me").raise_for_status()
    answer = owner.http.post(f"/projects/{owner.name}/service-keys", json={"name": "k", "expires_at": moment})
    assert answer.status_code in (201, 422), answer.text


@pytest.mark.parametrize("limits", ['{"timeout": 1e999}', '{"rate": Infinity}', '{"rate": NaN}'])
def test_no_service_has_limits_that_the_gateway_cannot_read(
    server: Server, person: Callable[..., Person], limits: str
) -> None:
    owner = person()
    owner.http.get("/me").raise_for_status()
    body = '{"definition": {"name": "a", "image": "python", "command": ["serve"], "limits": LIMITS}}'
    answer = owner.http.post(
        f"/projects/{owner.name}/services",
        content=body.replace("LIMITS", limits),
        headers={"Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_a_service_without_a_valid_route_keeps_no_other_from_the_gateway(server: Server) -> None:
    """Whatever made it so: the gateway hears of the others, and of all keys."""
    good, bad = (_view(url) for url in ("http://127.0.0.1:1", "nowhere"))
    with server.context.db.read() as session:
        assert list(traffic.build(session, {"kim/bad": bad, "kim/good": good}).services) == ["kim/good"]


def _view(url: str) -> ServiceView:
    moment = datetime.now(UTC)
    replica = ReplicaView("a", 1, State.RUNNING, ready=True, url=url, ready_at=moment, created_at=moment)
    definition = validate({"name": "a", "image": "python", "command": ["serve"]})
    revision = RevisionView(1, State.RUNNING, definition, Place.CURRENT, 1, 1, 1, moment, attempts=[replica])
    return ServiceView("run", State.RUNNING, revisions=[revision])
