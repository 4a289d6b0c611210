"""The one writer of the state of driven rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from atelier_core.states import Reason, State, check_move
from atelier_hub.db.base import Driven, now
from atelier_hub.db.events import emit

PAST_TENSE: dict[State, str] = {
    State.WAITING: "created",
    State.QUEUED: "queued",
    State.STARTING: "launched",
    State.RUNNING: "started",
    State.STOPPING: "stop_requested",
    State.DONE: "finished",
    State.FAILED: "failed",
    State.STOPPED: "stopped",
    State.SKIPPED: "skipped",
}


def move(
    session: Session,
    row: Driven,
    to: State,
    reason: str = Reason.NONE,
    message: str = "",
    *,
    actor: str = "",
    observed_at: datetime | None = None,
    data: Mapping[str, Any] | None = None,
) -> bool:
    """Bring `row` to state `to` and say so in the event log; an illegal move raises `Conflict`.

    The same state again with another reason or message is an update (event `….observed`); with nothing new, nothing
    happens. Returns whether something changed.
    """
    before = State(row.state)
    same = before == to
    if same and (row.reason, row.message) == (str(reason), message):
        return False
    if not same:
        check_move(before, to)
    row.state, row.reason, row.message = to, str(reason), message
    row.observed_at = observed_at or now()
    verb = "observed" if same else PAST_TENSE[to]
    detail = {"from": before.value, "state": to.value, "reason": str(reason), "message": message, **(data or {})}
    emit(session, f"{row.subject_kind}.{verb}", subject=str(row.id), project=row.project, actor=actor, data=detail)
    return True
