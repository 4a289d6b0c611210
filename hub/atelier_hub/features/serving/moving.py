"""What people do with the traffic of a service: give revisions their shares, end a trial, go back to an earlier one."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from atelier_core import rollout
from atelier_core.errors import Conflict, Invalid, NotFound
from atelier_core.rollout import Command, MoveRevision
from atelier_core.service import Stage
from atelier_core.service_view import Place, RevisionView, ServiceView
from atelier_core.states import State
from atelier_hub.auth import Access
from atelier_hub.db import now
from atelier_hub.features.serving import service, store, views
from atelier_hub.features.serving.service import Parts
from atelier_hub.features.serving.transition import Transition
from atelier_hub.features.serving.views import Service


def set_traffic(
    session: Session,
    parts: Parts,
    access: Access,
    project: str,
    name: str,
    expected: str | None,
    shares: Mapping[int, float],
) -> Service:
    """Give running revisions their shares; who gets everything is current from now on."""
    row, view = service.edited(session, project, name, expected)
    running = {one.number: one for one in view.at(State.RUNNING, Stage.PRODUCTION)}
    missing = sorted(set(shares) - set(running))
    if missing:
        raise Conflict(
            f"Revision {missing[0]} does not run, so it cannot get traffic.",
            code="not_running",
            hint=f"Running: {', '.join(map(str, running)) or 'none'}. Others: atelier service rollback {name} --to N",
        )
    if abs(sum(shares.values()) - 100) > 0.01:
        raise Invalid("The shares do not add up to 100.", code="bad_shares", hint="For example: 2=90 3=10.")
    whole = next((number for number, share in shares.items() if share >= 100), None)
    commands: list[Command] = rollout.promote(view, running[whole]) if whole is not None else []
    if whole is None:
        current = service.current_of(view, Stage.PRODUCTION)
        commands += [
            MoveRevision(number, State.RUNNING, _place(one, current), shares.get(number, 0))
            for number, one in running.items()
        ]
    Transition(session, row, parts.replicas, access.actor.name).carry_out(commands)
    return views.show(session, parts.settings, row)


def _place(one: RevisionView, current: RevisionView | None) -> Place:
    return Place.CURRENT if current is not None and one.number == current.number else Place.CANARY


def roll_back(session: Session, parts: Parts, access: Access, project: str, name: str, number: int | None) -> Service:
    """Away from a trial, or back to an earlier revision."""
    row = service.find(session, project, name, lock=True)
    view = store.views(session, [row])[row.id]
    current = service.current_of(view, Stage.PRODUCTION)
    trials = [one for one in view.at(State.RUNNING, Stage.PRODUCTION) if one.place is Place.CANARY]
    actor = access.actor.name
    if number is None and trials and current is not None:
        commands = _end_trial(trials[-1], current, actor)
        Transition(session, row, parts.replicas, actor).carry_out(commands)
        row.changed_at, row.version = now(), row.version + 1
        return views.show(session, parts.settings, row)
    target = _earlier(view, current, number)
    service.revive(session, parts, row, target, current, actor)
    return views.show(session, parts.settings, row)


def _end_trial(trial: RevisionView, current: RevisionView, actor: str) -> list[Command]:
    text = f"{actor} went back to revision {current.number}."
    return [
        MoveRevision(trial.number, State.STOPPING, trial.place, 0, rollout.ROLLED_BACK, text),
        MoveRevision(current.number, State.RUNNING, Place.CURRENT, 100),
    ]


def _earlier(view: ServiceView, current: RevisionView | None, number: int | None) -> RevisionView:
    """The revision to go back to."""
    production = [one for one in view.revisions if one.definition.stage is Stage.PRODUCTION]
    good = [one for one in production if one.ready_at is not None and one.reason != rollout.ROLLED_BACK]
    if number is None:
        before = [one for one in good if current is None or one.number < current.number]
        if not before:
            raise Conflict(
                "There is no earlier revision that was ever ready.",
                code="nothing_before",
                hint="Name one (atelier service rollback NAME --to NUMBER), or deploy again.",
            )
        return before[-1]
    found = next((one for one in production if one.number == number), None)
    if found is None:
        raise NotFound(f"There is no revision {number} for production.", code="no_revision")
    if current is not None and found.number == current.number:
        raise Conflict(f"Revision {number} is the one that serves.", code="is_current", hint="Name another one.")
    return found
