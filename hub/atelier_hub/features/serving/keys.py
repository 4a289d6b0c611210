"""Keys with which services are called. Only their hashes are kept; the gateway checks them by itself."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from atelier_core.errors import Conflict, Invalid, NotFound
from atelier_hub.auth import Actor, digest
from atelier_hub.db import emit, now
from atelier_hub.features.serving import service
from atelier_hub.features.serving.store import KeyRow
from atelier_hub.http.paging import Page, Paging, fetch

PREFIX = "atk_"
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)  # later ones are no time in every zone
MOST = 500  # of a project: the gateway is told of every key of everybody each time


class ServiceKey(BaseModel):
    """A key; `services` are those that it opens, none means all of the project."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    services: list[str]
    expires_at: datetime | None
    created_at: datetime
    created_by: str


class NewServiceKey(ServiceKey):
    """A key that was just made: its `secret` is shown this once."""

    secret: str


def create(
    session: Session, actor: Actor, project: str, name: str, services: Sequence[str], expires_at: datetime | None
) -> NewServiceKey:
    """Make a key."""
    if expires_at is not None and not now() < expires_at < _LATEST:
        raise Invalid(
            f"The key must expire between now and the year {_LATEST.year}.",
            code="bad_expiry",
            hint="Name a time to come, or none: then it does not expire.",
        )
    if (session.scalar(select(func.count()).where(KeyRow.project == project)) or 0) >= MOST:
        raise Conflict(
            f"The project {project!r} has {MOST} keys already.",
            code="too_many_keys",
            hint="Revoke those that nobody uses, then make this one.",
        )
    for one in services:
        service.find(session, project, one)
    secret = PREFIX + secrets.token_urlsafe(32)
    row = KeyRow(
        id=service.new_id("k"),
        project=project,
        name=name,
        sha256=digest(secret),
        services=sorted(set(services)),
        expires_at=expires_at,
        created_by=actor.name,
    )
    session.add(row)
    session.flush()
    data = {"name": name, "services": row.services}
    emit(session, "service_key.created", subject=row.id, project=project, actor=actor.name, data=data)
    return NewServiceKey(**ServiceKey.model_validate(row).model_dump(), secret=secret)


def page(session: Session, project: str, paging: Paging) -> Page[ServiceKey]:
    """The project's keys."""
    query = select(KeyRow).where(KeyRow.project == project)
    return fetch(session, query, [KeyRow.id], paging, convert=ServiceKey.model_validate)


def revoke(session: Session, actor: Actor, project: str, key: str) -> None:
    """Make a key worthless, as soon as the gateway hears of it."""
    row = session.get(KeyRow, key, with_for_update=True)
    if row is None or row.project != project:
        raise NotFound(f"There is no key {key[:40]!r} in project {project!r}.", code="no_key")
    session.delete(row)
    emit(session, "service_key.revoked", subject=key, project=project, actor=actor.name, data={"name": row.name})
