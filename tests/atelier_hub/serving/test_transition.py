"""What is decided about a service comes into the rows in steps; nobody sees two rows of it that do not agree."""

from __future__ import annotations

import secrets

import pytest
from sqlalchemy.orm import Session

from atelier_core.rollout import MoveRevision
from atelier_core.service import Definition
from atelier_core.service_view import Place
from atelier_core.states import State
from atelier_hub.db import Database
from atelier_hub.engine.store import AttemptRow
from atelier_hub.engine.tokens import AttemptTokens
from atelier_hub.features.projects.store import ProjectRow
from atelier_hub.features.serving.replicas import Replicas
from atelier_hub.features.serving.store import KIND, ReplicaRow, RevisionRow, ServiceRow, step_of
from atelier_hub.features.serving.transition import Transition

FAILED = MoveRevision(1, State.FAILED, Place.CURRENT, 0, "NotReady", "It was not ready within 5 s.")


def _starting(session: Session) -> ServiceRow:
    """A service whose first revision has a replica that answers."""
    definition = Definition(name="digits", image="python", command=["python", "-V"])
    attempt = AttemptRow(
        id="replica", project="ada", kind=KIND, subject="s1", step=step_of(1), number=1, backend="local",
        state=State.RUNNING, handle={}, nonce="", token_sha256="",
    )  # fmt: skip
    rows = [
        ProjectRow(name="ada", created_by="ada"),
        ServiceRow(id="s1", project="ada", name="digits", backend="local", state=State.STARTING, created_by="ada"),
        RevisionRow(
            service="s1", number=1, definition=definition.model_dump(mode="json"), plan={}, source="image:python",
            state=State.STARTING, place=Place.CURRENT, replicas=1, minimum=1, maximum=1, created_by="ada",
        ),
        attempt,
        ReplicaRow(attempt="replica", service="s1", revision=1, ready=True),
    ]  # fmt: skip
    for row in rows:
        session.add(row)
        session.flush()
    return session.get_one(ServiceRow, "s1")


@pytest.mark.parametrize(
    ("command", "state"),
    [(MoveRevision(1, State.RUNNING, Place.CURRENT, 100), State.RUNNING), (FAILED, State.FAILED)],
    ids=["ready", "failed"],
)
def test_where_a_revision_is_the_service_is_seen_too(db: Database, command: MoveRevision, state: State) -> None:
    replicas = Replicas(AttemptTokens(secrets.token_bytes(32)), lambda *_: "", urls={})
    with db.write() as session:
        service = _starting(session)
        Transition(session, service, replicas).carry_out([command])
    with db.read() as session:
        seen = session.get_one(ServiceRow, "s1")
        assert (seen.state, seen.reason, seen.message) == (state, command.reason, command.message)
