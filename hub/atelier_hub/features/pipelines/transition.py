"""What a decision means for the rows: carried out in the transaction that stores its event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from atelier_core.errors import AtelierError
from atelier_core.names import attempt_id
from atelier_core.pipeline.run import (
    AttemptEnded,
    Command,
    Event,
    MoveRun,
    MoveStep,
    RunState,
    StartAttempt,
    StopAttempt,
)
from atelier_core.states import Reason, State
from atelier_core.workload import WorkloadSpec
from atelier_hub.engine.owner import Ready, Touched
from atelier_hub.engine.store import Attempt, NewAttempt, draft_attempt, insert_attempts, open_attempts, want_stop
from atelier_hub.engine.tokens import AttemptTokens
from atelier_hub.features.pipelines.store import RunHead, StepMoves, append_log, change_run, move_run, open_steps

KIND = "step"

BuildSpec = Callable[[Session, RunHead, RunState, Attempt], WorkloadSpec]


def give_up(session: Session, run: RunHead, message: str) -> Touched:
    """End a run that nothing can be decided about any more: its steps fail, and what runs of it is ended."""
    steps = open_steps(session, run.id)
    moves = StepMoves(session, run.id, steps)
    for step, state in steps.items():
        waits = state is State.WAITING
        reason = Reason.UPSTREAM_FAILED if waits else Reason.BAD_SPEC
        moves.move(step, State.SKIPPED if waits else State.FAILED, reason, message)
    moves.write()
    running = open_attempts(session, run.id)
    for attempt in running:
        want_stop(session, attempt, Reason.CANCELLED)
    change_run(session, run.id, move_run(session, run, State.FAILED, Reason.BAD_SPEC, message))
    return Touched(running)


class Transition:
    """One event of a run on its way into the rows.

    `state` is what the run comes to by it, `began` when the command began whose attempt ended.
    """

    def __init__(
        self,
        session: Session,
        run: RunHead,
        state: RunState,
        event: Event,
        *,
        tokens: AttemptTokens,
        actor: str = "",
        began: datetime | None = None,
    ) -> None:
        self._session = session
        self._run = run
        self._state = state
        self._event = event
        self._tokens = tokens
        self._actor = actor
        self._began = began
        self._changes: dict[str, Any] = {"log_length": run.log_length + 1}
        self._stops: list[str] = []
        self._starts: list[StartAttempt] = []

    def carry_out(self, commands: Sequence[Command], build: BuildSpec, ahead: int = 0) -> Touched:
        """Store the event and do what was decided; up to `ahead` attempts are saved as starting at once."""
        session, run = self._session, self._run
        append_log(session, run.id, run.log_length + 1, self._event)
        steps = {one.step for one in commands if isinstance(one, MoveStep | StartAttempt)}
        moves = StepMoves(session, run.id, steps)
        for command in commands:
            self._note(command, moves)
        drafts = [self._draft(command) for command in self._starts]
        ready = self._specs([one for one in drafts if one.not_before is None][:ahead], build)
        attempts = {
            one.id: one for one in insert_attempts(session, drafts, self._tokens, {one.attempt.id for one in ready})
        }
        for one in ready:
            moves.move(one.attempt.step, State.STARTING, attempt=one.attempt.number)
        moves.write()
        change_run(session, run.id, self._changes)
        return Touched([*self._stops, *attempts], [Ready(attempts[one.attempt.id], one.spec) for one in ready])

    def _note(self, command: Command, moves: StepMoves) -> None:
        match command:
            case MoveStep():
                moves.move(command.step, command.state, command.reason, command.message, **self._end_of(command.step))
            case StartAttempt():
                self._starts.append(command)
            case StopAttempt():
                attempt = attempt_id(self._run.id, command.step, command.number)
                want_stop(self._session, attempt, command.reason)
                self._stops.append(attempt)
            case MoveRun():
                self._changes |= move_run(
                    self._session, self._run, command.state, command.reason, command.message, self._actor
                )
                self._run = replace(self._run, state=command.state, reason=str(command.reason), message=command.message)

    def _end_of(self, step: str) -> dict[str, Any]:
        """What else to write into the row of the step whose attempt ended."""
        event = self._event
        if not isinstance(event, AttemptEnded) or event.step != step:
            return {}
        return {"exit_code": event.exit_code, "attempt": event.number, "started_at": self._began}

    def _draft(self, command: StartAttempt) -> Attempt:
        step = self._state.graph.steps[command.step]
        new = NewAttempt(
            id=attempt_id(self._run.id, command.step, command.number),
            project=self._run.project,
            kind=KIND,
            subject=self._run.id,
            step=command.step,
            number=command.number,
            backend=self._run.backend,
            delay=command.delay,
            grace=step.grace,
            replicas=step.replicas,
        )
        return draft_attempt(new)

    def _specs(self, drafts: Sequence[Attempt], build: BuildSpec) -> list[Ready]:
        found = []
        for attempt in drafts:
            # One that cannot be built is looked at again by the driver, which ends it.
            with suppress(AtelierError):
                found.append(Ready(attempt, build(self._session, self._run, self._state, attempt)))
        return found
