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
_READ = ("id", "project", "state", "reason", "message")


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
    before = {name: getattr(row, name) for name in _READ}
    changes = moved_columns(
        session, type(row), before, to, reason, message, actor=actor, observed_at=observed_at, data=data
    )
    for name, value in changes.items():
        setattr(row, name, value)
    return bool(changes)


def moved_columns(
    session: Session,
    kind: type[Driven],
    before: Mapping[str, Any],
    to: State,
    reason: str = Reason.NONE,
    message: str = "",
    *,
    actor: str = "",
    observed_at: datetime | None = None,
    data: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """`move` for a plain row: what the caller must write into it in this transaction; nothing if nothing is new.

    `before` is the row as it stands (`id`, `project`, `state`, `reason`, `message`).
    """
    state = State(before["state"])
    same = state == to
    if same and (before["reason"], before["message"]) == (str(reason), message):
        return {}
    if not same:
        check_move(state, to)
    verb = "observed" if same else PAST_TENSE[to]
    detail = {"from": state.value, "state": to.value, "reason": str(reason), "message": message, **(data or {})}
    emit(
        session,
        f"{kind.subject_kind}.{verb}",
        subject=str(before["id"]),
        project=before["project"],
        actor=actor,
        data=detail,
    )
    return {"state": to, "reason": str(reason), "message": message, "observed_at": observed_at or now()}
