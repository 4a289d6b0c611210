"""Changes that MLflow must know, too: told there first, then written here, so that a repeated call finishes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from atelier_core.errors import Invalid
from atelier_core.registry import workspace_name
from atelier_hub.auth import Actor, AttemptActor
from atelier_hub.clients.mlflow import MlflowClient
from atelier_hub.db import Database
from atelier_hub.engine.store import Artifact
from atelier_hub.features.registry import service
from atelier_hub.features.registry.bodies import Model, VersionDetail
from atelier_hub.features.registry.registering import Registrar
from atelier_hub.features.registry.service import Registry

FindInput = Callable[[Session, str, str], tuple[str, Artifact]]
"""Who runs an attempt, and the artifact behind one of its inputs: `find(session, attempt, input)`."""


def _no_inputs(_session: Session, _attempt: str, name: str) -> tuple[str, Artifact]:
    raise Invalid(f"Nothing here knows the input {name!r}.", code="no_input")


@dataclass
class Operations:
    """What the routes ask for. All methods block."""

    db: Database
    client: MlflowClient
    registrar: Registrar
    registry: Registry
    find_input: FindInput = field(default=_no_inputs)

    def from_attempt(self, actor: AttemptActor, name: str, source: str, note: str) -> VersionDetail:
        """A version of an input of a running step, in the name of whoever runs it."""
        with self.db.read() as session:
            owner, artifact = self.find_input(session, actor.attempt, source)
        return self.registrar.from_artifact(Actor(owner), actor.project, name, artifact, note=note)

    def set_alias(self, actor: Actor, project: str, name: str, alias: str, number: int) -> Model:
        """Let an alias mean a version."""
        with self.db.read() as session:
            service.check_may_be_named(session, project, name, alias, number)
        self.client.set_alias(workspace_name(project), name, alias, number)
        with self.db.write() as session:
            return service.set_alias(session, actor, project, name, alias, number)

    def remove_alias(self, actor: Actor, project: str, name: str, alias: str) -> None:
        """Let an alias mean nothing any more."""
        with self.db.read() as session:
            service.require_alias(session, project, name, alias)
        self.client.remove_alias(workspace_name(project), name, alias)
        with self.db.write() as session:
            service.remove_alias(session, actor, project, name, alias)

    def delete_model(self, actor: Actor, project: str, name: str, *, expected: str | None, force: bool) -> None:
        """Remove a model with its versions."""
        guards = self.registry.guards
        with self.db.read() as session:
            service.check_deletion(session, project, name, expected=expected, force=force, guards=guards)
        self.client.remove_model(workspace_name(project), name)
        with self.db.write() as session:
            service.delete_model(session, actor, project, name, expected=expected, force=force, guards=guards)

    def delete_version(self, actor: Actor, project: str, name: str, number: int, *, force: bool) -> None:
        """Remove a version with the aliases that mean it."""
        guards = self.registry.guards
        with self.db.read() as session:
            service.get_version(session, project, name, str(number))
            service.check_unused(session, project, name, number, force=force, guards=guards)
        self.client.remove_version(workspace_name(project), name, number)
        with self.db.write() as session:
            service.delete_version(session, actor, project, name, number, force=force, guards=guards)


def check_source(from_run: bool, uploaded: bool) -> None:
    """A version comes from a run or from uploaded files."""
    if from_run == uploaded:
        raise Invalid(
            "A version comes from a run's step or from uploaded files.", code="bad_source", hint="Give one of the two."
        )


def check_metrics(given: Mapping[str, float]) -> dict[str, float]:
    """The metrics that somebody says a model has."""
    if len(given) > 200 or any(len(key) > 200 or not key.isprintable() for key in given):
        raise Invalid(
            "A version has at most 200 metrics, with printable names of at most 200 characters.", code="bad_metrics"
        )
    return dict(given)
