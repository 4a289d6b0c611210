"""A service, its revisions and its replicas as `rollout.decide` sees them. No clock, no database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from atelier_core.service import Definition, Stage
from atelier_core.states import FINAL, Reason, State

SETTLED = 60.0  # a replica that answered for so long and then ended begins a new count of failures


class Place(StrEnum):
    """What a revision with replicas is among those of its stage: what serves, what is tried, what is gone back to."""

    CURRENT = "current"
    CANARY = "canary"
    STANDBY = "standby"


@dataclass(frozen=True)
class ReplicaView:
    """One attempt to have one process of a revision. `words` are its last, once they were read."""

    attempt: str
    number: int
    state: State
    reason: Reason = Reason.NONE
    message: str = ""
    stop_wanted: bool = False
    ready: bool = False
    url: str = ""
    ready_at: datetime | None = None
    drain_until: datetime | None = None
    created_at: datetime | None = None
    ended_at: datetime | None = None
    words: str | None = None

    @property
    def alive(self) -> bool:
        """Whether it is not over."""
        return self.state not in FINAL

    @property
    def counts(self) -> bool:
        """Whether it is, or may become, one of those that are wanted."""
        return self.alive and not self.stop_wanted and self.drain_until is None

    @property
    def failed(self) -> bool:
        """Whether it ended though nobody asked for that."""
        return not self.alive and not self.stop_wanted and self.drain_until is None


@dataclass(frozen=True)
class RevisionView:
    """One revision and its replicas, oldest first. `began_at` is when its (last) rollout began."""

    number: int
    state: State
    definition: Definition
    place: Place
    replicas: int
    minimum: int
    maximum: int
    began_at: datetime
    weight: float = 0
    ready_at: datetime | None = None
    reason: str = ""
    message: str = ""
    attempts: Sequence[ReplicaView] = ()

    @property
    def counting(self) -> list[ReplicaView]:
        """Its replicas that are wanted."""
        return [one for one in self.attempts if one.counts]

    @property
    def ready(self) -> list[ReplicaView]:
        """Those of them that answer."""
        return [one for one in self.counting if one.ready]

    @property
    def failures(self) -> list[ReplicaView]:
        """Those that failed one after the other until now, newest first."""
        found = []
        for one in reversed(self.attempts):
            if one.created_at is not None and one.created_at < self.began_at:
                break
            if one.failed:
                found.append(one)
            if (one.ready and one.alive) or _lived(one):
                break
        return found


def _lived(one: ReplicaView) -> bool:
    if one.ready_at is None or one.ended_at is None:
        return False
    return (one.ended_at - one.ready_at).total_seconds() >= SETTLED


@dataclass(frozen=True)
class ServiceView:
    """A service as it stands. `wanted` is run, stop or delete; `left` says that something of it is on an engine."""

    wanted: str
    state: State
    reason: str = ""
    message: str = ""
    sleeping: bool = False
    woken_at: datetime | None = None
    left: bool = False
    revisions: Sequence[RevisionView] = ()

    @property
    def main(self) -> RevisionView | None:
        """The running revision that speaks for the service: one for production before any that is only tested."""
        return min(
            self.at(State.RUNNING),
            key=lambda one: (one.definition.stage is not Stage.PRODUCTION, one.place is not Place.CURRENT),
            default=None,
        )

    def at(self, state: State, stage: Stage | None = None) -> list[RevisionView]:
        """Its revisions in a state, oldest first."""
        return [
            one for one in self.revisions if one.state is state and (stage is None or one.definition.stage is stage)
        ]


@dataclass(frozen=True)
class Probe:
    """Whether a replica answered at `url` when it was asked for its health."""

    url: str
    ok: bool


@dataclass(frozen=True)
class Load:
    """What a revision has to do: requests under way, and when the last one came."""

    active: int = 0
    last_request: datetime | None = None


@dataclass(frozen=True)
class Sight:
    """What was seen of the world outside the database.

    `confirmed`: the gateway has the routes as they stand; it is None where no gateway is configured. `replicas` are
    how many each revision should have by its load, `bad` the revisions that do worse than the one before, and why.
    """

    now: datetime
    probes: Mapping[str, Probe] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    hung: frozenset[str] = frozenset()
    loads: Mapping[int, Load] = field(default_factory=dict)
    replicas: Mapping[int, int] = field(default_factory=dict)
    bad: Mapping[int, str] = field(default_factory=dict)
    waiting: int = 0
    confirmed: bool | None = None
