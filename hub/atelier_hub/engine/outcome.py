"""How an attempt ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from atelier_core import json_values
from atelier_core.states import Cause, Reason, State, cause_of
from atelier_core.workload import Observation
from atelier_hub.engine.reports import ENGINE, Report, ReportRow
from atelier_hub.engine.store import Attempt

_ENDED_WITH_OTHERS = frozenset({Reason.CANCELLED, Reason.GONE})


def seen_as(
    attempt: Attempt, state: State, reason: Reason = Reason.NONE, message: str = "", exit_code: int | None = None
) -> Observation:
    """The attempt in a state, as the driver itself found it."""
    return Observation(workload=attempt.id, state=state, reason=reason, message=message, exit_code=exit_code)


def storable(seen: Observation) -> Observation:
    """What an engine saw, with what cannot be stored replaced; a step whose values cannot be kept has failed."""
    changes: dict[str, Any] = {"message": json_values.text(seen.message)}
    try:
        changes["values"] = json_values.storable(seen.values)
    except json_values.TooDeep as error:
        changes["values"] = {}
        if seen.state is State.DONE:
            changes |= {"state": State.FAILED, "reason": Reason.OUTPUT_MISSING, "message": unkept(error)}
    return seen.model_copy(update=changes)


def unkept(why: Exception) -> str:
    """What is said of a step whose values cannot be kept."""
    return f"The values in outputs.json cannot be kept: {why}."


def stopped(attempt: Attempt) -> Observation:
    """How an attempt ends that was asked to."""
    reason = attempt.stop_reason or Reason.CANCELLED
    if reason is Reason.DEADLINE_EXCEEDED:
        return seen_as(attempt, State.FAILED, reason, "The run took longer than its limit.")
    return seen_as(attempt, State.STOPPED, reason, "It was cancelled.")


def outcome_of(attempt: Attempt, reports: Sequence[Report], seen: Observation | None) -> Observation | None:
    """How the attempt ended, if it did; one that was asked to stop and did not succeed was stopped."""
    outcome = _shown(attempt, reports, seen)
    if outcome is not None and attempt.wanted == "stop" and outcome.state is not State.DONE:
        return stopped(attempt)
    return outcome


def is_lost(outcome: Observation) -> bool:
    """Whether nobody could say how it ended, so that something of it may still run."""
    return outcome.state is not State.DONE and cause_of(outcome.reason) is Cause.INFRASTRUCTURE


def grace_of(attempt: Attempt, outcome: Observation) -> float:
    """How long what is left of the attempt may take to end. What runs on a lost node nobody can ask; it hears from its
    own shim that it is over, and has its grace then."""
    return 0 if is_lost(outcome) and outcome.reason is not Reason.NODE_LOST else attempt.grace


def needs_removal(attempt: Attempt, outcome: Observation) -> bool:
    """Whether everything of the attempt must be removed before its end may be stored and the next attempt may come."""
    return is_lost(outcome) or (outcome.state is not State.DONE and attempt.replicas > 1)


def own_report(attempt: Attempt, outcome: Observation) -> ReportRow:
    """How the attempt ended as the engine found it, to be kept like a shim's report."""
    return ReportRow(
        attempt=attempt.id,
        replica=ENGINE,
        exit_code=outcome.exit_code,
        reason=outcome.reason,
        message=outcome.message,
        output_values={},
    )


def _shown(attempt: Attempt, reports: Sequence[Report], seen: Observation | None) -> Observation | None:
    """By its shims' reports, else by what the engine shows."""
    failed = [one for one in reports if one.exit_code != 0 or one.reason]
    # What the engine decided stands; replicas that were ended because another one failed are a consequence.
    bad = min(failed, key=lambda one: (one.replica != ENGINE, one.reason in _ENDED_WITH_OTHERS), default=None)
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
