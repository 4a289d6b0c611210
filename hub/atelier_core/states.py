"""Few states, many reasons. The tables here are the only place that says what may follow what."""

from __future__ import annotations

from enum import StrEnum

from atelier_core.errors import Conflict


class State(StrEnum):
    """Where a driven thing (run, step, attempt, service) is."""

    WAITING = "waiting"  # steps only: something it needs has not finished
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    SKIPPED = "skipped"  # steps only: what it needs did not succeed


FINAL = frozenset({State.DONE, State.FAILED, State.STOPPED, State.SKIPPED})

_ENDS = frozenset({State.DONE, State.FAILED, State.STOPPED})
MOVES: dict[State, frozenset[State]] = {
    State.WAITING: frozenset({State.QUEUED, State.SKIPPED, State.STOPPED}),
    State.QUEUED: frozenset({State.STARTING, State.RUNNING, State.STOPPING}) | _ENDS,
    State.STARTING: frozenset({State.RUNNING, State.STOPPING, State.QUEUED}) | _ENDS,
    State.RUNNING: frozenset({State.STOPPING, State.QUEUED}) | _ENDS,
    State.STOPPING: _ENDS,
    State.DONE: frozenset(),
    State.FAILED: frozenset(),
    State.STOPPED: frozenset(),
    State.SKIPPED: frozenset(),
}


def check_move(before: State, after: State) -> None:
    """Refuse a move that the table does not list."""
    if after not in MOVES[before]:
        raise Conflict(f"It is {before}; it cannot become {after}.", code="illegal_move")


class Cause(StrEnum):
    """Whose fault a failure is; decides whether it is tried again."""

    USER = "user"
    INFRASTRUCTURE = "infrastructure"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


class Reason(StrEnum):
    """Why something is in its state."""

    NONE = ""
    # user
    EXIT_CODE = "ExitCode"
    OUTPUT_MISSING = "OutputMissing"
    OOM_KILLED = "OOMKilled"
    COMMAND_NOT_FOUND = "CommandNotFound"
    IMAGE_PULL = "ImagePull"
    BAD_SPEC = "BadSpec"
    UPSTREAM_FAILED = "UpstreamFailed"
    # infrastructure
    SHIM_LOST = "ShimLost"
    NODE_LOST = "NodeLost"
    EVICTED = "Evicted"
    START_FAILED = "StartFailed"
    INPUT_UNAVAILABLE = "InputUnavailable"
    OUTPUT_UNSTORED = "OutputUnstored"
    GONE = "Gone"
    # timeout
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    # while it waits: not a failure yet
    UNSCHEDULABLE = "Unschedulable"
    WAITING_FOR_SLOT = "WaitingForSlot"
    PREPARING_ENVIRONMENT = "PreparingEnvironment"
    PULLING_IMAGE = "PullingImage"
    QUOTA = "Quota"
    RETRYING = "Retrying"
    BACKEND_UNAVAILABLE = "BackendUnavailable"
    # by request
    CANCELLED = "Cancelled"


_INFRASTRUCTURE = frozenset(
    {
        Reason.SHIM_LOST,
        Reason.NODE_LOST,
        Reason.EVICTED,
        Reason.START_FAILED,
        Reason.INPUT_UNAVAILABLE,
        Reason.OUTPUT_UNSTORED,
        Reason.GONE,
    }
)


def cause_of(reason: Reason) -> Cause:
    """Whose fault `reason` is."""
    if reason in _INFRASTRUCTURE:
        return Cause.INFRASTRUCTURE
    if reason is Reason.DEADLINE_EXCEEDED:
        return Cause.TIMEOUT
    if reason is Reason.CANCELLED:
        return Cause.CANCELLED
    return Cause.USER
