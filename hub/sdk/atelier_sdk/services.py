"""Services of a project: deployed, watched, moved, and the keys with which they are called."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from pydantic import Field

from atelier_sdk.errors import AtelierError
from atelier_sdk.models import Answer, Usage
from atelier_sdk.resources import Resource, path_of
from atelier_sdk.rows import tensors
from atelier_sdk.streams import read_text

_LOOK_SECONDS = 0.5
CSV, JSON_LINES, PARQUET = "text/csv", "application/x-ndjson", "application/vnd.apache.parquet"
Answers = list[Any]


class Traffic(Answer):
    """What a revision gets: `place` is current, canary or standby, `weight` its share in percent."""

    revision: int
    stage: str = ""
    place: str = ""
    weight: float = 0
    mirror: float = 0
    replicas: int = 0
    ready: int = 0


class Service(Answer):
    """Something that answers. `revision` is the one that serves, `newest` the one deployed last, `rolling` one that is
    being rolled out."""

    id: str
    name: str
    project: str = ""
    on: str = ""
    state: str
    reason: str = ""
    message: str = ""
    sleeping: bool = False
    public: bool = False
    source: str = ""
    revision: int = 0
    newest: int = 0
    rolling: int | None = None
    traffic: list[Traffic] = Field(default_factory=list)
    url: str = ""
    model_url: str = ""
    batch_url: str = ""
    version: int = 0


class ServiceRevision(Answer):
    """What was deployed once."""

    number: int
    state: str
    reason: str = ""
    message: str = ""
    place: str = ""
    weight: float = 0
    replicas: int = 0
    source: str = ""
    image: str = ""
    definition: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime | None = None
    created_by: str = ""
    ready_at: datetime | None = None


class Replica(Answer):
    """One process of a revision; `words` are the last lines of one that failed."""

    id: str
    revision: int
    number: int = 0
    state: str
    reason: str = ""
    message: str = ""
    ready: bool = False
    draining: bool = False
    words: str = ""
    created_at: datetime | None = None


class ReplicaUsage(Usage):
    """What one replica of a revision uses now."""

    replica: str
    revision: int = 0


class DriftBin(Answer):
    """A part of what an input may be, with the shares of rows in it; numbers lie above `low` and up to `high`."""

    kind: str
    low: float | None = None
    high: float | None = None
    value: str = ""
    trained: float
    seen: float


class InputDrift(Answer):
    """How far one input is from the training sample: `psi`, and `level` stable, moderate, major or unknown."""

    name: str
    kind: str
    psi: float | None = None
    level: str
    rows: int = 0
    bins: list[DriftBin] = Field(default_factory=list)


class Drift(Answer):
    """Drift of all inputs of a revision. `state` is `measured`, or why there is no reading; `message` says it."""

    revision: int
    state: str
    message: str = ""
    sample: float = 0
    trained_rows: int = 0
    requests: int = 0
    rows: int = 0
    needed: int | None = None
    unread: int = 0
    since: datetime | None = None
    until: datetime | None = None
    inputs: list[InputDrift] = Field(default_factory=list)


class ServiceKey(Answer):
    """A key to services; `secret` comes only with the answer that made it."""

    id: str
    name: str
    services: list[str] = Field(default_factory=list)
    expires_at: datetime | None = None
    created_at: datetime | None = None
    created_by: str = ""
    secret: str = ""


class DeploymentFailed(AtelierError):
    """A revision never got ready; what served before goes on."""


class Services(Resource):
    """What answers requests."""

    def deploy(self, project: str, definition: Mapping[str, Any], *, idempotency_key: str | None = None) -> Service:
        """Deploy a definition: a new revision. With its key the call may arrive twice and is one deployment."""
        body = {"definition": dict(definition), "idempotency_key": idempotency_key or uuid.uuid4().hex}
        return self._one(Service, "POST", path_of("projects", project, "services"), json=body, idempotent=True)

    def list(self, project: str) -> Iterator[Service]:
        """All services of a project, by name."""
        return self._all(Service, path_of("projects", project, "services"))

    def get(self, project: str, name: str) -> Service:
        """One service."""
        return self._one(Service, "GET", path_of("projects", project, "services", name))

    def wait(
        self,
        project: str,
        name: str,
        revision: int,
        *,
        seconds: float = 900,
        changed: Callable[[Service], None] = lambda _: None,
    ) -> Service:
        """Until a revision is ready; `DeploymentFailed` if it never will be. `changed` sees each new state."""
        until, last = time.monotonic() + seconds, None
        while True:
            found = self.get(project, name)
            shown = (found.state, found.reason, found.message)
            if shown != last:
                changed(found)
            last = shown
            now = next((one for one in self.revisions(project, name) if one.number == revision), None)
            if now is not None and now.state == "running":
                return self.get(project, name)
            if now is None or now.state != "starting":
                why = now.message or now.reason or now.state if now is not None else "it is gone"
                raise DeploymentFailed(f"Revision {revision} of {name} is not served: {why}", code="deployment_failed")
            if time.monotonic() > until:
                raise DeploymentFailed(
                    f"Revision {revision} of {name} was not ready within {seconds:g} s; it is still tried.",
                    code="not_ready",
                )
            time.sleep(_LOOK_SECONDS)

    def revisions(self, project: str, name: str) -> Iterator[ServiceRevision]:
        """What was deployed, newest first."""
        return self._all(ServiceRevision, path_of("projects", project, "services", name, "revisions"))

    def replicas(self, project: str, name: str) -> Iterator[Replica]:
        """The replicas, newest first."""
        return self._all(Replica, path_of("projects", project, "services", name, "replicas"))

    def usage(self, project: str, name: str) -> Iterator[ReplicaUsage]:
        """What the running replicas use now."""
        return self._all(ReplicaUsage, path_of("projects", project, "services", name, "usage"))

    def logs(
        self,
        project: str,
        name: str,
        replica: str,
        *,
        follow: bool = False,
        offset: int = 0,
        patience: float = 300,
    ) -> Iterator[bytes]:
        """What a replica wrote, from byte `offset`; with `follow` until it ends, across lost connections."""
        path = path_of("projects", project, "services", name, "replicas", replica, "logs")
        return read_text(self._transport, path, {"offset": offset}, follow=follow, patience=patience)

    def stats(self, project: str, name: str) -> dict[str, Any]:
        """What the gateway counted in the last hour, by revision."""
        return dict(self._transport.request("GET", path_of("projects", project, "services", name, "stats")).json())

    def drift(self, project: str, name: str, *, revision: int | None = None) -> Drift:
        """How far the inputs of the requests that were kept are from what the model was trained on."""
        params = {"revision": revision} if revision is not None else None
        return self._one(Drift, "GET", path_of("projects", project, "services", name, "drift"), params=params)

    def set_traffic(
        self, project: str, name: str, shares: Mapping[int, float], *, version: int | None = None
    ) -> Service:
        """Give running revisions their shares in percent; one with 100 serves from now on."""
        body = {"shares": {str(number): share for number, share in shares.items()}}
        answer = self._edit("PUT", path_of("projects", project, "services", name, "traffic"), version, body)
        return Service.model_validate(answer.json())

    def roll_back(self, project: str, name: str, revision: int | None = None) -> Service:
        """Away from a trial, or back to an earlier revision."""
        body = {"revision": revision}
        return self._one(Service, "POST", path_of("projects", project, "services", name, "rollback"), json=body)

    def scale(self, project: str, name: str, minimum: int, maximum: int, *, version: int | None = None) -> Service:
        """Change the least and the most replicas of what runs."""
        body = {"minimum": minimum, "maximum": maximum}
        answer = self._edit("PUT", path_of("projects", project, "services", name, "replicas"), version, body)
        return Service.model_validate(answer.json())

    def stop(self, project: str, name: str) -> Service:
        """End all replicas; the service can be started again."""
        return self._one(Service, "POST", path_of("projects", project, "services", name, "stop"), idempotent=True)

    def start(self, project: str, name: str) -> Service:
        """Run a stopped service again, or wake one that sleeps."""
        return self._one(Service, "POST", path_of("projects", project, "services", name, "start"))

    def delete(self, project: str, name: str, *, version: int | None = None, wait: float = 0) -> None:
        """End all replicas and forget the service; waits up to so many seconds until it is gone."""
        self._edit("DELETE", path_of("projects", project, "services", name), version)
        until = time.monotonic() + wait
        while time.monotonic() < until:
            try:
                self.get(project, name)
            except AtelierError as error:
                if error.code != "no_service":
                    raise
                return
            time.sleep(_LOOK_SECONDS)

    def infer(self, service: Service, inputs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Ask a served model, with the caller's own token: Open Inference Protocol tensors in, its outputs by name.

        Each input is `{"name", "shape", "datatype", "data"}`; so is each output.
        """
        url = f"{self.address(service, model=True)}/infer"
        answer = self._transport.request("POST", url, json={"inputs": [*map(dict, inputs)]}, idempotent=True).json()
        return {output["name"]: output for output in answer["outputs"]}

    def predict(self, service: Service, rows: Any) -> Answers:
        """The answers to rows, a data frame or an array: what `predict` of the model said."""
        answers = self.infer(service, tensors(rows))
        return [*(answers.get("predict") or next(iter(answers.values())))["data"]]

    def predict_file(
        self,
        service: Service,
        rows: BinaryIO,
        *,
        content_type: str = CSV,
        keep: bool = True,
        outputs: Sequence[str] = (),
    ) -> Iterator[bytes]:
        """Send a file of rows, get it back with predictions, both piece by piece.

        `content_type` is `text/csv`, `application/x-ndjson` for a JSON object in each line, or
        `application/vnd.apache.parquet`, whose rows come back as JSON lines. Without `keep` the columns of the file are
        left out; `outputs` are those of the model, all by default. A row that cannot be predicted says why in its
        column `error`.
        """
        if not service.batch_url:
            raise AtelierError(
                f"{service.name} serves no model that could be asked about rows.",
                code="no_model",
                hint="Files of rows go to services that the platform's model server answers for.",
            )
        query = {"keep": str(keep).lower(), **({"outputs": ",".join(outputs)} if outputs else {})}
        return self._transport.upload(self._whole(service.batch_url), rows, content_type, query)

    def address(self, service: Service, *, model: bool = False) -> str:
        """Where the service is called, with scheme and host: those of the platform where it does not say its own."""
        return self._whole((service.model_url if model else "") or service.url)

    def _whole(self, url: str) -> str:
        if url.startswith("/"):
            parts = urlsplit(self._transport.url)
            return f"{parts.scheme}://{parts.netloc}{url}"
        return url


class ServiceKeys(Resource):
    """Keys with which services are called."""

    def create(
        self, project: str, name: str, *, services: Sequence[str] = (), expires_at: datetime | None = None
    ) -> ServiceKey:
        """Make a key, for all services of the project or for some; its secret is in this answer alone."""
        body = {
            "name": name,
            "services": [*services],
            "expires_at": expires_at.isoformat() if expires_at is not None else None,
        }
        return self._one(ServiceKey, "POST", path_of("projects", project, "service-keys"), json=body)

    def list(self, project: str) -> Iterator[ServiceKey]:
        """All keys, without their secrets."""
        return self._all(ServiceKey, path_of("projects", project, "service-keys"))

    def revoke(self, project: str, key: str) -> None:
        """Make a key worthless."""
        self._transport.request("DELETE", path_of("projects", project, "service-keys", key))
