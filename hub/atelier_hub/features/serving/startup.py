"""Brings services to life with the control plane; the engine's own start runs `Services` while this process drives."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from atelier_core.errors import Conflict
from atelier_core.registry import ModelReference
from atelier_core.states import State
from atelier_hub.artifacts.sweep import Sweep
from atelier_hub.context import Context
from atelier_hub.engine.tokens import AttemptTokens
from atelier_hub.features.projects import service as projects
from atelier_hub.features.registry.service import Registry, Uses
from atelier_hub.features.serving.from_steps import StepOwners
from atelier_hub.features.serving.reconcile import Services
from atelier_hub.features.serving.replicas import Replicas
from atelier_hub.features.serving.sources import load_offer
from atelier_hub.features.serving.store import RevisionRow, ServiceRow

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def setup(context: Context) -> None:
    """Wire what services may refer to, the owner of replicas, and what others ask before they delete."""
    settings = context.settings
    offer = load_offer(settings, context.store)

    def reveal(session: Session, project: str, name: str) -> str:
        return projects.reveal(session, context.keyring, project, name)

    urls = {
        name: options.get("url") or settings.url_for(options["type"]) for name, options in settings.backends.items()
    }
    replicas = Replicas(AttemptTokens(context.keyring.derive("attempt tokens")), reveal, urls=urls)
    for part in (offer, replicas, Services(context, replicas), StepOwners()):
        context.provide(part)
    context.delete_guards.append(_refuse_while_serving)
    context.get(Registry).guards.append(_model_uses)
    context.get(Sweep).keepers += [lambda _, digests: digests & {offer.server}, in_plans]


def in_plans(session: Session, digests: frozenset[str]) -> set[str]:
    """Which of `digests` a revision needs: its model, and the model server that it was deployed with."""
    found: set[str] = set()
    for plan in session.scalars(select(RevisionRow.plan).execution_options(yield_per=100)):
        found |= digests & set(_DIGEST.findall(str(plan)))
    return found


def _refuse_while_serving(session: Session, project: str) -> None:
    found = session.scalars(select(ServiceRow.name).where(ServiceRow.project == project).order_by(ServiceRow.name))
    names = list(found)
    if names:
        raise Conflict(
            f"The project still has {len(names)} services.",
            code="still_serving",
            hint=f"Delete them first: atelier service delete {names[0]}",
        )


def _model_uses(session: Session, project: str, model: str, number: int | None) -> Uses:
    """Which services serve a model now, and which could go back to it."""
    query = (
        select(RevisionRow.source, RevisionRow.state, ServiceRow.name)
        .join(ServiceRow, ServiceRow.id == RevisionRow.service)
        .where(ServiceRow.project == project)
    )
    start = str(ModelReference(model, 1)).removesuffix("1")
    if number is not None:
        query = query.where(RevisionRow.source == str(ModelReference(model, number)))
    else:
        query = query.where(RevisionRow.source.startswith(start, autoescape=True))
    rows = list(session.execute(query))
    live = (State.STARTING, State.RUNNING)
    running = {row.name for row in rows if row.state in live}
    past = {row.name for row in rows} - running
    return Uses(running=_phrases(sorted(running)), past=_phrases(sorted(past)))


def _phrases(names: Sequence[str]) -> list[str]:
    return [f"the service {name}" for name in names]
