"""Registered models of a project: versions made of a run's output or of a folder, aliases, approvals, contents."""

from __future__ import annotations

import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from pydantic import Field

from atelier_sdk.datasets import Datasets, Progress, local_files
from atelier_sdk.errors import AtelierError
from atelier_sdk.models import Answer
from atelier_sdk.resources import Resource, path_of

_LOOK_SECONDS = 0.5
_NOT_YET = ("no_model", "no_version", "no_alias")
_REGISTERING = 3600.0  # seconds that a large model may take to be stored and sent on to MLflow


class ModelVersion(Answer):
    """A version of a model. `state` is importing, ready or failed; the details are there where one is asked for."""

    number: int
    state: str = "ready"
    message: str = ""
    framework: str = ""
    flavors: list[str] = Field(default_factory=list)
    files: int = 0
    size: int = 0
    metrics: dict[str, float] = Field(default_factory=dict)
    note: str = ""
    aliases: list[str] = Field(default_factory=list)
    approval: dict[str, Any] | None = None
    created_at: datetime | None = None
    created_by: str = ""
    name: str = ""
    reference: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)
    signature: dict[str, Any] = Field(default_factory=dict)
    lineage: dict[str, Any] = Field(default_factory=dict)

    @property
    def approved(self) -> bool:
        """Whether a maintainer found it good enough for production."""
        return self.approval is not None


class Model(Answer):
    """A registered model; `newest` is its newest version, `aliases` say which version they mean."""

    name: str
    project: str = ""
    description: str = ""
    newest: ModelVersion | None = None
    aliases: dict[str, int] = Field(default_factory=dict)
    created_at: datetime | None = None
    created_by: str = ""
    changed_at: datetime | None = None
    version: int = 0


class Comparison(Answer):
    """Versions side by side."""

    versions: list[dict[str, Any]] = Field(default_factory=list)
    metrics: list[str] = Field(default_factory=list)
    parameters: list[str] = Field(default_factory=list)


