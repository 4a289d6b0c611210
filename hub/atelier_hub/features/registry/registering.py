"""How versions come into being: from what a step left, from an uploaded folder, or by somebody's MLflow client.

The content is stored here first, then MLflow gets a copy and gives the number, then our row says so. Cut short anywhere
and begun again, MLflow's version is found by the digest of its content, which it has as a tag.
"""

from __future__ import annotations

import logging
import secrets
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from sqlalchemy.orm import Session

from atelier_core.dataset import ManifestFile
from atelier_core.errors import BackendUnavailable, Conflict, NotFound
from atelier_core.registry import check_name
from atelier_hub import leases
from atelier_hub.artifacts.store import ArtifactStore
from atelier_hub.artifacts.tars import Member
from atelier_hub.auth import Actor
from atelier_hub.clients.mlflow import Account, MlflowClient, model_of
from atelier_hub.db import Database, emit, now
from atelier_hub.engine.store import Artifact, artifacts_of
from atelier_hub.features.datasets.service import check_contents
from atelier_hub.features.registry import service, store
from atelier_hub.features.registry.accounts import MEMBER, Accounts
from atelier_hub.features.registry.bodies import VersionDetail
from atelier_hub.features.registry.folders import Folder, describe, unpack
from atelier_hub.features.registry.store import ModelRow, VersionRow
from atelier_hub.leases import Lease

log = logging.getLogger(__name__)

TAG = "atelier."
UPLOADED = "atelier-models"
_LEASE_SECONDS = 600.0
_PATIENCE = 60.0
_TEXT = 500  # MLflow's bound for the value of a parameter


@dataclass(frozen=True)
class Origin:
    """Where a model comes from. `file` is the name of an output that is a bare file."""

    run: str = ""
    step: str = ""
    output: str = ""
    file: str = "model"
    pipeline: str = ""
    revision: str = ""
    snapshot: str = ""
    datasets: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    mlflow_run: str = ""


FindOrigin = Callable[[Session, str, Artifact], Origin]
"""What pipelines know of an artifact of a project."""


class Registrar:
    """Makes versions. All methods block."""

    def __init__(self, db: Database, contents: ArtifactStore, client: MlflowClient, accounts: Accounts) -> None:
        self._db = db
        self._contents = contents
        self._client = client
        self._accounts = accounts
        self._holder = uuid.uuid4().hex
        self.find_origin: FindOrigin = lambda session, project, artifact: Origin(
            run=artifact.run, step=artifact.step, output=artifact.name
        )

    def from_run(
        self, actor: Actor, project: str, name: str, *, run: str, step: str, output: str, note: str
    ) -> VersionDetail:
        """A version of what a step left; the one that is there if it is the same."""
        check_name(name)
        with self._db.read() as session:
            found = [one for one in artifacts_of(session, run, {step}) if one.name == output and one.project == project]
            if not found:
                raise NotFound(
                    f"The step {step!r} of the run {run!r} left no output {output!r} in project {project!r}.",
                    code="no_artifact",
                    hint="List what a run left: GET …/runs/{run}/artifacts.",
                )
            artifact = found[-1]
        return self.from_artifact(actor, project, name, artifact, note=note)

    def from_artifact(self, actor: Actor, project: str, name: str, artifact: Artifact, *, note: str) -> VersionDetail:
        """A version of a stored output; the one that is there if it is the same."""
        check_name(name)
        with self._db.read() as session:
            origin = self.find_origin(session, project, artifact)
        files = unpack(self._contents, artifact.digest, artifact.kind, origin.file)
        return self._register(actor, project, name, describe(self._contents, files), origin, note)

    def from_upload(
        self, actor: Actor, project: str, name: str, files: Sequence[Member], note: str, metrics: Mapping[str, float]
    ) -> VersionDetail:
        """A version of uploaded files; the one that is there if it is the same."""
        check_name(name)
        with self._db.read() as session:
            check_contents(session, project, [ManifestFile(*file) for file in files])
        for digest in {file.digest for file in files}:
            self._contents.renew(digest)
        return self._register(actor, project, name, describe(self._contents, files), Origin(metrics=metrics), note)

    def _register(
        self, actor: Actor, project: str, name: str, folder: Folder, origin: Origin, note: str
    ) -> VersionDetail:
        known = self._known(project, name, folder.manifest)
        if known is not None:
            return known
        with self._turn(f"{project}\0{name}\0{folder.manifest}"):
            known = self._known(project, name, folder.manifest)
            if known is not None:
                return known
            account = self._accounts.ready(project, MEMBER)
            number, model = self._tell(account, actor, name, folder, origin, note)
            return self._store(actor, project, name, folder, origin, note, number, model)

    def _known(self, project: str, name: str, manifest: str) -> VersionDetail | None:
        with self._db.read() as session:
            row = store.same_content(session, project, name, manifest)
            return service.get_version(session, project, name, str(row.number)) if row is not None else None

    # --- at MLflow ---

    def _tell(
        self, account: Account, actor: Actor, name: str, folder: Folder, origin: Origin, note: str
    ) -> tuple[int, str]:
        """MLflow's number of the version, and its id of the logged model; makes both where it has none yet."""
        client = self._client
        client.make_model(account, name)
        for version in client.versions(account, f"name = '{name}'"):
            tags = {tag["key"]: tag.get("value", "") for tag in version.get("tags", [])}
            if tags.get(f"{TAG}manifest") == folder.manifest:
                return int(version["version"]), model_of(version)
        experiment = client.experiment(account, origin.pipeline or UPLOADED)
        parameters = {key: str(value)[:_TEXT] for key, value in origin.parameters.items()}
        run = self._living(account, origin.mlflow_run)
        model, place = client.create_logged_model(account, experiment, name, run, parameters)
        for file in folder.files:
            client.upload(account, f"{place}/{file.path}", self._contents.read(file.digest), file.size)
        client.finish_logged_model(account, model)
        tags = _tags(actor, folder, origin)
        return client.create_version(account, name, model, run, tags, note), model

    def _living(self, account: Account, run: str) -> str:
        """The run, unless somebody removed it at MLflow meanwhile."""
        try:
            there = bool(run) and self._client.run(account, run)["info"].get("lifecycle_stage") == "active"
        except NotFound:
            return ""
        return run if there else ""

    # --- here ---

    def _store(
        self,
        actor: Actor,
        project: str,
        name: str,
        folder: Folder,
        origin: Origin,
        note: str,
        number: int,
        model: str,
    ) -> VersionDetail:
        row = version_row(project, name, number, folder, origin)
        row.note, row.mlflow_model, row.created_by = note, model, actor.name
        with self._db.write() as session:
            insert_version(session, actor.name, row, folder.files)
            return service.get_version(session, project, name, str(number))

    @contextmanager
    def _turn(self, what: str) -> Iterator[None]:
        """One process at a time registers the same content; another waits for it."""
        name, until = f"model-{sha256(what.encode()).hexdigest()[:40]}", time.monotonic() + _PATIENCE
        holder = f"{self._holder}-{uuid.uuid4().hex}"
        while (lease := self._take(name, holder)) is None:
            if time.monotonic() > until:
                raise Conflict(
                    "This model is being registered by another request.", code="busy", hint="Look again in a minute."
                )
            time.sleep(0.2)
        try:
            yield
        finally:
            with self._db.write() as session:
                leases.release(session, lease)

    def _take(self, name: str, holder: str) -> Lease | None:
        with self._db.write() as session:
            return leases.acquire(session, name, holder, _LEASE_SECONDS)


