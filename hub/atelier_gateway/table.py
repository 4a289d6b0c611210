"""The routes as requests need them: who gets a request, by header, cookie or weight, and which replica."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from itertools import count

from atelier_core.routing import Key, Routes, ServiceRoute
from atelier_core.routing import Target as TargetRoute
from atelier_gateway.counting import Counter, Counters
from atelier_gateway.headers import RawHeaders, cookies
from atelier_gateway.peers import networks
from atelier_gateway.replica import Upstream

_turn = count()


class Target:
    """A revision with its replicas."""

    def __init__(self, route: TargetRoute, replicas: Sequence[Upstream], counter: Counter) -> None:
        self.revision = route.revision
        self.weight = route.weight
        self.mirror = route.mirror
        self.replicas = tuple(replicas)
        self.counter = counter
        self.headers = tuple((name.lower().encode(), value.encode()) for name, value in route.headers.items())
        self.cookies = tuple(route.cookies.items())

    def wants(self, headers: RawHeaders, jar: dict[str, str]) -> bool:
        """Whether a request asks for this revision."""
        if any(wanted in headers for wanted in self.headers):
            return True
        return any(jar.get(name) == value for name, value in self.cookies)


class Load:
    """How many requests of a service are under way, over all changes of its routes."""

    def __init__(self) -> None:
        self.active = 0


class Service:
    """One service as it is now."""

    def __init__(self, name: str, route: ServiceRoute, targets: Sequence[Target], load: Load) -> None:
        self.name = name
        self.load = load
        self.route = route
        self.limits = route.limits
        self.targets = tuple(targets)
        self.allow = networks(route.allow)
        self._chooses = any(target.headers or target.cookies for target in targets)
        self._reads_cookies = any(target.cookies for target in targets)
        self._weighted = tuple(target for target in targets if target.weight > 0)
        self._mirrors = tuple(target for target in targets if target.mirror > 0)

    @property
    def has_replicas(self) -> bool:
        """Whether anything could answer."""
        return any(target.replicas for target in self.targets)

    def candidates(self, headers: RawHeaders) -> tuple[Target, ...]:
        """The revisions that may answer, the chosen one first: only that one if the request itself asks for it."""
        if self._chooses:
            jar = cookies(headers) if self._reads_cookies else {}
            for target in self.targets:
                if target.wants(headers, jar):
                    return (target,)
        if len(self._weighted) < 2:
            return self._weighted
        # A revision without a replica leaves its share to the others.
        ready = [target for target in self._weighted if target.replicas] or list(self._weighted)
        chosen = random.choices(ready, [target.weight for target in ready])[0]
        return (chosen, *(target for target in ready if target is not chosen))

    def mirrors(self) -> Iterator[Target]:
        """The revisions that get a copy of this request."""
        for target in self._mirrors:
            if target.replicas and random.random() * 100 < target.mirror:
                yield target


def pick(targets: Sequence[Target], tried: Collection[Upstream]) -> tuple[Target, Upstream] | None:
    """The least busy replica of the first revision that has one left; those that failed lately come last."""
    for paused_too in (False, True):
        for target in targets:
            left = [one for one in target.replicas if one not in tried and (paused_too or not one.paused)]
            if len(left) == 1:
                return target, left[0]
            if left:
                start = next(_turn) % len(left)  # or the first one would get everything while nothing is busy
                return target, min(left[start:] + left[:start], key=lambda one: one.outstanding)
    return None


class Table:
    """All services and keys; replaced as a whole, while connections and counts live on."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._upstreams: dict[tuple[str, str, str], Upstream] = {}
        self.generation = -1
        self.services: dict[str, Service] = {}
        self.keys: dict[str, Key] = {}

    def load(self, routes: Routes) -> None:
        """Take over a new document."""
        upstreams: dict[tuple[str, str, str], Upstream] = {}
        services: dict[str, Service] = {}
        for name, route in routes.services.items():
            targets = [
                Target(one, self._replicas(name, one, upstreams), self._counters.of(name, one.revision))
                for one in route.targets
            ]
            load = self.services[name].load if name in self.services else Load()
            services[name] = Service(name, route, targets, load)
        for place, gone in self._upstreams.items():
            if place not in upstreams:
                gone.retire()
        self._upstreams, self.services = upstreams, services
        self.keys = {key.sha256.lower(): key for key in routes.keys}
        self.generation = routes.generation
        self._counters.keep({name: {one.revision for one in route.targets} for name, route in routes.services.items()})

    def _replicas(
        self, service: str, target: TargetRoute, upstreams: dict[tuple[str, str, str], Upstream]
    ) -> list[Upstream]:
        for replica in target.replicas:
            place = (service, replica.id, replica.url)
            upstreams[place] = self._upstreams.get(place) or Upstream(replica.id, replica.url)
        return [upstreams[service, replica.id, replica.url] for replica in target.replicas]

    def upstreams(self) -> Collection[Upstream]:
        """Every replica."""
        return self._upstreams.values()
