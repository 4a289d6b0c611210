"""Carries runs on: each event goes through `decide` and into the log, with what follows, in one transaction."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping

from sqlalchemy import Select, select
from sqlalchemy.event import listen
from sqlalchemy.orm import Session

from atelier_core.errors import NotFound
from atelier_core.names import attempt_id
from atelier_core.pipeline.plan import Plan
from atelier_core.pipeline.run import (
    AttemptEnded,
    Command,
    Event,
    MoveRun,
    MoveStep,
    RunState,
    StartAttempt,
    StopAttempt,
    decide,
    replay,
)
from atelier_core.states import FINAL, State
from atelier_core.workload import Observation
from atelier_hub.engine.driver import Start
from atelier_hub.engine.store import (
    Artifact,
    Attempt,
    NewAttempt,
    artifacts_of,
    create_attempt,
    want_stop,
)
from atelier_hub.engine.tokens import AttemptTokens
from atelier_hub.features.pipelines.spec import AttemptContext, build_spec
from atelier_hub.features.pipelines.store import (
    RunRow,
    SnapshotRow,
    append_log,
    load_log,
    move_run,
    move_step,
    note_start,
)

log = logging.getLogger(__name__)
KIND = "step"
_PENDING = "pending_run_states"


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
        remember: int = 1000,
    ) -> None:
        self._tokens = tokens
        self._reveal = reveal
        self._urls = urls
        self._most = remember
        self._lock = threading.Lock()
        self._states: OrderedDict[str, tuple[int, RunState]] = OrderedDict()

    # --- what the routes and the driver call, inside a transaction ---

    def feed(self, session: Session, run_id: str, event: Event, actor: str = "") -> list[str]:
        """Take `event` in; returns the attempts that the driver should look at now."""
        run = session.scalar(_locked(run_id))
        if run is None or State(run.state) in FINAL:
            return []
        before = self._state(session, run)
        after, commands = decide(before, event)
        if not commands:
            return []  # it came twice, or too late
        append_log(session, run, event)
        touched: list[str] = []
        for command in commands:
            touched += self._carry_out(session, run, after, command, event, actor)
        self._keep(session, run, after)
        return touched

    def lock(self, session: Session, attempt: Attempt) -> None:
        """Take the run before anything of it, as `feed` does: one order for all, so that nobody waits in a circle."""
        if session.get_bind().dialect.name != "sqlite":  # which has one writer at a time
            session.execute(_locked(attempt.subject))

    def moved(self, session: Session, attempt: Attempt, state: State, seen: Observation) -> None:
        """Show on the step what its attempt is doing."""
        move_step(session, attempt.subject, attempt.step, state, seen.reason, seen.message, attempt=attempt.number)

    def ended(self, session: Session, attempt: Attempt, seen: Observation) -> list[str]:
        """The attempt is over and nothing of it survives."""
        note_start(session, attempt.subject, attempt.step, seen.started_at)
        event = AttemptEnded(
            step=attempt.step,
            number=attempt.number,
            state=seen.state,
            reason=seen.reason,
            message=seen.message,
            exit_code=seen.exit_code,
            values=seen.values,
        )
        return self.feed(session, attempt.subject, event)

    def spec(self, session: Session, attempt: Attempt) -> Start:
        """What the attempt runs; secrets are read at this moment and kept nowhere else."""
        run = session.get_one(RunRow, attempt.subject)
        state = self._state(session, run)
        step = state.graph.steps[attempt.step]
        refs = [*(one.source for one in step.inputs.values()), *step.references.values()]
        sources = {ref.step for ref in refs}
        left = artifacts_of(session, run.id, sources)
        context = AttemptContext(
            attempt=attempt.id,
            run=run.id,
            project=run.project,
            owner=run.created_by,
            url=self._urls[attempt.backend],
            token=self._tokens.token(attempt.id, attempt.nonce),
            artifacts={(one.step, one.name): one.id for one in left if _counts(state, one)},
            values={name: state.steps[name].values for name in sources},
            secrets={name: self._reveal(session, run.project, name) for name in set(step.secrets.values())},
        )
        return Start(spec=build_spec(step, context))

    def code(self, session: Session, attempt: Attempt, digest: str) -> str:
        """Where a code archive of the step lies in the store: of a template, or of the run's snapshot."""
        run = session.get_one(RunRow, attempt.subject)
        step = self._state(session, run).graph.steps[attempt.step]
        if all(code.digest != digest for code in step.code):
            raise NotFound(f"This step has no code with digest {digest!r}.")
        snapshot = session.get(SnapshotRow, (run.project, digest))
        return snapshot.blob if snapshot is not None else digest

    def input(self, session: Session, attempt: Attempt, name: str) -> Artifact:
        """The artifact behind an input of the step."""
        run = session.get_one(RunRow, attempt.subject)
        state = self._state(session, run)
        plan = state.graph.steps[attempt.step].inputs.get(name)
        if plan is not None:
            for artifact in artifacts_of(session, run.id, {plan.source.step}):
                if artifact.name == plan.source.output and _counts(state, artifact):
                    return artifact
        raise NotFound(f"This step has no input {name!r}.")

    # --- inside ---

    def _state(self, session: Session, run: RunRow) -> RunState:
        known = _pending(session).get(run.id) or self._states.get(run.id)
        if known is not None and known[0] == run.log_length:
            return known[1]
        state = replay(Plan.model_validate_json(run.plan), load_log(session, run.id))
        if run.id not in _pending(session):
            self._remember(run.id, run.log_length, state)
        return state

    def _keep(self, session: Session, run: RunRow, state: RunState) -> None:
        """Remember the state as soon as the transaction is committed, and only then."""
        pending = _pending(session)
        if not pending:
            listen(session, "after_commit", self._remember_all, once=True)
        pending[run.id] = (run.log_length, state)

    def _remember_all(self, session: Session) -> None:
        for run, (length, state) in session.info.pop(_PENDING, {}).items():
            self._remember(run, length, state)

    def _remember(self, run: str, length: int, state: RunState) -> None:
        with self._lock:
            self._states.pop(run, None)
            if state.state not in FINAL:
                self._states[run] = (length, state)
            while len(self._states) > self._most:
                self._states.popitem(last=False)

    def _carry_out(
        self, session: Session, run: RunRow, state: RunState, command: Command, event: Event, actor: str
    ) -> list[str]:
        match command:
            case MoveStep():
                own = isinstance(event, AttemptEnded) and event.step == command.step
                more = {"exit_code": event.exit_code, "attempt": event.number} if own else {}  # type: ignore[union-attr]
                move_step(session, run.id, command.step, command.state, command.reason, command.message, **more)
            case StartAttempt():
                return [self._start(session, run, state, command)]
            case StopAttempt():
                attempt = attempt_id(run.id, command.step, command.number)
                want_stop(session, attempt, command.reason)
                return [attempt]
            case MoveRun():
                if command.state is State.STOPPING:
                    run.wanted = "stop"
                move_run(session, run, command.state, command.reason, command.message, actor)
        return []

    def _start(self, session: Session, run: RunRow, state: RunState, command: StartAttempt) -> str:
        step = state.graph.steps[command.step]
        new = NewAttempt(
            id=attempt_id(run.id, command.step, command.number),
            project=run.project,
            kind=KIND,
            subject=run.id,
            step=command.step,
            number=command.number,
            backend=run.backend,
            delay=command.delay,
            grace=step.grace,
            replicas=step.replicas,
        )
        create_attempt(session, new, self._tokens)
        return new.id


def _pending(session: Session) -> dict[str, tuple[int, RunState]]:
    pending: dict[str, tuple[int, RunState]] = session.info.setdefault(_PENDING, {})
    return pending


def _counts(state: RunState, artifact: Artifact) -> bool:
    """Only what the attempt that succeeded left is an input of others."""
    step = state.steps.get(artifact.step)
    return step is not None and artifact.attempt.endswith(f"-{step.attempt}")


def _locked(run: str) -> Select[RunRow]:
    """The run as it is once nobody else changes it, whatever this session read of it before."""
    return select(RunRow).where(RunRow.id == run).with_for_update().execution_options(populate_existing=True)
