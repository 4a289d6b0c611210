"""What the gateway counts, kept for an hour in pieces of some seconds; how loaded revisions are, and how they do."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from atelier_core import scaling
from atelier_core.routing import LATENCY_BOUNDS, GatewayStats, TargetStats
from atelier_core.service import Stage
from atelier_core.service_view import Place, RevisionView, ServiceView
from atelier_core.states import State
from atelier_hub.features.serving import store
from atelier_hub.features.serving.store import BUCKET_SECONDS, CountRow, FigureRow

_BUCKETS = len(LATENCY_BOUNDS) + 1


class Figures(NamedTuple):
    """What came in some time."""

    requests: int = 0
    errors: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    latency: tuple[int, ...] = (0,) * _BUCKETS

    def plus(self, other: Figures) -> Figures:
        """Both together."""
        return Figures(
            requests=self.requests + other.requests,
            errors=self.errors + other.errors,
            bytes_in=self.bytes_in + other.bytes_in,
            bytes_out=self.bytes_out + other.bytes_out,
            latency=tuple(a + b for a, b in zip(self.latency, other.latency, strict=True)),
        )

    def minus(self, other: Figures) -> Figures:
        """What came since `other`."""
        return Figures(
            requests=self.requests - other.requests,
            errors=self.errors - other.errors,
            bytes_in=self.bytes_in - other.bytes_in,
            bytes_out=self.bytes_out - other.bytes_out,
            latency=tuple(a - b for a, b in zip(self.latency, other.latency, strict=True)),
        )

    @property
    def error_rate(self) -> float:
        """The share of requests that failed."""
        return self.errors / self.requests if self.requests else 0.0

    def percentile(self, share: float) -> float:
        """Seconds within which this share of the answers came, by the upper bound of its class."""
        total = sum(self.latency)
        if not total:
            return 0.0
        seen = 0
        for count, bound in zip(self.latency, (*LATENCY_BOUNDS, 2 * LATENCY_BOUNDS[-1]), strict=True):
            seen += count
            if seen >= share * total:
                return float(bound)
        return float(2 * LATENCY_BOUNDS[-1])

    @property
    def mean(self) -> float:
        """Seconds that an answer took, about."""
        total = sum(self.latency)
        bounds = (0.0, *LATENCY_BOUNDS, 2 * LATENCY_BOUNDS[-1])
        middles = [(low + high) / 2 for low, high in pairwise(bounds)]
        return sum(n * middle for n, middle in zip(self.latency, middles, strict=True)) / total if total else 0.0


def of_stats(stats: TargetStats) -> Figures:
    """What a gateway has counted."""
    latency = (*stats.latency, *[0] * _BUCKETS)[:_BUCKETS]
    return Figures(stats.requests, stats.errors, stats.bytes_in, stats.bytes_out, latency)


def _of_row(figures: Mapping[str, Any]) -> Figures:
    return Figures(**{**figures, "latency": tuple(figures["latency"])})


def record(session: Session, stats: GatewayStats, services: Mapping[str, str], moment: datetime) -> None:
    """Add what is new in `stats` to what is kept; `services` gives ids by `project/name`. Saying it twice is fine."""
    at = int(moment.timestamp()) // BUCKET_SECONDS * BUCKET_SECONDS
    for name, id in sorted(services.items()):
        revisions = {one.number for one in store.revisions_of(session, id)} if name in stats.services else set()
        for number, target in sorted(stats.services.get(name, {}).items()):
            if number in revisions:
                _record(session, stats.since, id, number, of_stats(target), at)
    store.prune_figures(session, moment)


def _record(session: Session, since: datetime, service: str, revision: int, counted: Figures, at: int) -> None:
    row = session.get(CountRow, (service, revision))
    before = _of_row(row.figures) if row is not None and row.since == since else Figures()
    fresh = counted.minus(before)
    if row is None:
        session.add(CountRow(service=service, revision=revision, since=since, figures=counted._asdict()))
    else:
        row.since, row.figures = since, counted._asdict()
    if not fresh.requests and not sum(fresh.latency):
        return
    bucket = session.get(FigureRow, (service, revision, at))
    if bucket is None:
        session.add(FigureRow(service=service, revision=revision, at=at, figures=fresh._asdict()))
    else:
        bucket.figures = _of_row(bucket.figures).plus(fresh)._asdict()


def has_news(stats: GatewayStats, last: GatewayStats | None) -> bool:
    """Whether there is anything to record."""
    if last is None or last.since != stats.since:
        return bool(stats.services)
    return {n: {r: t.requests for r, t in v.items()} for n, v in stats.services.items()} != {
        n: {r: t.requests for r, t in v.items()} for n, v in last.services.items()
    }


def pieces(session: Session, service: str, since: datetime) -> list[tuple[int, int, Figures]]:
    """(revision, time, figures) of everything kept since then, oldest first."""
    query = select(FigureRow).where(FigureRow.service == service, FigureRow.at > since.timestamp() - BUCKET_SECONDS)
    return [(row.revision, row.at, _of_row(row.figures)) for row in session.scalars(query.order_by(FigureRow.at))]


def total(found: Iterable[Figures]) -> Figures:
    """All of them together."""
    result = Figures()
    for one in found:
        result = result.plus(one)
    return result


def judge(session: Session, service: str, view: ServiceView, moment: datetime) -> dict[int, str]:
    """Which revision does worse than the one before it, in words."""
    for trial, good in _pairs(view):
        policy = trial.definition.rollback
        if policy is None or trial.ready_at is None or (moment - trial.ready_at).total_seconds() > policy.window + 60:
            continue
        kept = pieces(session, service, trial.ready_at)
        new = total(one for number, _, one in kept if number == trial.number)
        hour = pieces(session, service, datetime.fromtimestamp(moment.timestamp() - store.KEPT_SECONDS, moment.tzinfo))
        old = total(one for number, _, one in hour if number == good.number)
        if new.requests < policy.requests:
            continue
        if new.error_rate > policy.error_rate and new.error_rate > old.error_rate:
            return {trial.number: _errors(new, old, policy.error_rate)}
        slow = new.percentile(0.99)
        if policy.p99 and slow > policy.p99 and slow > old.percentile(0.99):
            text = f"The slowest hundredth of its answers took up to {slow:g} s; {policy.p99:g} s are allowed."
            return {trial.number: text}
    return {}


def _errors(new: Figures, old: Figures, allowed: float) -> str:
    return (
        f"{new.errors} of its {new.requests} answers were errors ({new.error_rate:.0%}); {allowed:.0%} are allowed, "
        f"and the revision before had {old.error_rate:.0%}."
    )


def _pairs(view: ServiceView) -> list[tuple[RevisionView, RevisionView]]:
    """Each revision that may be taken back, and what would follow it."""
    running = view.at(State.RUNNING, Stage.PRODUCTION)
    current = next((one for one in running if one.place is Place.CURRENT), None)
    if current is None:
        return []
    found = [(one, current) for one in running if one.place is Place.CANARY]
    return found + [(current, one) for one in running if one.place is Place.STANDBY]


class Scaler:
    """How many replicas revisions should have by their load: more at once, fewer when less was enough for a while.

    What it remembers is lost with its process; then it takes nothing away until it has watched for long enough.
    """

    def __init__(self) -> None:
        self._wanted: defaultdict[tuple[str, int], deque[tuple[float, int]]] = defaultdict(deque)
        self._last: dict[tuple[str, int], tuple[float, Figures]] = {}

    def replicas(
        self, service: str, revision: RevisionView, stats: TargetStats | None, used: Sequence[float], moment: float
    ) -> int:
        """The number for one revision now, by its requests (where they are known) and by how busy its replicas are.

        `used` is in percent of what they are given, of those replicas of which it is known.
        """
        key, scale = (service, revision.number), revision.definition.scale
        needed = revision.replicas
        if stats is not None:
            load = max(float(stats.active), self._under_way(key, of_stats(stats), moment))
            needed = scaling.for_requests(load, scale.in_flight)
        if scale.cpu is not None:
            needed = max(needed, scaling.for_cpu(revision.replicas, used, scale.cpu))
        seen = self._wanted[key]
        seen.append((moment, needed))
        while len(seen) > 1 and seen[1][0] <= moment - scale.steady:
            seen.popleft()
        watched = moment - seen[0][0] >= scale.steady
        most = max(number for _, number in seen)
        return most if watched or most > revision.replicas else revision.replicas

    def _under_way(self, key: tuple[str, int], counted: Figures, moment: float) -> float:
        """Requests at a time since the last look, by their rate and how long they took: a look alone misses many."""
        before = self._last.get(key)
        self._last[key] = (moment, counted)
        if before is None or counted.requests < before[1].requests or moment <= before[0]:
            return 0.0
        fresh = counted.minus(before[1])
        return fresh.requests / (moment - before[0]) * fresh.mean

    def forget(self, known: Sequence[tuple[str, int]]) -> None:
        """Remember only these."""
        for gone in set(self._wanted) - set(known):
            self._wanted.pop(gone, None)
            self._last.pop(gone, None)
