"""What people do with services: deploy, watch, scale, stop, start and delete them; `moving` is about their traffic."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from atelier_core import rollout
from atelier_core.errors import Conflict, Forbidden, Invalid, NotFound
from atelier_core.service import Definition, Stage
from atelier_core.service_view import Place, RevisionView, ServiceView
from atelier_core.states import State
from atelier_hub.artifacts.store import ArtifactStore
from atelier_hub.auth import Access
from atelier_hub.context import Settings
from atelier_hub.db import Database, now
from atelier_hub.features.projects import service as projects
from atelier_hub.features.serving import sources, store, views
from atelier_hub.features.serving.replicas import Replicas
from atelier_hub.features.serving.sources import ServingOffer
from atelier_hub.features.serving.store import RevisionRow, ServiceRow
from atelier_hub.features.serving.transition import Transition, move_service, say, wake
from atelier_hub.features.serving.views import Replica, Revision, Service, Stats
from atelier_hub.http.etag import check_version
from atelier_hub.http.paging import Page, Paging, fetch

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
APPROVE = "models:approve"


@dataclass(frozen=True)
class Parts:
    """What deploying needs of the control plane."""

    db: Database
    store: ArtifactStore
    settings: Settings
    offer: ServingOffer
    replicas: Replicas


@dataclass(frozen=True)
class NewDeployment:
    """What to deploy. The same `key` twice is one deployment."""

    definition: Definition
    key: str | None = None


def new_id(prefix: str) -> str:
    """A short random name that is a valid DNS label."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(10))


# --- deploying ---


def deploy(parts: Parts, access: Access, project: str, new: NewDeployment) -> Service:
    """Make a revision of the service, which is made where there is none, and begin its rollout.

    Models are looked into first: while that lasts, nobody waits to write.
    """
    definition = new.definition
    with parts.db.read() as session:
        known = _by_key(session, project, definition.name, new.key)
        if known is not None:
            return views.show(session, parts.settings, known)
        found = store.find_service(session, project, definition.name)
        number = _newest(session, found) + 1
        backend = definition.on or (found.backend if found else "") or _default(session, parts.offer, project)
        _check_backend(parts.offer, found, backend)
        source = sources.find_source(session, project, definition)
    _check_approved(access, definition, source)
    plan = sources.make_plan(parts.offer, parts.store, definition, source, number=number, backend=backend)
    revision = RevisionRow(
        number=number,
        definition=definition.model_dump(mode="json"),
        plan=plan.model_dump(mode="json"),
        source=source.name if source else _source_of(definition),
        state=State.STARTING,
        minimum=1 if definition.stage is Stage.DEBUG else definition.replicas.min,
        maximum=definition.most,
        idempotency_key=new.key,
        created_by=access.actor.name,
    )
    try:
        return _store(parts, access, project, backend, revision)
    except IntegrityError:
        with parts.db.read() as session:
            known = _by_key(session, project, definition.name, new.key)
            if known is not None:
                return views.show(session, parts.settings, known)
        raise Conflict(
            f"Something else was deployed to {definition.name!r} at the same moment.",
            code="busy",
            hint="Look at the service and deploy again if that is still wanted.",
        ) from None


def _source_of(definition: Definition) -> str:
    return f"repository:{definition.repository}" if definition.repository else f"image:{definition.image}"


def _store(parts: Parts, access: Access, project: str, backend: str, revision: RevisionRow) -> Service:
    definition = Definition.model_validate(revision.definition)
    with parts.db.write() as session:
        row = store.find_service(session, project, definition.name, lock=True)
        if _by_key(session, project, definition.name, revision.idempotency_key) is not None and row is not None:
            return views.show(session, parts.settings, row)  # the same call came twice, and the other was quicker
        if row is None:
            row = _new_service(session, access, project, definition.name, backend)
        elif row.wanted == "delete":
            raise Conflict(
                f"The service {row.name!r} is being deleted.", code="being_deleted", hint="Wait a moment, then deploy."
            )
        before = store.views(session, [row])[row.id]
        current = current_of(before, definition.stage)
        revision.service = row.id
        trial = definition.is_trial and current is not None and row.wanted == "run"
        revision.place = Place.CANARY if trial else Place.CURRENT
        revision.replicas = _beginning(definition, current, trial)
        session.add(revision)
        session.flush()
        say(session, row, "deployed", actor=access.actor.name, revision=revision.number, source=revision.source)
        _begin(session, parts, row, revision.number, access.actor.name)
        return views.show(session, parts.settings, row)


