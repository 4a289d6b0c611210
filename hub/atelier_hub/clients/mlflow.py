"""MLflow's REST API: workspaces and accounts, experiments and runs, logged models and the registry, artifacts.

Whatever reads or writes for a project does so with an account of that project's workspace (`Account`), so that nothing
that a project's members wrote can lead to another project. The administrator's account makes workspaces and accounts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from atelier_core.errors import BackendUnavailable, Conflict, Invalid, NotFound

ADMIN = "atelier"
REFUSED, AWAY = "mlflow_refused", "mlflow_unavailable"
_V2, _V3 = "api/2.0/mlflow", "api/3.0/mlflow"
_ARTIFACTS = "api/2.0/mlflow-artifacts/artifacts"
_BATCH = 100  # parameters or tags in one call; metrics may be a thousand
_GONE = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"})
_THERE = frozenset({"RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"})


@dataclass(frozen=True)
class Account:
    """Who calls, and in which workspace."""

    name: str
    password: str = field(repr=False)
    workspace: str = ""


class MlflowClient:
    """Talks to MLflow; safe to share between threads. Without a URL there is no MLflow in this installation."""

    def __init__(self, url: str, password: str, timeout: float = 30) -> None:
        self.url = url.rstrip("/")
        self.admin = Account(ADMIN, password)
        self._http = httpx.Client(timeout=timeout, limits=httpx.Limits(max_connections=40), trust_env=False)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def call(self, account: Account, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The answer as JSON. `NotFound` and `Conflict` say that something is missing or there already."""
        answer = self._send(account, method, path, **options)
        if answer.status_code < 400:
            return _json(answer)
        raise _refusal(answer)

    def _send(self, account: Account, method: str, path: str, **options: Any) -> httpx.Response:
        if not self.url:
            raise no_mlflow()
        headers = {"X-MLFLOW-WORKSPACE": account.workspace} if account.workspace else {}
        try:
            answer = self._http.request(
                method, f"{self.url}/{path}", auth=(account.name, account.password), headers=headers, **options
            )
        except httpx.HTTPError as error:
            raise unavailable() from error
        if answer.status_code in {429, 502, 503, 504}:
            raise unavailable()
        return answer

    # --- what only the administrator does ---

    def make_workspace(self, name: str) -> None:
        """Make a workspace; no error if it is there."""
        self._unless_there("POST", f"{_V3}/workspaces", {"name": name})

    def remove_workspace(self, name: str) -> None:
        """Remove a workspace with everything in it, artifacts first; no error if it is gone."""
        there = Account(ADMIN, self.admin.password, name)
        try:
            for entry in self.list_artifacts(there, ""):
                self.call(there, "DELETE", f"{_ARTIFACTS}/{quote(entry['path'])}")
            self.call(self.admin, "DELETE", f"{_V3}/workspaces/{name}", params={"mode": "CASCADE"})
        except NotFound:
            return

    def make_account(self, account: Account, grants: Iterable[tuple[str, str]]) -> None:
        """Make an account with a role of its own name in its workspace; what is there is put right."""
        self._unless_there(
            "POST", f"{_V2}/users/create", {"username": account.name, "password": account.password}, self._set_password
        )
        role = self._role(account)
        for kind, permission in grants:
            body = {"role_id": role, "resource_type": kind, "resource_pattern": "*", "permission": permission}
            self._unless_there("POST", f"{_V3}/roles/permissions/add", body)
        self._unless_there("POST", f"{_V3}/roles/assign", {"username": account.name, "role_id": role})

    def remove_account(self, name: str) -> None:
        """Remove an account; no error if it is gone."""
        try:
            self.call(self.admin, "DELETE", f"{_V2}/users/delete", json={"username": name})
        except NotFound:
            return

    def _role(self, account: Account) -> int:
        found = self.call(self.admin, "GET", f"{_V3}/roles/list", params={"workspace": account.workspace})
        for role in found.get("roles", []):
            if role["name"] == account.name:
                return int(role["id"])
        body = {"name": account.name, "workspace": account.workspace}
        return int(self.call(self.admin, "POST", f"{_V3}/roles/create", json=body)["role"]["id"])

    def _set_password(self, body: Mapping[str, Any]) -> None:
        self.call(self.admin, "PATCH", f"{_V2}/users/update-password", json=body)

    def _unless_there(self, method: str, path: str, body: Mapping[str, Any], otherwise: Any = None) -> None:
        try:
            self.call(self.admin, method, path, json=body)
        except Conflict:
            if otherwise is not None:
                otherwise(body)

    def is_known(self, account: Account) -> bool:
        """Whether MLflow takes the account, and its workspace is there."""
        return self._send(account, "POST", f"{_V2}/experiments/search", json={"max_results": 1}).status_code == 200

    # --- experiments and runs ---

    def experiment(self, account: Account, name: str) -> str:
        """The id of the experiment of this name; made where there is none, brought back where it was deleted."""
        by_name = {"experiment_name": name}
        try:
            found = self.call(account, "GET", f"{_V2}/experiments/get-by-name", params=by_name)
        except NotFound:
            with suppress(Conflict):  # another was quicker
                self.call(account, "POST", f"{_V2}/experiments/create", json={"name": name})
            found = self.call(account, "GET", f"{_V2}/experiments/get-by-name", params=by_name)
        experiment = found["experiment"]
        if experiment.get("lifecycle_stage") == "deleted":
            there = Account(ADMIN, self.admin.password, account.workspace)
            self.call(there, "POST", f"{_V2}/experiments/restore", json={"experiment_id": experiment["experiment_id"]})
        return str(experiment["experiment_id"])

    def find_run(self, account: Account, experiment: str, tag: str, value: str) -> str:
        """The id of the run with this tag; empty if there is none."""
        body = {"experiment_ids": [experiment], "filter": f"tags.`{tag}` = '{value}'", "max_results": 1}
        runs = self.call(account, "POST", f"{_V2}/runs/search", json=body).get("runs", [])
        return str(runs[0]["info"]["run_id"]) if runs else ""

    def create_run(self, account: Account, experiment: str, name: str, started_ms: int, tags: Mapping[str, str]) -> str:
        """Begin a run; returns its id."""
        body = {"experiment_id": experiment, "run_name": name, "start_time": started_ms, "tags": _pairs(tags)}
        return str(self.call(account, "POST", f"{_V2}/runs/create", json=body)["run"]["info"]["run_id"])

    def update_run(self, account: Account, run: str, status: str, ended_ms: int | None) -> None:
        """Set the status of a run."""
        body: dict[str, Any] = {"run_id": run, "status": status}
        if ended_ms is not None:
            body["end_time"] = ended_ms
        self.call(account, "POST", f"{_V2}/runs/update", json=body)

    def log(
        self,
        account: Account,
        run: str,
        *,
        parameters: Mapping[str, str],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        at_ms: int,
    ) -> None:
        """Write parameters, metrics and tags of a run; the same again changes nothing."""
        values = [{"key": key, "value": value, "timestamp": at_ms, "step": 0} for key, value in metrics.items()]
        named, marked = _pairs(parameters), _pairs(tags)
        for first in range(0, max(len(named), len(marked), len(values), 1), _BATCH):
            part = slice(first, first + _BATCH)
            body = {"run_id": run, "params": named[part], "metrics": values[part], "tags": marked[part]}
            if any(body[kind] for kind in ("params", "metrics", "tags")):
                self.call(account, "POST", f"{_V2}/runs/log-batch", json=body)

    # --- logged models and the registry ---

    def create_logged_model(
        self, account: Account, experiment: str, name: str, run: str, parameters: Mapping[str, str]
    ) -> tuple[str, str]:
        """A model whose files come next: its id, and the path of its artifacts."""
        body: dict[str, Any] = {"experiment_id": experiment, "name": name, "params": _pairs(parameters)}
        if run:
            body["source_run_id"] = run
        info = self.call(account, "POST", f"{_V2}/logged-models", json=body)["model"]["info"]
        return str(info["model_id"]), str(info["artifact_uri"]).removeprefix("mlflow-artifacts:").strip("/")

    def finish_logged_model(self, account: Account, model: str) -> None:
        """All files of a logged model are there."""
        body = {"model_id": model, "status": "LOGGED_MODEL_READY"}
        self.call(account, "PATCH", f"{_V2}/logged-models/{model}", json=body)

    def logged_model(self, account: Account, model: str) -> dict[str, Any]:
        """A logged model: `info` and `data`."""
        return dict(self.call(account, "GET", f"{_V2}/logged-models/{model}")["model"])

    def run(self, account: Account, run: str) -> dict[str, Any]:
        """A run: `info`, `data`, `inputs`."""
        return dict(self.call(account, "GET", f"{_V2}/runs/get", params={"run_id": run})["run"])

    def make_model(self, account: Account, name: str) -> None:
        """Make a registered model; no error if it is there."""
        try:
            self.call(account, "POST", f"{_V2}/registered-models/create", json={"name": name})
        except Conflict:
            return

    def create_version(
        self, account: Account, name: str, model: str, run: str, tags: Mapping[str, str], note: str
    ) -> int:
        """Make a version of a logged model; returns its number."""
        body: dict[str, Any] = {"name": name, "source": f"models:/{model}", "model_id": model, "tags": _pairs(tags)}
        body |= {"run_id": run} if run else {}
        body |= {"description": note} if note else {}
        made = self.call(account, "POST", f"{_V2}/model-versions/create", json=body)
        return int(made["model_version"]["version"])

    def models(self, account: Account) -> Iterator[dict[str, Any]]:
        """Every registered model of the workspace, with its aliases."""
        yield from self._pages(account, "GET", f"{_V2}/registered-models/search", "registered_models", 200)

    def versions(self, account: Account, filter_text: str = "") -> Iterator[dict[str, Any]]:
        """The versions of registered models of the workspace."""
        path = f"{_V2}/model-versions/search"
        yield from self._pages(account, "GET", path, "model_versions", 200, filter=filter_text)

    def version_place(self, account: Account, name: str, number: int) -> str:
        """The path of a version's artifacts; `NotFound` if they lie elsewhere than at MLflow."""
        query = {"name": name, "version": str(number)}
        uri = str(self.call(account, "GET", f"{_V2}/model-versions/get-download-uri", params=query)["artifact_uri"])
        if not uri.startswith("mlflow-artifacts:/"):
            raise NotFound(f"Its files are not at MLflow but at {uri[:200]}.", code="elsewhere")
        return uri.removeprefix("mlflow-artifacts:").strip("/")

    def _pages(
        self, account: Account, method: str, path: str, key: str, size: int, **params: str
    ) -> Iterator[dict[str, Any]]:
        query: dict[str, Any] = {name: value for name, value in params.items() if value} | {"max_results": size}
        while True:
            found = self.call(account, method, path, params=query)
            yield from found.get(key, [])
            if not found.get("next_page_token"):
                return
            query["page_token"] = found["next_page_token"]

    def set_alias(self, workspace: str, name: str, alias: str, number: int) -> None:
        """Let an alias mean a version. As administrator: accounts of projects do not name what is for production."""
        body = {"name": name, "alias": alias, "version": str(number)}
        self.call(self._in(workspace), "POST", f"{_V2}/registered-models/alias", json=body)

    def remove_alias(self, workspace: str, name: str, alias: str) -> None:
        """Let an alias mean nothing; no error if it does not."""
        self._gone(workspace, f"{_V2}/registered-models/alias", {"name": name, "alias": alias})

    def remove_model(self, workspace: str, name: str) -> None:
        """Remove a registered model; no error if it is gone."""
        self._gone(workspace, f"{_V2}/registered-models/delete", {"name": name})

    def remove_version(self, workspace: str, name: str, number: int) -> None:
        """Remove a version; no error if it is gone."""
        self._gone(workspace, f"{_V2}/model-versions/delete", {"name": name, "version": str(number)})

    def _in(self, workspace: str) -> Account:
        return Account(ADMIN, self.admin.password, workspace)

    def _gone(self, workspace: str, path: str, body: Mapping[str, Any]) -> None:
        try:
            self.call(self._in(workspace), "DELETE", path, json=body)
        except NotFound:
            return

    # --- artifacts ---

    def list_artifacts(self, account: Account, path: str) -> list[dict[str, Any]]:
        """What lies in a folder: `path` (its last part), `is_dir`, `file_size`."""
        found = self.call(account, "GET", _ARTIFACTS, params={"path": path} if path else None)
        return list(found.get("files", []))

    def upload(self, account: Account, path: str, content: Iterable[bytes], size: int) -> None:
        """Store a file."""
        headers = {"X-MLFLOW-WORKSPACE": account.workspace, "Content-Length": str(size)}
        request = self._http.build_request(
            "PUT", f"{self.url}/{_ARTIFACTS}/{quote(path)}", content=content, headers=headers, timeout=600
        )
        try:
            answer = self._http.send(request, auth=(account.name, account.password))
        except httpx.HTTPError as error:
            raise unavailable() from error
        if answer.status_code >= 400:
            raise _refusal(answer)

    @contextmanager
    def download(self, account: Account, path: str) -> Iterator[Iterator[bytes]]:
        """A stored file, in pieces."""
        headers = {"X-MLFLOW-WORKSPACE": account.workspace}
        url, auth = f"{self.url}/{_ARTIFACTS}/{quote(path)}", (account.name, account.password)
        try:
            with self._http.stream("GET", url, headers=headers, auth=auth) as answer:
                if answer.status_code >= 400:
                    answer.read()
                    raise _refusal(answer)
                yield answer.iter_bytes(1024**2)
        except httpx.HTTPError as error:
            raise unavailable() from error


