"""Files of this machine as runs: check them, send their folder, run them, compare them with what ran."""

from __future__ import annotations

import posixpath
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from atelier_sdk import Client, pack
from atelier_sdk.snapshot import listing
from atelier_server.local.files import existing, inside, read_json
from atelier_server.local.ports import KINDS
from atelier_server.local.single import single_step
from atelier_server.settings import Settings

PATIENCE = 10.0
_MOST_FILES = 100_000  # as many as the control plane takes in one check


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Check(_Body):
    """A pipeline at `path`, as it is in the editor (`document`) or on disk."""

    path: str = Field(min_length=1, max_length=1000)
    document: Any = None
    project: str = ""


class NewRun(_Body):
    """What to run from this machine's files. The same `idempotency_key` twice gives the same run.

    A notebook or script runs as a pipeline of one step: `parameters` are its own then, `image` is where it runs, and
    `outputs` are the files that are kept.
    """

    path: str = Field(min_length=1, max_length=1000)
    parameters: dict[str, Any] = Field(default_factory=dict)
    on: str = ""
    project: str = ""
    idempotency_key: str = Field(default_factory=lambda: uuid.uuid4().hex, min_length=1, max_length=200)
    image: str = ""
    outputs: list[str] | None = Field(default=None, max_length=1000)


@contextmanager
def _client(platform: Settings) -> Iterator[Client]:
    with Client(platform.api_url, platform.token, patience=PATIENCE) as client:
        yield client


def check(platform: Settings, wanted: Check) -> dict[str, Any]:
    """Everything that keeps the pipeline from running."""
    file = inside(platform, wanted.path)
    document = wanted.document if wanted.document is not None else read_json(existing(platform, wanted.path))
    files = listing(file.parent) if file.parent.is_dir() else []
    project = wanted.project or platform.project
    with _client(platform) as client:
        problems = client.pipelines.check(project, document=document, path=file.name, files=files[:_MOST_FILES])
    return {"problems": [problem.model_dump(mode="json") for problem in problems]}


def run(platform: Settings, wanted: NewRun) -> dict[str, Any]:
    """Store the file with its folder as a revision and run it; also says which files were left out, and why."""
    file = existing(platform, wanted.path)
    document, parameters = _document(file, wanted)
    project = wanted.project or platform.project
    with _client(platform) as client, pack(file.parent) as snapshot:
        client.snapshots.upload(project, snapshot)
        revision = client.revisions.create(
            project, path=_place(wanted.path), document=document, snapshot=snapshot.digest
        )
        started = client.runs.create(
            project,
            revision=revision.id,
            parameters=parameters,
            on=wanted.on or None,
            idempotency_key=wanted.idempotency_key,
        )
    return started.model_dump(mode="json") | {"left_out": snapshot.secrets}


def _place(path: str) -> str:
    """A path as revisions keep it: from the folder that the server shows, so that files of one name differ."""
    return posixpath.normpath(path.strip("/"))


def _document(file: Path, wanted: NewRun) -> tuple[Any, dict[str, Any]]:
    """The document and the run's parameters; those of a notebook or script are its one step's own."""
    if file.suffix not in KINDS:
        return read_json(file), wanted.parameters
    return single_step(file, wanted.parameters, wanted.image, wanted.outputs), {}


def difference(platform: Settings, path: str, revision: str, project: str) -> dict[str, Any]:
    """Whether the file, or anything in its folder, is not what the revision holds."""
    file = existing(platform, path)
    with _client(platform) as client:
        stored = client.revisions.get(project or platform.project, revision).model_dump(mode="json")
    changed = file.suffix not in KINDS and read_json(file) != stored.get("document")
    folder = changed
    if not changed:
        with pack(file.parent) as snapshot:
            folder = snapshot.digest != stored.get("snapshot")
    return {"differs": changed or folder, "document": changed, "folder": folder}
