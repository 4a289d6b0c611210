"""Carries runs on: each event goes through `decide` and into the log, with what follows, in one transaction."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime

from sqlalchemy.orm import Session

from atelier_core.dataset import DatasetReference
from atelier_core.errors import Invalid, NotFound
from atelier_core.pipeline.run import AttemptEnded, Event, RunStarted, RunState, decide, replay
from atelier_core.states import FINAL, State
from atelier_core.workload import Observation, WorkloadSpec
from atelier_hub.artifacts.tars import Member, StoredFolder
from atelier_hub.db import after_commit
from atelier_hub.engine.owner import Staged, Touched
from atelier_hub.engine.store import Artifact, Attempt, artifacts_of
from atelier_hub.engine.tokens import AttemptTokens
from atelier_hub.features.datasets import service as datasets
from atelier_hub.features.pipelines.spec import AttemptContext, build_spec
from atelier_hub.features.pipelines.store import RunHead, SnapshotRow, StepMoves, load_log, run_head, run_plan
from atelier_hub.features.pipelines.transition import KIND, Transition, give_up

__all__ = ["KIND", "Runs"]
log = logging.getLogger(__name__)
_PENDING = "pending_run_states"


class UnreadableRun(Invalid):
    """The plan or the log of a run cannot be read any more."""

    code = "unreadable_run"


class Runs:
    """The owner of attempts of kind `step`: says what they run, and what follows from their end.

    States are remembered between events; one that another process moved on (its log is longer) is replayed.
    """

    def __init__(
        self,
        tokens: AttemptTokens,
        reveal: Callable[[Session, str, str], str],
        *,
        urls: Mapping[str, str],
        mlflow_urls: Mapping[str, str] | None = None,
        remember: int = 1000,
    ) -> None:
        self._tokens = tokens
        self._reveal = reveal
        self._urls = urls
        self._mlflow_urls = mlflow_urls or {}
        self._most = remember
        self.on_begin: list[Callable[[Session, RunHead], None]] = []
        """Called for each new run in the transaction that stores it."""
        self._lock = threading.Lock()
        self._states: OrderedDict[str, tuple[int, RunState]] = OrderedDict()

    # --- what the routes and the driver call, inside a transaction ---

    def begin(self, session: Session, run_id: str, state: RunState, actor: str) -> Touched:
        """Start a run that was just stored; `state` is that of its plan before anything happened."""
        _pending(session)[run_id] = (0, state)
        run = run_head(session, run_id) if self.on_begin else None
        if run is not None:
            for call in self.on_begin:
                call(session, run)
        return self.feed(session, run_id, RunStarted(), actor)

    def feed(
        self,
        session: Session,
        run_id: str,
        event: Event,
        actor: str = "",
        *,
        began: datetime | None = None,
        ahead: int = 0,
    ) -> Touched:
        """Take `event` in; says which attempts the driver should look at now."""
        run = run_head(session, run_id, lock=True)
        if run is None or run.state in FINAL:
            return Touched()
        try:
            before = self._state(session, run)
        except UnreadableRun as error:
            return give_up(session, run, error.message)
        after, commands = decide(before, event)
        if not commands:
            return Touched()  # it came twice, or too late
        transition = Transition(session, run, after, event, tokens=self._tokens, actor=actor, began=began)
        touched = transition.carry_out(commands, self._build, ahead)
        self._keep(session, run, after)
        return touched

    def recall(self, session: Session, attempt: Attempt) -> None:
        """Replay the run now, if that must be done, and not while everybody who writes waits."""
        run = None if attempt.subject in self._states else run_head(session, attempt.subject)
        if run is not None and run.state not in FINAL:
            with suppress(UnreadableRun):  # `feed` ends it
                self._state(session, run)

    def lock(self, session: Session, attempt: Attempt) -> None:
        """Take the run before anything of it, as `feed` does: one order for all, so that nobody waits in a circle."""
        if session.get_bind().dialect.name != "sqlite":  # which has one writer at a time
            run_head(session, attempt.subject, lock=True)

    def moved(self, session: Session, attempt: Attempt, state: State, seen: Observation) -> None:
        """Show on the step what its attempt is doing."""
        moves = StepMoves(session, attempt.subject, [attempt.step])
        moves.move(attempt.step, state, seen.reason, seen.message, attempt=attempt.number)
        moves.write()

    def ended(self, session: Session, attempt: Attempt, seen: Observation, ahead: int) -> Touched:
        """The attempt is over and nothing of it survives."""
        event = AttemptEnded(
            step=attempt.step,
            number=attempt.number,
            state=seen.state,
            reason=seen.reason,
            message=seen.message,
            exit_code=seen.exit_code,
            values=seen.values,
        )
        return self.feed(session, attempt.subject, event, began=seen.started_at, ahead=ahead)

    def spec(self, session: Session, attempt: Attempt) -> WorkloadSpec:
        """What the attempt runs."""
        run, state = self._known(session, attempt)
        return self._build(session, run, state, attempt)

    def code(self, session: Session, attempt: Attempt, digest: str) -> str:
        """Where a code archive of the step lies in the store: of a template, or of the run's snapshot."""
        run, state = self._known(session, attempt)
        if all(code.digest != digest for code in state.graph.steps[attempt.step].code):
            raise NotFound(f"This step has no code with digest {digest!r}.")
        snapshot = session.get(SnapshotRow, (run.project, digest))
        return snapshot.blob if snapshot is not None else digest

    def input(self, session: Session, attempt: Attempt, name: str) -> Staged:
        """The artifact or the dataset behind an input of the step."""
        run, state = self._known(session, attempt)
        dataset = state.graph.steps[attempt.step].datasets.get(name)
        if dataset is not None:
            found = datasets.content(session, run.project, DatasetReference(dataset.name, dataset.version))
            return StoredFolder([Member(*file) for file in found.files])
        plan = state.graph.steps[attempt.step].inputs.get(name)
        if plan is not None:
            for artifact in artifacts_of(session, run.id, {plan.source.step}):
                if artifact.name == plan.source.output and _counts(state, artifact):
                    return artifact
        raise NotFound(f"This step has no input {name!r}.")

    # --- inside ---

    def _build(self, session: Session, run: RunHead, state: RunState, attempt: Attempt) -> WorkloadSpec:
        """Secrets are read at this moment and kept nowhere else."""
        step = state.graph.steps[attempt.step]
        refs = [*(one.source for one in step.inputs.values()), *step.references.values()]
        sources = {ref.step for ref in refs}
        left = artifacts_of(session, run.id, sources) if sources else []
        context = AttemptContext(
            attempt=attempt.id,
            run=run.id,
            project=run.project,
            owner=run.created_by,
            url=self._urls[attempt.backend],
            token=self._tokens.token(attempt.id, attempt.nonce),
            mlflow=self._mlflow_urls.get(attempt.backend, ""),
            artifacts={(one.step, one.name): one.id for one in left if _counts(state, one)},
            values={name: state.steps[name].values for name in sources},
            secrets={name: self._reveal(session, run.project, name) for name in set(step.secrets.values())},
        )
        return build_spec(step, context)

    def _known(self, session: Session, attempt: Attempt) -> tuple[RunHead, RunState]:
        run = run_head(session, attempt.subject)
        if run is None:
            raise NotFound(f"There is no run {attempt.subject!r} any more.")
        return run, self._state(session, run)

    def _state(self, session: Session, run: RunHead) -> RunState:
        known = _pending(session).get(run.id) or self._states.get(run.id)
        if known is not None and known[0] == run.log_length:
            return known[1]
        try:
            state = replay(run_plan(session, run.id), load_log(session, run.id))
        except (ValueError, LookupError, TypeError) as error:
            log.exception("Run %s cannot be carried on", run.id)
            raise UnreadableRun("What is stored of this run cannot be read, so it cannot go on.") from error
        if run.id not in _pending(session):
            self._remember(run.id, run.log_length, state)
        return state

    def _keep(self, session: Session, run: RunHead, state: RunState) -> None:
        """Remember the state as soon as the transaction is committed, and only then."""
        pending = _pending(session)
        pending[run.id] = (run.log_length + 1, state)
        after_commit(session, lambda: self._remember(run.id, *pending[run.id]))

    def _remember(self, run: str, length: int, state: RunState) -> None:
        with self._lock:
            self._states.pop(run, None)
            if state.state not in FINAL:
                self._states[run] = (length, state)
            while len(self._states) > self._most:
                self._states.popitem(last=False)


def _pending(session: Session) -> dict[str, tuple[int, RunState]]:
    """States that this transaction has reached."""
    pending: dict[str, tuple[int, RunState]] = session.info.setdefault(_PENDING, {})
    return pending


def _counts(state: RunState, artifact: Artifact) -> bool:
    """Only what the attempt that succeeded left is an input of others."""
    step = state.steps.get(artifact.step)
    return step is not None and artifact.attempt.endswith(f"-{step.attempt}")
