"""The owner of attempts of kind `replica`: says what they run, and that something of them changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy.orm import Session

from atelier_core.errors import NotFound
from atelier_core.names import attempt_id
from atelier_core.states import State
from atelier_core.workload import Observation, WorkloadSpec
from atelier_hub.db import after_commit
from atelier_hub.engine.owner import Staged, Touched
from atelier_hub.engine.store import Attempt, NewAttempt, draft_attempt, insert_attempts
from atelier_hub.engine.tokens import AttemptTokens
from atelier_hub.features.serving import store
from atelier_hub.features.serving.plan import MODEL, AttemptContext, ServingPlan, build_spec
from atelier_hub.features.serving.store import KIND, ReplicaRow, RevisionRow, ServiceRow

_GRACE_MARGIN = 5.0


class Replicas:
    """An `engine.owner.Owner`. `changed` is called once what happened to a replica is committed."""

    def __init__(
        self, tokens: AttemptTokens, reveal: Callable[[Session, str, str], str], *, urls: Mapping[str, str]
    ) -> None:
        self._tokens = tokens
        self._reveal = reveal
        self._urls = urls
        self.changed: Callable[[], None] = lambda: None

    def start(self, session: Session, service: ServiceRow, revision: RevisionRow, delay: float) -> str:
        """Ask for one more replica; returns its attempt."""
        step = store.step_of(revision.number)
        number = store.next_attempt(session, service.id, step)
        new = NewAttempt(
            id=attempt_id(service.id, step, number),
            project=service.project,
            kind=KIND,
            subject=service.id,
            step=step,
            number=number,
            backend=service.backend,
            delay=delay,
            grace=ServingPlan.model_validate(revision.plan).grace + _GRACE_MARGIN,
        )
        insert_attempts(session, [draft_attempt(new)], self._tokens)
        session.add(ReplicaRow(attempt=new.id, service=service.id, revision=revision.number))
        session.flush()
        return new.id

    def spec(self, session: Session, attempt: Attempt) -> WorkloadSpec:
        """What the replica runs. Secrets are read at this moment and kept nowhere else."""
        service, revision = self._found(session, attempt)
        plan = ServingPlan.model_validate(revision.plan)
        context = AttemptContext(
            attempt=attempt.id,
            project=service.project,
            service=service.name,
            revision=revision.number,
            owner=revision.created_by,
            url=self._urls[attempt.backend],
            token=self._tokens.token(attempt.id, attempt.nonce),
            secrets={name: self._reveal(session, service.project, name) for name in set(plan.secrets.values())},
        )
        return build_spec(plan, context)

    def recall(self, session: Session, attempt: Attempt) -> None:
        """Nothing takes long here."""

    def lock(self, session: Session, attempt: Attempt) -> None:
        """The service before anything of it: one order for all."""
        if session.get_bind().dialect.name != "sqlite":  # which has one writer at a time
            store.lock_service(session, attempt.subject)

    def moved(self, session: Session, attempt: Attempt, state: State, seen: Observation) -> None:
        """Somebody should look at the service."""
        after_commit(session, self.changed)

    def ended(self, session: Session, attempt: Attempt, seen: Observation, ahead: int) -> Touched:
        """What follows is decided where everything of the service is seen."""
        after_commit(session, self.changed)
        return Touched()

    def code(self, session: Session, attempt: Attempt, digest: str) -> str:
        """The model server."""
        _, revision = self._found(session, attempt)
        if not digest or ServingPlan.model_validate(revision.plan).code != digest:
            raise NotFound(f"This replica has no code with digest {digest!r}.")
        return digest

    def input(self, session: Session, attempt: Attempt, name: str) -> Staged:
        """The model."""
        _, revision = self._found(session, attempt)
        content = ServingPlan.model_validate(revision.plan).content
        if name != MODEL or content is None:
            raise NotFound(f"This replica has no input {name!r}.")
        return content.staged()

    def _found(self, session: Session, attempt: Attempt) -> tuple[ServiceRow, RevisionRow]:
        service = session.get(ServiceRow, attempt.subject)
        revision = store.get_revision(session, attempt.subject, int(attempt.step.removeprefix("r")))
        if service is None or revision is None:
            raise NotFound(f"There is no service {attempt.subject!r} any more.")
        return service, revision
