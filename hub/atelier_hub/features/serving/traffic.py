"""The routes that the gateway should have, made from the database each time and numbered when they change."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from atelier_core.errors import Unauthorized
from atelier_core.routing import Key, Replica, Routes, ServiceRoute, Target
from atelier_core.service import Stage
from atelier_core.service_view import Place, RevisionView, ServiceView
from atelier_core.states import State
from atelier_hub.auth import digest
from atelier_hub.db import now
from atelier_hub.features.serving.store import KeyRow, RoutesRow

log = logging.getLogger(__name__)

REVISION_HEADER = "X-Atelier-Revision"
STAGE_HEADER = "X-Atelier-Stage"
_ROW = 1


def build(session: Session, services: Mapping[str, ServiceView]) -> Routes:
    """All routes of the services (by `project/name`) and all keys that are good now, without a number yet."""
    keys = [_key(row) for row in session.scalars(select(KeyRow).order_by(KeyRow.id)) if _is_good(row)]
    routes = {name: _route_safely(name, view) for name, view in sorted(services.items()) if view.wanted == "run"}
    return Routes(generation=0, services={name: one for name, one in routes.items() if one}, keys=tuple(keys))


def find_key(session: Session, token: str) -> Key:
    """The key with this secret, for a gateway that was not told of it yet."""
    row = session.scalar(select(KeyRow).where(KeyRow.sha256 == digest(token)))
    if row is None or not _is_good(row):
        raise Unauthorized("This service key does not exist, or is not valid any more.")
    return _key(row)


def _key(row: KeyRow) -> Key:
    return Key(
        id=row.id, sha256=row.sha256, project=row.project, services=tuple(row.services), expires_at=row.expires_at
    )


def _is_good(row: KeyRow) -> bool:
    return row.expires_at is None or row.expires_at > now()


def _route_safely(name: str, view: ServiceView) -> ServiceRoute | None:
    """One that cannot be said to the gateway keeps it from hearing of no other."""
    try:
        return route(view)
    except ValidationError:
        log.exception("Service %s has no valid route", name)
        return None


def route(view: ServiceView) -> ServiceRoute | None:
    """Where the requests of a service go; None where there is nothing that could ever answer."""
    found = view.main or next(iter(view.at(State.STARTING)), None)
    if found is None:
        return None
    main = found.definition
    return ServiceRoute(
        targets=tuple(_target(one) for one in view.at(State.RUNNING)),
        public=main.public,
        sleeping=view.sleeping,
        limits=main.limits,
        allow=main.allow,
        log=main.log,
    )


def _target(one: RevisionView) -> Target:
    definition = one.definition
    headers, cookies = {REVISION_HEADER: str(one.number)}, {}
    trial = one.place is Place.CANARY
    if definition.stage is not Stage.PRODUCTION:
        headers[STAGE_HEADER] = definition.stage.value
    if trial and definition.canary is not None:
        headers |= definition.canary.header
        cookies = definition.canary.cookie
    return Target(
        revision=one.number,
        weight=one.weight if definition.stage is Stage.PRODUCTION else 0,
        headers=headers,
        cookies=cookies,
        mirror=definition.mirror if trial else 0,
        replicas=_replicas(one),
    )


def _replicas(one: RevisionView) -> tuple[Replica, ...]:
    ready = [each for each in one.ready if each.url]
    return tuple(Replica(id=each.attempt, url=each.url) for each in ready)


def number(session: Session, routes: Routes, known: int) -> Routes:
    """The routes with their number: that of before if nothing changed. `known` is what the gateway has.

    A gateway may know a higher number than we do: our database came back from a backup.
    """
    text = json.dumps(routes.model_dump(mode="json", exclude={"generation"}), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    row = session.get(RoutesRow, _ROW, with_for_update=True)
    if row is None:
        row = RoutesRow(id=_ROW, generation=0, sha256="")
        session.add(row)
    if row.sha256 != digest or row.generation < known:
        row.generation, row.sha256 = max(row.generation, known) + 1, digest
    return routes.model_copy(update={"generation": row.generation})


def is_numbered(session: Session, routes: Routes, known: int) -> int:
    """The number that these routes have already; 0 if they need a new one. Nothing is written."""
    text = json.dumps(routes.model_dump(mode="json", exclude={"generation"}), sort_keys=True)
    row = session.get(RoutesRow, _ROW)
    same = row is not None and row.sha256 == hashlib.sha256(text.encode()).hexdigest() and row.generation >= known
    return row.generation if row is not None and same else 0
