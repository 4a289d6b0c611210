"""A stranger at MLflow: every route of its REST API with another project's ids, names and paths, and no way around."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from atelier_core.registry import workspace_name
from tests.harness.tracking import Member, Platform

V2, V3 = "/api/2.0/mlflow", "/api/3.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"
SECRET = "nobody else reads this"


class Owned:
    """What one person has at MLflow: experiment, run, artifact, logged model, registered model, version, trace."""

    def __init__(self, platform: Platform) -> None:
        self.person = platform.person()
        self.http = platform.rest(self.person, self.person.name)
        self.workspace = workspace_name(self.person.name)
        post = self._post
        self.experiment = post("/experiments/create", {"name": "private"})["experiment_id"]
        run = post("/runs/create", {"experiment_id": self.experiment, "start_time": int(time.time() * 1000)})["run"]
        self.run = run["info"]["run_id"]
        self.place = run["info"]["artifact_uri"].removeprefix("mlflow-artifacts:").strip("/")
        post("/runs/log-batch", {"run_id": self.run, "params": [{"key": "p", "value": SECRET}]})
        post("/runs/log-metric", {"run_id": self.run, "key": "m", "value": 1, "timestamp": 1})
        self._put(f"{self.place}/file.txt")
        model = post("/logged-models", {"experiment_id": self.experiment, "name": "net"})["model"]["info"]
        self.model = model["model_id"]
        self.model_place = model["artifact_uri"].removeprefix("mlflow-artifacts:").strip("/")
        self._put(f"{self.model_place}/MLmodel")
        post("/registered-models/create", {"name": "net"})
        post("/model-versions/create", {"name": "net", "source": f"models:/{self.model}", "model_id": self.model})
        post("/registered-models/alias", {"name": "net", "alias": "best", "version": "1"})

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.http.post(V2 + path, json=body)
        assert answer.status_code == 200, f"{path} {answer.status_code} {answer.text}"
        return dict(answer.json())

    def _put(self, path: str) -> None:
        answer = self.http.put(f"{FILES}/{path}", content=SECRET.encode())
        assert answer.status_code == 200, answer.text

    def untouched(self) -> None:
        """Fail if anything was changed."""
        run = self.http.get(f"{V2}/runs/get", params={"run_id": self.run}).json()["run"]
        assert run["info"]["lifecycle_stage"] == "active" and run["info"]["status"] == "RUNNING"
        assert {one["key"] for one in run["data"]["params"]} == {"p"} and {
            one["key"] for one in run["data"]["metrics"]
        } == {"m"}
        assert not [one for one in run["data"].get("tags", []) if one["key"] == "evil"]
        assert self.http.get(f"{FILES}/{self.place}/file.txt").text == SECRET
        experiment = self.http.get(f"{V2}/experiments/get", params={"experiment_id": self.experiment}).json()[
            "experiment"
        ]
        assert experiment["name"] == "private" and experiment["lifecycle_stage"] == "active"
        model = self.http.get(f"{V2}/registered-models/get", params={"name": "net"}).json()["registered_model"]
        assert [one["version"] for one in model["latest_versions"]] == ["1"] and not model.get("description")
        assert [one["alias"] for one in model["aliases"]] == ["best"]


@pytest.fixture(scope="module")
def owned(platform: Platform) -> Owned:
    return Owned(platform)


def calls(owned: Owned) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every route that takes an id, a name or a path: method, path, what is sent."""
    e, r, m, w = owned.experiment, owned.run, owned.model, owned.workspace
    yield from _tracking(e, r)
    yield from _models(e, r, m)
    yield from _registry(m)
    for place in (owned.place, owned.model_place, f"workspaces/{w}", f"workspaces/{w}/{e}", f"{e}/{r}/artifacts", e):
        for path in (
            place,
            f"{place}/file.txt",
            f"{place}/MLmodel",
            place.replace("/", "%2F"),
            f"x/../{place}/file.txt",
        ):
            yield "GET", f"{FILES}/{path}", {}
            yield "PUT", f"{FILES}/{path}/evil.txt", {"content": b"evil"}
            yield "DELETE", f"{FILES}/{path}", {}
        yield "GET", FILES, {"params": {"path": place}}
        for kind in ("create", "complete", "abort"):
            yield "POST", f"/api/2.0/mlflow-artifacts/mpu/{kind}/{place}", {"json": {"path": place, "num_parts": 1}}


