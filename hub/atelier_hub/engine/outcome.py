"""How an attempt ended."""

from __future__ import annotations

from collections.abc import Sequence

from atelier_core.states import Reason, State
from atelier_core.workload import Observation
from atelier_hub.engine.store import Attempt, Report


def seen_as(
    attempt: Attempt, state: State, reason: Reason = Reason.NONE, message: str = "", exit_code: int | None = None
) -> Observation:
    """The attempt in a state, as the driver itself found it."""
    return Observation(workload=attempt.id, state=state, reason=reason, message=message, exit_code=exit_code)


def stopped(attempt: Attempt) -> Observation:
    """How an attempt ends that was asked to."""
    reason = attempt.stop_reason or Reason.CANCELLED
    if reason is Reason.DEADLINE_EXCEEDED:
        return seen_as(attempt, State.FAILED, reason, "The run took longer than its limit.")
    return seen_as(attempt, State.STOPPED, reason, "It was cancelled.")


def outcome_of(attempt: Attempt, reports: Sequence[Report], seen: Observation | None) -> Observation | None:
    """How the attempt ended, if it did: by its shims' reports, else by what the engine shows."""
    bad = next((one for one in reports if one.exit_code != 0 or one.reason), None)
    if bad is not None:
        reason = bad.reason or Reason.EXIT_CODE
        message = bad.message or f"The command ended with code {bad.exit_code}."
        return seen_as(attempt, State.FAILED, reason, message, bad.exit_code)
    if len(reports) >= attempt.replicas:
        values = {name: value for one in reports for name, value in one.values.items()}
        return seen_as(attempt, State.DONE, exit_code=0).model_copy(update={"values": values})
    if seen is None or not seen.final:
        return None
    if seen.state is State.DONE and not seen.reported:
        text = "It ended without a report of its shim; its outputs may not be stored."
        return seen_as(attempt, State.FAILED, Reason.SHIM_LOST, text)
    return seen
