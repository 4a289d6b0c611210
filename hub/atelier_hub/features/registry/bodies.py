"""Models and versions as the API gives them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel


class Approval(BaseModel):
    """That a maintainer found a version good enough for production."""

    note: str
    approved_at: datetime
    approved_by: str


class Lineage(BaseModel):
    """Where a version comes from, as far as it is known: a run of a pipeline, or somebody's own work."""

    run: str
    step: str
    output: str
    pipeline: str
    revision: str
    snapshot: str
    datasets: list[str]
    mlflow_run: str


class ModelVersion(BaseModel):
    """A version of a model. `state` is importing, ready or failed; `message` says why it is not ready."""

    number: int
    state: str
    message: str
    framework: str
    flavors: list[str]
    files: int
    size: int
    metrics: dict[str, float]
    note: str
    aliases: list[str]
    approval: Approval | None
    created_at: datetime
    created_by: str


class VersionDetail(ModelVersion):
    """A version with everything that is known of it."""

    name: str
    project: str
    reference: str
    manifest: str
    parameters: dict[str, Any]
    signature: dict[str, Any]
    lineage: Lineage
    mlflow_model: str


class Model(BaseModel):
    """A registered model; `newest` is its newest version, `version` its own ETag."""

    name: str
    project: str
    description: str
    newest: ModelVersion | None
    aliases: dict[str, int]
    created_at: datetime
    created_by: str
    changed_at: datetime
    version: int


class ModelFile(BaseModel):
    """One file of a version."""

    path: str
    size: int
    digest: str


class ComparedVersion(BaseModel):
    """What is compared of a version."""

    name: str
    number: int
    metrics: dict[str, float]
    parameters: dict[str, Any]
    datasets: list[str]


class Comparison(BaseModel):
    """Versions side by side; `metrics` and `parameters` are all names that any of them has."""

    versions: list[ComparedVersion]
    metrics: list[str]
    parameters: list[str]