def _new_service(session: Session, access: Access, project: str, name: str, backend: str) -> ServiceRow:
    row = ServiceRow(
        id=new_id("s"),
        project=project,
        name=name,
        backend=backend,
        state=State.QUEUED,
        created_by=access.actor.name,
    )
    session.add(row)
    session.flush()
    say(session, row, "created", actor=access.actor.name)
    return row


def _beginning(definition: Definition, current: RevisionView | None, trial: bool) -> int:
    """As many replicas as do the work now, unless a part of it is tried first."""
    if current is None or trial:
        return definition.least
    return max(definition.least, min(current.replicas, definition.most))


def _begin(session: Session, parts: Parts, row: ServiceRow, number: int, actor: str) -> None:
    """The service is to run, with this revision being rolled out."""
    row.wanted, row.sleeping = "run", False
    row.changed_at, row.version = now(), row.version + 1
    if row.state in (State.STOPPED, State.STOPPING, State.FAILED):
        move_service(session, row, State.QUEUED, actor=actor)
    transition = Transition(session, row, parts.replicas, actor)
    transition.carry_out(rollout.begin(store.views(session, [row])[row.id], number))


def current_of(view: ServiceView, stage: Stage) -> RevisionView | None:
    """The revision that has the traffic of a stage."""
    return next((one for one in view.at(State.RUNNING, stage) if one.place is Place.CURRENT), None)


def _by_key(session: Session, project: str, name: str, key: str | None) -> ServiceRow | None:
    if key is None:
        return None
    query = select(ServiceRow).join(RevisionRow, RevisionRow.service == ServiceRow.id)
    return session.scalar(
        query.where(ServiceRow.project == project, ServiceRow.name == name, RevisionRow.idempotency_key == key)
    )


def _newest(session: Session, row: ServiceRow | None) -> int:
    found = store.revisions_of(session, row.id) if row is not None else []
    return found[-1].number if found else 0


def _default(session: Session, offer: ServingOffer, project: str) -> str:
    return projects.get(session, project).default_backend or offer.default_backend


def _check_backend(offer: ServingOffer, found: ServiceRow | None, backend: str) -> None:
    if backend not in offer.backends:
        names = ", ".join(sorted(offer.backends))
        raise Invalid(
            f"There is no back end {backend[:63]!r}.", code="unknown_backend", hint=f"Configured here: {names}."
        )
    if found is not None and found.backend != backend:
        raise Conflict(
            f"The service {found.name!r} is on {found.backend!r} and cannot move to {backend!r}.",
            code="other_backend",
            hint="Deploy it there under another name, or delete it first.",
        )


def _check_approved(access: Access, definition: Definition, source: sources.Source | None) -> None:
    if source is None or source.approved or definition.stage is not Stage.PRODUCTION or APPROVE in access.scopes:
        return
    raise Forbidden(
        f"{source.name} is not approved for production.",
        code="not_approved",
        hint="Deploy it with stage test, or ask a maintainer of the project to approve it.",
    )


# --- looking ---


def page(session: Session, settings: Settings, project: str, paging: Paging) -> Page[Service]:
    """The project's services by name."""
    query = select(ServiceRow).where(ServiceRow.project == project)
    found = fetch(session, query, [ServiceRow.name], paging, convert=lambda row: row)
    return Page(items=views.show_all(session, settings, found.items), next=found.next)


def get(session: Session, settings: Settings, project: str, name: str) -> Service:
    """One service."""
    return views.show(session, settings, find(session, project, name))


def find(session: Session, project: str, name: str, *, lock: bool = False) -> ServiceRow:
    """The row of a service."""
    row = store.find_service(session, project, name, lock=lock)
    if row is None:
        raise NotFound(
            f"There is no service {name[:100]!r} in project {project!r}.",
            code="no_service",
            hint="List them: atelier service list",
        )
    return row


def revision_page(session: Session, project: str, name: str, paging: Paging) -> Page[Revision]:
    """What was deployed, newest first."""
    row = find(session, project, name)
    query = select(RevisionRow).where(RevisionRow.service == row.id)
    return fetch(session, query, [RevisionRow.number], paging, convert=views.show_revision, descending=True)


def replicas(session: Session, project: str, name: str) -> list[Replica]:
    """The replicas of a service."""
    return views.replicas(session, find(session, project, name).id)