def _tracking(e: str, r: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    yield "GET", f"{V2}/experiments/get", {"params": {"experiment_id": e}}
    for action, body in {
        "update": {"experiment_id": e, "new_name": "evil"},
        "delete": {"experiment_id": e},
        "restore": {"experiment_id": e},
        "set-experiment-tag": {"experiment_id": e, "key": "evil", "value": "1"},
        "delete-experiment-tag": {"experiment_id": e, "key": "evil"},
    }.items():
        yield "POST", f"{V2}/experiments/{action}", {"json": body}
    yield "GET", f"{V2}/runs/get", {"params": {"run_id": r}}
    yield "GET", f"{V2}/metrics/get-history", {"params": {"run_id": r, "metric_key": "m"}}
    yield (
        "GET",
        f"{V2}/metrics/get-history-bulk-interval",
        {"params": {"run_ids": [r], "metric_key": "m", "max_results": 5}},
    )
    yield "GET", "/ajax-api/2.0/mlflow/metrics/get-history-bulk", {"params": {"run_id": r, "metric_key": "m"}}
    yield "GET", f"{V2}/artifacts/list", {"params": {"run_id": r}}
    yield "GET", "/get-artifact", {"params": {"run_id": r, "path": "file.txt"}}
    yield "POST", "/ajax-api/2.0/mlflow/upload-artifact", {"params": {"run_uuid": r, "path": "evil"}, "content": b"x"}
    for action, body in {
        "create": {"experiment_id": e},
        "update": {"run_id": r, "status": "FAILED"},
        "delete": {"run_id": r},
        "restore": {"run_id": r},
        "log-metric": {"run_id": r, "key": "evil", "value": 1, "timestamp": 1},
        "log-parameter": {"run_id": r, "key": "evil", "value": "1"},
        "log-batch": {"run_id": r, "params": [{"key": "evil", "value": "1"}]},
        "log-model": {"run_id": r, "model_json": "{}"},
        "log-inputs": {"run_id": r, "datasets": []},
        "outputs": {"run_id": r, "models": []},
        "set-tag": {"run_id": r, "key": "evil", "value": "1"},
        "delete-tag": {"run_id": r, "key": "evil"},
        "search": {"experiment_ids": [e]},
    }.items():
        yield "POST", f"{V2}/runs/{action}", {"json": body}
    yield "GET", f"{V2}/traces", {"params": {"experiment_ids": [e]}}
    yield "POST", f"{V3}/traces/search", {"json": {"locations": [_location(e)]}}
    yield (
        "POST",
        f"{V3}/traces",
        {"json": {"trace": {"trace_info": {"trace_id": "tr-1", "trace_location": _location(e)}}}},
    )
    yield "POST", f"{V2}/traces/delete-traces", {"json": {"experiment_id": e, "max_timestamp_millis": 1}}
    yield "POST", "/v1/traces", {"headers": {"X-Mlflow-Experiment-Id": e}, "content": b""}


def _location(experiment: str) -> dict[str, Any]:
    return {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}


def _models(e: str, r: str, m: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    yield "POST", f"{V2}/logged-models", {"json": {"experiment_id": e, "name": "evil", "source_run_id": r}}
    yield "POST", f"{V2}/logged-models/search", {"json": {"experiment_ids": [e]}}
    for version in (V2, V3):
        one = f"{version}/logged-models/{m}"
        yield "GET", one, {}
        yield "PATCH", one, {"json": {"model_id": m, "status": "LOGGED_MODEL_UPLOAD_FAILED"}}
        yield "DELETE", one, {}
        yield "PATCH", f"{one}/tags", {"json": {"tags": [{"key": "evil", "value": "1"}]}}
        yield "DELETE", f"{one}/tags/evil", {}
        yield "POST", f"{one}/params", {"json": {"params": [{"key": "evil", "value": "1"}]}}
        yield "GET", f"{one}/artifacts/directories", {"params": {"artifact_directory_path": ""}}
        yield "GET", f"{one}/artifacts/files", {"params": {"artifact_file_path": "MLmodel"}}
    yield (
        "GET",
        f"/ajax-api/2.0/mlflow/logged-models/{m}/artifacts/files",
        {"params": {"artifact_file_path": "MLmodel"}},
    )


def _registry(m: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Names are per workspace: the stranger's own workspace has none of these."""
    named, one = {"name": "net"}, {"name": "net", "version": "1"}
    for path, params in {
        "registered-models/get": named,
        "registered-models/alias": {**named, "alias": "best"},
        "registered-models/get-latest-versions": named,
        "model-versions/get": one,
        "model-versions/get-download-uri": one,
    }.items():
        yield "GET", f"{V2}/{path}", {"params": params}
    yield "GET", "/model-versions/get-artifact", {"params": {**one, "path": "MLmodel"}}
    for method, path, body in (
        ("PATCH", "registered-models/update", {**named, "description": "evil"}),
        ("POST", "registered-models/rename", {**named, "new_name": "evil"}),
        ("DELETE", "registered-models/delete", named),
        ("POST", "registered-models/set-tag", {**named, "key": "evil", "value": "1"}),
        ("POST", "registered-models/alias", {**one, "alias": "evil"}),
        ("DELETE", "registered-models/alias", {**named, "alias": "best"}),
        ("PATCH", "model-versions/update", {**one, "description": "evil"}),
        ("DELETE", "model-versions/delete", one),
        ("POST", "model-versions/set-tag", {**one, "key": "evil", "value": "1"}),
        ("POST", "model-versions/transition-stage", {**one, "stage": "Production", "archive_existing_versions": False}),
        ("POST", "model-versions/create", {**named, "source": f"models:/{m}", "model_id": m}),
    ):
        yield method, f"{V2}/{path}", {"json": body}


def test_a_stranger_gets_nothing_from_any_route(platform: Platform, owned: Owned) -> None:
    stranger = platform.person()
    http = platform.rest(stranger, stranger.name)
    http.post(f"{V2}/experiments/create", json={"name": "mine"}).raise_for_status()
    problems, tried = [], 0
    for method, path, sent in calls(owned):
        answer = http.request(method, path, **sent)
        tried += 1
        if SECRET in answer.text or owned.run in _new(answer.text, sent) or answer.status_code >= 500:
            problems.append(f"{method} {path} {answer.status_code} {answer.text[:200]}")
        if answer.status_code == 200 and _something(answer):
            problems.append(f"{method} {path} 200 {answer.text[:200]}")
    assert tried > 150 and not problems, "\n".join(problems)
    owned.untouched()


def _new(text: str, sent: dict[str, Any]) -> str:
    """The answer, unless it only repeats what was asked for."""
    return "" if "message" in text or sent else text


def _something(answer: httpx.Response) -> bool:
    """Whether a good answer holds more than empty lists."""
    try:
        found = answer.json()
    except ValueError:
        return bool(answer.content)
    return any(value for value in found.values()) if isinstance(found, dict) else bool(found)


def test_nobody_gets_into_a_workspace_that_is_not_theirs(platform: Platform, owned: Owned) -> None:
    stranger = platform.person()
    refused = platform.rest(stranger, owned.person.name).get(f"{V2}/runs/get", params={"run_id": owned.run})
    assert refused.status_code == 404 and SECRET not in refused.text
    without = httpx.get(f"{platform.tracking_uri}{V2}/runs/get", params={"run_id": owned.run}, timeout=30)
    assert without.status_code == 401
    basic = httpx.get(
        f"{platform.tracking_uri}{V2}/runs/get",
        params={"run_id": owned.run},
        auth=("atelier", platform.mlflow.password),
        timeout=30,
    )
    assert basic.status_code == 401, "MLflow's own accounts are nothing at the gateway"
    # Past the gateway, with an account of one's own: the workspace of the account is the only one.
    account = _account(platform, stranger)
    direct = httpx.Client(base_url=platform.mlflow.url, auth=(account["username"], account["password"]), timeout=30)
    for workspace in ("", owned.workspace, "default"):
        headers = {"X-MLFLOW-WORKSPACE": workspace} if workspace else {}
        answer = direct.get(f"{V2}/runs/get", params={"run_id": owned.run}, headers=headers)
        assert answer.status_code in {403, 404} and SECRET not in answer.text
    names = direct.get(f"{V3}/workspaces").json()["workspaces"]
    assert [one["name"] for one in names] == [workspace_name(stranger.name)]


def _account(platform: Platform, person: Member, project: str = "") -> dict[str, str]:
    answer = httpx.get(
        f"{platform.plane.url}/api/gateway/mlflow",
        params={"project": project},
        headers={"Authorization": f"Bearer {person.token}", "X-Atelier-Gateway": platform.secret},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{V2}/users/list"),
        ("GET", f"{V2}/users/get?username=atelier"),
        ("PATCH", f"{V2}/users/update-password"),
        ("POST", f"{V2}/users/create"),
        ("GET", f"{V3}/roles/list"),
        ("POST", f"{V3}/users/permissions/grant"),
        ("GET", f"{V2}/webhooks"),
        ("POST", f"{V2}/webhooks"),
        ("GET", f"{V3}/mlflow/gateway/endpoints/list"),
        ("POST", "/gateway/x/mlflow/invocations"),
        ("POST", "/ajax-api/2.0/mlflow/gateway-proxy"),
        ("POST", "/ajax-api/3.0/mlflow/jobs"),
        ("POST", "/graphql"),
        ("GET", "/signup"),
        ("GET", "/"),
        ("POST", f"{V3}/workspaces"),
        ("DELETE", f"{V3}/workspaces/default"),
    ],
)
def test_what_is_not_for_projects_is_not_offered(platform: Platform, owned: Owned, method: str, path: str) -> None:
    answer = owned.http.request(method, path, json=None if method == "GET" else {})
    assert answer.status_code in {403, 404} and answer.json()["message"], answer.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("experiments/create", {"name": "e1", "artifact_location": "file:///etc"}),
        ("experiments/create", {"name": "e2", "artifactLocation": "s3://bucket/x"}),
        ("model-versions/create", {"name": "net", "source": "file:///etc"}),
        ("model-versions/create", {"name": "net", "source": "http://127.0.0.1/x"}),
        ("model-versions/create", {"name": "net", "source": "mlflow-artifacts://127.0.0.1/x"}),
        ("registered-models/alias", {"name": "net", "alias": "Production", "version": "1"}),
        ("model-versions/transition-stage", {"name": "net", "version": "1", "stage": "production"}),
        ("model-versions/transition-stage", {"name": "net", "version": "1", "stage": " Production "}),
    ],
)
def test_what_members_may_not_say(owned: Owned, path: str, body: dict[str, Any]) -> None:
    answer = owned.http.post(f"{V2}/{path}", json=body)
    assert answer.status_code in {400, 403}, answer.text
    owned.untouched()