def model_of(version: Mapping[str, Any]) -> str:
    """The id of the logged model that a version was made of; empty if it was made of a run's files."""
    source = str(version.get("source", ""))
    return source.removeprefix("models:/") if source.startswith("models:/m-") else ""


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json() if answer.content else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _refusal(answer: httpx.Response) -> Exception:
    said = _json(answer)
    code, message = str(said.get("error_code", "")), str(said.get("message", ""))[:300]
    if answer.status_code == 404 or code in _GONE:
        return NotFound(f"MLflow does not have it: {message}", code="not_at_mlflow")
    if answer.status_code == 409 or code in _THERE:
        return Conflict(f"MLflow has it already: {message}", code="at_mlflow_already")
    kind = Invalid if answer.status_code == 400 else BackendUnavailable
    return kind(
        f"MLflow refused what Atelier asked ({answer.status_code} {code}): {message}",
        code=REFUSED,
        hint="The operator finds the cause in MLflow's log.",
    )


def no_mlflow() -> Conflict:
    """There is none here."""
    return Conflict(
        "There is no MLflow in this installation, so runs are not tracked and models cannot be registered.",
        code="no_mlflow",
        hint="The operator starts it: `atelier up` does, or sets c.AtelierHub.mlflow_url.",
    )


def unavailable() -> BackendUnavailable:
    """It does not answer now."""
    return BackendUnavailable(
        "MLflow does not answer now; it may still be being installed, or is starting again.",
        code=AWAY,
        hint="Try again in a minute. `atelier status` says what it does. Runs and what is served go on without it.",
    )