class Models(Resource):
    """Registered models. `which` is a version's number, `latest`, or an alias as `@name`."""

    def list(self, project: str, *, search: str | None = None) -> Iterator[Model]:
        """All models of a project, by name."""
        return self._all(Model, path_of("projects", project, "models"), search=search)

    def get(self, project: str, name: str) -> Model:
        """One model with its newest version."""
        return self._one(Model, "GET", path_of("projects", project, "models", name))

    def update(self, project: str, name: str, *, description: str, version: int | None = None) -> Model:
        """Describe it anew; with the `version` that was read, only if nobody changed it since."""
        path = path_of("projects", project, "models", name)
        return Model.model_validate(self._edit("PATCH", path, version, {"description": description}).json())

    def delete(self, project: str, name: str, *, force: bool = False) -> None:
        """Remove a model with its versions; refused while something serves it."""
        path = path_of("projects", project, "models", name)
        self._edit("DELETE", f"{path}?force={str(force).lower()}", None)

    def versions(self, project: str, name: str) -> Iterator[ModelVersion]:
        """All versions, newest first."""
        return self._all(ModelVersion, path_of("projects", project, "models", name, "versions"))

    def version(self, project: str, name: str, which: int | str = "latest") -> ModelVersion:
        """One version with metrics, signature, and where it comes from."""
        return self._one(ModelVersion, "GET", self._place(project, name, which))

    def wait(self, project: str, name: str, which: int | str = "latest", *, seconds: float = 300) -> ModelVersion:
        """Until a version can be served: what MLflow's client registered is copied first, which takes moments."""
        until = time.monotonic() + seconds
        while True:
            try:
                found = self.version(project, name, which)
            except AtelierError as error:
                if error.code not in _NOT_YET or time.monotonic() > until:
                    raise
            else:
                if found.state == "ready":
                    return found
                if found.state == "failed" or time.monotonic() > until:
                    what = found.message or f"it is still {found.state}"
                    raise AtelierError(f"Version {found.number} of {name} cannot be used: {what}", code="not_ready")
            time.sleep(_LOOK_SECONDS)

    def delete_version(self, project: str, name: str, number: int, *, force: bool = False) -> None:
        """Remove one version; refused while something serves it."""
        params = {"force": str(force).lower()}
        self._transport.request("DELETE", self._place(project, name, number), params=params)

    def register(
        self,
        project: str,
        name: str,
        source: str | Path,
        *,
        note: str = "",
        metrics: Mapping[str, float] | None = None,
        progress: Progress | None = None,
    ) -> ModelVersion:
        """A version made of a model folder or file of this machine; the one that is there if it is the same."""
        files = local_files(Path(source))
        Datasets(self._transport).send(project, files, progress or (lambda done, total: None))
        manifest = [{"path": one.path, "size": one.size, "digest": one.digest} for one in files]
        return self._register(project, name, {"files": manifest, "note": note, "metrics": dict(metrics or {})})

    def register_run(
        self, project: str, name: str, *, run: str, step: str, output: str = "model", note: str = ""
    ) -> ModelVersion:
        """A version made of what a step left; the one that is there if it is the same."""
        source = {"run": run, "step": step, "output": output}
        return self._register(project, name, {"source": source, "note": note})

    def set_alias(self, project: str, name: str, alias: str, number: int) -> Model:
        """Let an alias mean a version; `production` only one that is approved."""
        path = path_of("projects", project, "models", name, "aliases", alias)
        return self._one(Model, "PUT", path, json={"version": number})

    def remove_alias(self, project: str, name: str, alias: str) -> None:
        """Let an alias mean nothing any more."""
        self._transport.request("DELETE", path_of("projects", project, "models", name, "aliases", alias))

    def approve(self, project: str, name: str, number: int, *, note: str = "") -> ModelVersion:
        """Say that a version is good enough for production; maintainers may."""
        return self._one(ModelVersion, "PUT", f"{self._place(project, name, number)}/approval", json={"note": note})

    def revoke(self, project: str, name: str, number: int) -> ModelVersion:
        """Take an approval back."""
        return self._one(ModelVersion, "DELETE", f"{self._place(project, name, number)}/approval")

    def compare(self, project: str, name: str, numbers: Sequence[int]) -> Comparison:
        """Metrics and parameters of several versions side by side."""
        path = path_of("projects", project, "models", name, "compare")
        return self._one(Comparison, "GET", path, params={"version": [*numbers]})

    def download(self, project: str, name: str, which: int | str, target: Path) -> Path:
        """Write the model folder of a version below a folder."""
        target.mkdir(parents=True, exist_ok=True)
        with self._transport.stream(f"{self._place(project, name, which)}/content") as stream:
            source = cast(Any, _Pieces(stream.iter_bytes()))
            try:
                with tarfile.open(fileobj=source, mode="r|") as tar:
                    _unpack(tar, target.resolve())
            except tarfile.TarError as error:
                message = f"The model was not received whole: {error}."
                raise AtelierError(message, code="cut_short", hint="Try again with an empty folder.") from None
        return target

    def _register(self, project: str, name: str, body: dict[str, Any]) -> ModelVersion:
        path = path_of("projects", project, "models", name, "versions")
        # The same twice is one version, so it may be sent again: MLflow may be starting just now.
        return self._one(ModelVersion, "POST", path, json=body, idempotent=True, timeout=_REGISTERING)

    @staticmethod
    def _place(project: str, name: str, which: int | str) -> str:
        return path_of("projects", project, "models", name, "versions", str(which))


def _unpack(tar: tarfile.TarFile, target: Path) -> None:
    """Files and folders below `target`, without their owners."""
    tar.extraction_filter = getattr(tarfile, "data_filter", None)  # Debian 12's Python has no filters yet
    for member in tar:
        if not (member.isreg() or member.isdir()) or not (target / member.name).resolve().is_relative_to(target):
            raise tarfile.TarError(f"{member.name!r} is neither a file nor a folder below this one")
        tar.extract(member, target)


class _Pieces:
    """Pieces of bytes as a file that can only be read forward."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = b""

    def read(self, size: int) -> bytes:
        """At most `size` bytes; empty at the end."""
        while not self._held:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._held = piece
        taken, self._held = self._held[:size], self._held[size:]
        return taken