def test_viewers_read_and_change_nothing(platform: Platform) -> None:
    owner, viewer = platform.person(), platform.person()
    name = f"shared-{owner.name}"
    owner.http.post("/projects", json={"name": name}).raise_for_status()
    owner.http.post(f"/projects/{name}/members", json={"name": viewer.name, "role": "viewer"}).raise_for_status()
    writes, reads = platform.rest(owner, name), platform.rest(viewer, name)
    experiment = writes.post(f"{V2}/experiments/create", json={"name": "ours"}).json()["experiment_id"]
    run = writes.post(f"{V2}/runs/create", json={"experiment_id": experiment}).json()["run"]["info"]["run_id"]
    assert reads.get(f"{V2}/runs/get", params={"run_id": run}).status_code == 200
    for path, body in (
        ("experiments/create", {"name": "theirs"}),
        ("runs/create", {"experiment_id": experiment}),
        ("runs/log-parameter", {"run_id": run, "key": "a", "value": "b"}),
        ("runs/delete", {"run_id": run}),
        ("registered-models/create", {"name": "theirs"}),
    ):
        assert reads.post(f"{V2}/{path}", json=body).status_code == 403, path
    # A role that was raised counts as soon as the gateway has forgotten; one that is lost is refused here at once.
    member = f"/projects/{name}/members?kind=user&name={viewer.name}"
    owner.http.delete(member, headers={"If-Match": "*"}).raise_for_status()
    gone = httpx.get(
        f"{platform.plane.url}/api/gateway/mlflow",
        params={"project": name},
        headers={"Authorization": f"Bearer {viewer.token}", "X-Atelier-Gateway": platform.secret},
        timeout=30,
    )
    assert gone.status_code == 404


