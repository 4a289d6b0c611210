"""What people see of services."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from atelier_core.states import FINAL, State
from atelier_hub.context import Settings
from atelier_hub.db import now
from atelier_hub.features.serving import figures, store
from atelier_hub.features.serving.figures import Figures
from atelier_hub.features.serving.store import RevisionRow, ServiceRow

_WINDOWS = {"minute": 60, "hour": store.KEPT_SECONDS}


class Traffic(BaseModel):
    """What a revision gets: `place` is current, canary or standby, `weight` its share in percent."""

    revision: int
    stage: str
    place: str
    weight: float
    mirror: float
    replicas: int
    ready: int


class Service(BaseModel):
    """A service. `revision` is the one that serves, `newest` the one deployed last, `rolling` one that comes just now.

    `url` is where it is called: a path below the hub's address where the platform does not know its own. `batch_url`
    takes whole files of rows.
    """

    id: str
    name: str
    project: str
    on: str
    state: State
    reason: str
    message: str
    sleeping: bool
    public: bool
    description: str
    source: str
    revision: int
    newest: int
    rolling: int | None
    traffic: list[Traffic]
    url: str
    model_url: str
    batch_url: str
    created_at: datetime
    created_by: str
    changed_at: datetime
    version: int


class Revision(BaseModel):
    """What was deployed once."""

    number: int
    state: State
    reason: str
    message: str
    place: str
    weight: float
    replicas: int
    minimum: int
    maximum: int
    source: str
    image: str
    definition: dict[str, Any]
    created_at: datetime
    created_by: str
    ready_at: datetime | None


class Replica(BaseModel):
    """One process of a revision; `words` are the last lines of one that failed."""

    id: str
    revision: int
    number: int
    state: State
    reason: str
    message: str
    ready: bool
    draining: bool
    words: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class Rates(BaseModel):
    """What came in some time: requests per second, share of errors, seconds within which so many were answered."""

    requests: int
    rate: float
    errors: int
    error_rate: float
    p50: float
    p90: float
    p99: float
    bytes_in: int
    bytes_out: int


class Piece(BaseModel):
    """What came in a minute from `at`."""

    at: datetime
    requests: int
    errors: int
    p50: float
    p99: float


class RevisionStats(BaseModel):
    """One revision in the last minute, in the last hour, and minute by minute."""

    revision: int
    minute: Rates
    hour: Rates
    minutes: list[Piece]


class Stats(BaseModel):
    """What the gateway counted for a service in the last hour; nothing is counted for revisions that nobody called."""

    revisions: list[RevisionStats]


def show(session: Session, settings: Settings, row: ServiceRow) -> Service:
    """A service as its project sees it."""
    return show_all(session, settings, [row])[0]


def show_all(session: Session, settings: Settings, rows: list[ServiceRow]) -> list[Service]:
    """Several services."""
    ids = [row.id for row in rows]
    revisions: dict[str, list[RevisionRow]] = {id: [] for id in ids}
    query = select(RevisionRow).where(RevisionRow.service.in_(ids)).order_by(RevisionRow.number)
    for one in session.scalars(query):
        revisions[one.service].append(one)
    ready: dict[tuple[str, int], int] = {}
    for replica, attempt in store.replicas_of(session, ids, now() - timedelta(hours=1)):
        if replica.ready and replica.drain_until is None and State(attempt.state) not in FINAL:
            ready[replica.service, replica.revision] = ready.get((replica.service, replica.revision), 0) + 1
    return [_service(settings, row, revisions[row.id], ready) for row in rows]


def _service(
    settings: Settings, row: ServiceRow, revisions: list[RevisionRow], ready: dict[tuple[str, int], int]
) -> Service:
    shown = [one for one in revisions if one.state in (State.STARTING, State.RUNNING)]
    main = main_revision(revisions)
    url = f"{settings.gateway_public_url}/s/{row.project}/{row.name}"
    definition = main.definition
    served = not definition["command"] and bool(main.plan["code"])
    return Service(
        **{name: getattr(row, name) for name in _PLAIN},
        on=row.backend,
        state=State(row.state),
        public=definition["public"],
        description=definition["description"],
        source=main.source,
        revision=main.number,
        newest=revisions[-1].number,
        rolling=next((one.number for one in reversed(shown) if one.state == State.STARTING), None),
        traffic=[_traffic(one, ready.get((row.id, one.number), 0)) for one in shown],
        url=url,
        model_url=f"{url}/v2/models/{row.name}" if served else "",
        batch_url=f"{settings.gateway_public_url}/batch/{row.project}/{row.name}" if served else "",
    )


def main_revision(revisions: list[RevisionRow]) -> RevisionRow:
    """Whose definition the service has, of all its revisions."""
    shown = [one for one in revisions if one.state in (State.STARTING, State.RUNNING)]
    return _main(shown) or (shown or revisions)[-1]


def _main(shown: list[RevisionRow]) -> RevisionRow | None:
    """Whose definition the service has: the current one for production, else for another stage."""
    current = [one for one in shown if one.state == State.RUNNING and one.place == "current"]
    return min(current, key=lambda one: one.definition["stage"] != "production", default=None)


_PLAIN = (
    *("id", "name", "project", "reason", "message", "sleeping"),
    *("created_at", "created_by", "changed_at", "version"),
)


def _traffic(one: RevisionRow, ready: int) -> Traffic:
    return Traffic(
        revision=one.number,
        stage=one.definition["stage"],
        place=one.place,
        weight=one.weight if one.state == State.RUNNING else 0,
        mirror=one.definition["mirror"] if one.place == "canary" else 0,
        replicas=one.replicas,
        ready=ready,
    )


def show_revision(row: RevisionRow) -> Revision:
    """A revision with its definition."""
    plain = ("number", "reason", "message", "place", "weight", "replicas", "minimum", "maximum", "source")
    times = ("definition", "created_at", "created_by", "ready_at")
    fields = {name: getattr(row, name) for name in (*plain, *times)}
    return Revision(**fields, state=State(row.state), image=row.plan["image"])


def replicas(session: Session, service: str) -> list[Replica]:
    """The replicas of a service, the newest of each revision first; those that ended stay for an hour."""
    found = [
        Replica(
            id=replica.attempt,
            revision=replica.revision,
            number=attempt.number,
            state=State(attempt.state),
            reason=attempt.reason,
            message=attempt.message,
            ready=replica.ready and State(attempt.state) not in FINAL,
            draining=replica.drain_until is not None and State(attempt.state) not in FINAL,
            words=replica.words or "",
            created_at=attempt.created_at,
            started_at=attempt.started_at,
            ended_at=attempt.ended_at,
        )
        for replica, attempt in store.replicas_of(session, [service], now() - timedelta(hours=1))
    ]
    return sorted(found, key=lambda one: (-one.revision, -one.number))


def stats(session: Session, service: str) -> Stats:
    """What the gateway counted in the last hour."""
    moment = now()
    kept = figures.pieces(session, service, moment - timedelta(seconds=store.KEPT_SECONDS))
    numbers = sorted({number for number, _, _ in kept}, reverse=True)
    return Stats(revisions=[_of_revision(number, kept, moment) for number in numbers])


def _of_revision(number: int, kept: list[tuple[int, int, Figures]], moment: datetime) -> RevisionStats:
    own = [(at, one) for revision, at, one in kept if revision == number]
    minutes: dict[int, Figures] = {}
    for at, one in own:
        minutes[at // 60 * 60] = minutes.get(at // 60 * 60, Figures()).plus(one)
    rates = {}
    for name, length in _WINDOWS.items():
        since = moment.timestamp() - length - store.BUCKET_SECONDS
        rates[name] = _rates(figures.total(one for at, one in own if at > since), length)
    pieces = [
        Piece(
            at=datetime.fromtimestamp(at, moment.tzinfo),
            requests=one.requests,
            errors=one.errors,
            p50=one.percentile(0.5),
            p99=one.percentile(0.99),
        )
        for at, one in sorted(minutes.items())
    ]
    return RevisionStats(revision=number, minutes=pieces, **rates)


def _rates(one: Figures, seconds: int) -> Rates:
    return Rates(
        requests=one.requests,
        rate=round(one.requests / seconds, 3),
        errors=one.errors,
        error_rate=round(one.error_rate, 5),
        p50=one.percentile(0.5),
        p90=one.percentile(0.9),
        p99=one.percentile(0.99),
        bytes_in=one.bytes_in,
        bytes_out=one.bytes_out,
    )
