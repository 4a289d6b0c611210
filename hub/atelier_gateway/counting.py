"""Figures of every revision since this gateway started: for the control plane, and for Prometheus."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from atelier_core.routing import LATENCY_BOUNDS, GatewayStats, TargetStats

FORGET_SECONDS = 3600.0


class Counter:
    """What happened to one revision. `active` is counted while it happens, everything else at its end."""

    __slots__ = ("active", "bytes_in", "bytes_out", "errors", "last", "latency", "requests", "seconds")

    def __init__(self) -> None:
        self.requests = self.errors = self.bytes_in = self.bytes_out = self.active = 0
        self.latency = [0] * (len(LATENCY_BOUNDS) + 1)
        self.seconds = 0.0
        self.last = 0.0

    def begin(self) -> None:
        """A request comes."""
        self.active += 1
        self.last = time.time()

    def add(self, seconds: float, *, failed: bool, bytes_in: int, bytes_out: int) -> None:
        """A request is over."""
        self.requests += 1
        self.errors += failed
        self.bytes_in += bytes_in
        self.bytes_out += bytes_out
        self.seconds += seconds
        self.latency[bisect_left(LATENCY_BOUNDS, seconds)] += 1

    def stats(self) -> TargetStats:
        """For the control plane."""
        return TargetStats(
            requests=self.requests,
            errors=self.errors,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            latency=tuple(self.latency),
            active=self.active,
            last_request=datetime.fromtimestamp(self.last, UTC) if self.last else None,
        )


class Counters:
    """All of them, by service and revision, and what was refused."""

    def __init__(self) -> None:
        self.since = datetime.now(UTC)
        self._services: dict[str, dict[int, Counter]] = {}
        self._refused: dict[str, dict[str, int]] = {}

    def of(self, service: str, revision: int) -> Counter:
        """The counter of a revision."""
        return self._services.setdefault(service, {}).setdefault(revision, Counter())

    def refuse(self, service: str, code: str) -> None:
        """A request to a known service was turned away."""
        codes = self._refused.setdefault(service, {})
        codes[code] = codes.get(code, 0) + 1

    def keep(self, known: Mapping[str, set[int]]) -> None:
        """Forget services that are gone, and revisions that have had no request for long."""
        self._services = {name: counters for name, counters in self._services.items() if name in known}
        self._refused = {name: codes for name, codes in self._refused.items() if name in known}
        oldest = time.time() - FORGET_SECONDS
        for name, counters in self._services.items():
            for revision in set(counters) - known[name]:
                if not counters[revision].active and counters[revision].last < oldest:
                    del counters[revision]

    def stats(self, generation: int, waiting: Mapping[str, int]) -> GatewayStats:
        """Everything."""
        services = {
            name: {revision: counter.stats() for revision, counter in counters.items()}
            for name, counters in self._services.items()
        }
        refused = {name: dict(codes) for name, codes in self._refused.items()}
        return GatewayStats(
            since=self.since, generation=generation, services=services, waiting=dict(waiting), refused=refused
        )

    def prometheus(self, waiting: Mapping[str, int]) -> str:
        """The same in Prometheus' text format."""
        return "\n".join([*self._revision_lines(), *self._service_lines(waiting), ""])

    def _all(self) -> Iterator[tuple[str, Counter]]:
        for name, counters in self._services.items():
            project, _, service = name.partition("/")
            for revision, counter in counters.items():
                yield f'project="{_escape(project)}",service="{_escape(service)}",revision="{revision}"', counter

    def _revision_lines(self) -> Iterator[str]:
        for field, kind in (("requests", "counter"), ("errors", "counter"), ("bytes_in", "counter")):
            yield from self._simple(field, f"atelier_gateway_{field}_total", kind)
        yield from self._simple("bytes_out", "atelier_gateway_bytes_out_total", "counter")
        yield from self._simple("active", "atelier_gateway_active", "gauge")
        yield "# TYPE atelier_gateway_seconds histogram"
        for labels, counter in self._all():
            total = 0
            for bound, count in zip((*LATENCY_BOUNDS, "+Inf"), counter.latency, strict=True):
                total += count
                yield f'atelier_gateway_seconds_bucket{{{labels},le="{bound}"}} {total}'
            yield f"atelier_gateway_seconds_sum{{{labels}}} {counter.seconds:.6f}"
            yield f"atelier_gateway_seconds_count{{{labels}}} {total}"

    def _simple(self, field: str, metric: str, kind: str) -> Iterator[str]:
        yield f"# TYPE {metric} {kind}"
        for labels, counter in self._all():
            yield f"{metric}{{{labels}}} {getattr(counter, field)}"

    def _service_lines(self, waiting: Mapping[str, int]) -> Iterator[str]:
        yield "# TYPE atelier_gateway_waiting gauge"
        for name, count in waiting.items():
            project, _, service = name.partition("/")
            yield f'atelier_gateway_waiting{{project="{_escape(project)}",service="{_escape(service)}"}} {count}'
        yield "# TYPE atelier_gateway_refused_total counter"
        for name, codes in self._refused.items():
            project, _, service = name.partition("/")
            labels = f'project="{_escape(project)}",service="{_escape(service)}"'
            for code, count in codes.items():
                yield f'atelier_gateway_refused_total{{{labels},code="{_escape(code)}"}} {count}'


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