def test_a_new_project_of_an_old_name_begins_empty(platform: Platform, eventually: Any) -> None:
    owner = platform.person()
    name = f"again-{owner.name}"
    owner.http.post("/projects", json={"name": name}).raise_for_status()
    http = platform.rest(owner, name)
    experiment = http.post(f"{V2}/experiments/create", json={"name": "old"}).json()["experiment_id"]
    run = http.post(f"{V2}/runs/create", json={"experiment_id": experiment}).json()["run"]["info"]
    place = run["artifact_uri"].removeprefix("mlflow-artifacts:").strip("/")
    assert http.put(f"{FILES}/{place}/old.txt", content=SECRET.encode()).status_code == 200
    etag = owner.http.get(f"/projects/{name}").headers["ETag"]
    owner.http.delete(f"/projects/{name}", headers={"If-Match": etag}).raise_for_status()
    owner.http.post("/projects", json={"name": name}).raise_for_status()

    def empty() -> bool:
        headers = {"Authorization": f"Bearer {owner.token}", "X-Atelier-Gateway": platform.secret}
        url = f"{platform.plane.url}/api/gateway/mlflow"
        return httpx.get(url, params={"project": name}, headers=headers, timeout=30).status_code == 200

    eventually(empty)
    account = _account(platform, owner, name)
    direct = httpx.Client(base_url=platform.mlflow.url, auth=(account["username"], account["password"]), timeout=30)
    assert direct.post(f"{V2}/experiments/search", json={"max_results": 5}).json() == {}
    assert direct.get(f"{FILES}/{place}/old.txt").status_code in {403, 404, 500}
    assert SECRET not in direct.get(f"{FILES}/{place}/old.txt").text