def stats(session: Session, project: str, name: str) -> Stats:
    """What the gateway counted."""
    return views.stats(session, find(session, project, name).id)


# --- changing ---


def revive(
    session: Session, parts: Parts, row: ServiceRow, target: RevisionView, current: RevisionView | None, actor: str
) -> None:
    """Roll an earlier revision out again; one whose replicas still run has its traffic at once."""
    if target.state is State.RUNNING:
        view = store.views(session, [row])[row.id]
        Transition(session, row, parts.replicas, actor).carry_out(rollout.promote(view, target))
        row.changed_at, row.version = now(), row.version + 1
        return
    found = store.get_revision(session, row.id, target.number)
    assert found is not None
    found.state, found.place, found.reason, found.message = State.STARTING, Place.CURRENT, "", ""
    found.began_at, found.weight = now(), 0.0
    found.replicas = _beginning(target.definition, current, False)
    say(session, row, "rollout_started", actor=actor, revision=target.number)
    session.flush()
    _begin(session, parts, row, target.number, actor)


def scale(
    session: Session,
    parts: Parts,
    access: Access,
    project: str,
    name: str,
    expected: str | None,
    minimum: int,
    maximum: int,
) -> Service:
    """Change how many replicas there are; the next deployment says anew how many it wants."""
    row, view = edited(session, project, name, expected)
    if minimum > maximum:
        raise Invalid("The smallest number is more than the largest.", code="bad_replicas")
    for one in view.revisions:
        if one.state in (State.STARTING, State.RUNNING) and one.definition.stage is not Stage.DEBUG:
            found = store.get_revision(session, row.id, one.number)
            assert found is not None
            found.minimum, found.maximum = minimum, maximum
            found.replicas = min(max(found.replicas, minimum, 1), maximum)
    if minimum > 0 and row.sleeping:
        wake(session, row)
    say(session, row, "scaled", actor=access.actor.name, minimum=minimum, maximum=maximum)
    session.flush()
    return views.show(session, parts.settings, row)


def stop(session: Session, parts: Parts, access: Access, project: str, name: str) -> Service:
    """End all replicas; the service can be started again."""
    row = find(session, project, name, lock=True)
    if row.wanted == "run":
        row.wanted = "stop"
        row.changed_at, row.version = now(), row.version + 1
        if row.state not in (State.STOPPED, State.STOPPING):
            move_service(session, row, State.STOPPING, "Cancelled", actor=access.actor.name)
    return views.show(session, parts.settings, row)


def start(session: Session, parts: Parts, access: Access, project: str, name: str) -> Service:
    """Run a stopped service again, with what served last; one that sleeps is woken."""
    row = find(session, project, name, lock=True)
    if row.wanted == "delete":
        raise Conflict(f"The service {row.name!r} is being deleted.", code="being_deleted")
    view = store.views(session, [row])[row.id]
    if row.wanted == "run" and (view.at(State.RUNNING) or view.at(State.STARTING)):
        wake(session, row)
    else:
        ready = [one for one in view.revisions if one.ready_at is not None]
        last = max(ready or view.revisions, key=lambda one: (one.ready_at or one.began_at, one.number))
        revive(session, parts, row, last, None, access.actor.name)
    return views.show(session, parts.settings, row)


def delete(session: Session, access: Access, project: str, name: str, expected: str | None) -> None:
    """End all replicas and forget the service; gone when nothing of it is left."""
    row = find(session, project, name, lock=True)
    check_version(expected, row.version)
    if row.wanted != "delete":
        row.wanted = "delete"
        row.version += 1
        say(session, row, "delete_requested", actor=access.actor.name)


def wake_up(session: Session, reference: str) -> None:
    """A request waits for the service `project/name`."""
    project, _, name = reference.partition("/")
    row = store.find_service(session, project, name, lock=True)
    if row is None or row.wanted != "run":
        raise NotFound(f"There is no service {reference[:100]!r} that could be woken.", code="no_service")
    wake(session, row)


def edited(session: Session, project: str, name: str, expected: str | None) -> tuple[ServiceRow, ServiceView]:
    """A running service that is being changed: its row, locked, and what is known of it."""
    row = find(session, project, name, lock=True)
    check_version(expected, row.version)
    if row.wanted != "run":
        raise Conflict(
            f"The service {row.name!r} is stopped.", code="stopped", hint=f"Start it: atelier service start {row.name}"
        )
    row.changed_at, row.version = now(), row.version + 1
    return row, store.views(session, [row])[row.id]