def version_row(project: str, name: str, number: int, folder: Folder, origin: Origin) -> VersionRow:
    """A version as it is stored."""
    return VersionRow(
        id="m" + secrets.token_hex(9),
        project=project,
        model=name,
        number=number,
        manifest=folder.manifest,
        files=len(folder.files),
        size=folder.size,
        framework=folder.framework,
        flavors=list(folder.flavors),
        signature=dict(folder.signature),
        metrics=dict(origin.metrics),
        parameters=dict(origin.parameters),
        run=origin.run,
        step=origin.step,
        output=origin.output,
        pipeline=origin.pipeline,
        revision=origin.revision,
        snapshot=origin.snapshot,
        datasets=list(origin.datasets),
        mlflow_run=origin.mlflow_run,
    )


def insert_version(session: Session, actor: str, row: VersionRow, files: Sequence[Member]) -> None:
    """Store a version, and its model where it is the first. A number that is taken is told."""
    model = session.get(ModelRow, (row.project, row.model), with_for_update=True)
    if model is None:
        model = ModelRow(project=row.project, name=row.model, created_by=actor)
        session.add(model)
        emit(session, "model.created", subject=row.model, project=row.project, actor=actor)
        session.flush()
    known = store.one_version(session, row.project, row.model, row.number)
    if known is not None:
        if known.manifest == row.manifest:
            return
        raise BackendUnavailable(
            f"MLflow gave version {row.number} of {row.model!r} twice: it has lost some that Atelier knows.",
            code="numbers_disagree",
            hint="The operator restores MLflow's database, or register under another name.",
        )
    session.add(row)
    model.latest, model.changed_at = max(model.latest, row.number), now()
    session.flush()
    store.add_files(session, row.id, files)
    data = {"version": row.number, "framework": row.framework, "run": row.run, "step": row.step}
    emit(session, "model.version_added", subject=row.model, project=row.project, actor=actor, data=data)


def _tags(actor: Actor, folder: Folder, origin: Origin) -> dict[str, str]:
    known = {
        "manifest": folder.manifest,
        "run": origin.run,
        "step": origin.step,
        "output": origin.output,
        "revision": origin.revision,
        "snapshot": origin.snapshot,
        "datasets": " ".join(origin.datasets),
        "registered_by": actor.name,
    }
    return {TAG + key: value[:5000] for key, value in known.items() if value}
