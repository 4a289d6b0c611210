"""`/s/<project>/<service>/…`: from the visitor to a replica."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from atelier_gateway import headers
from atelier_gateway.body import Body
from atelier_gateway.call import Call
from atelier_gateway.deliver import Delivery
from atelier_gateway.errors import Refusal, not_found, unavailable
from atelier_gateway.parts import Parts
from atelier_gateway.peers import within
from atelier_gateway.request_log import shown
from atelier_gateway.table import Service, Target

_FORM = ("content-type", "content-encoding", "inference-header-content-length")


@dataclass(frozen=True)
class Address:
    """Which service, and what of it: `prefix` is the path before `target`."""

    project: str
    service: str
    target: bytes
    prefix: bytes = b""

    @property
    def name(self) -> str:
        """As in the routes."""
        return f"{self.project}/{self.service}"


def parse(path: bytes, query: bytes, base: bytes) -> Address:
    """`path` begins with `/s/`. What follows the service's name is passed on as it is."""
    pieces = path.split(b"/", 4)
    if len(pieces) < 4 or not pieces[2] or not pieces[3]:
        raise not_found("service at this address")
    try:
        project, service = (unquote_to_bytes(piece).decode() for piece in pieces[2:4])
    except UnicodeDecodeError:
        raise not_found("service at this address") from None
    if "/" in project or "/" in service:
        raise not_found("service at this address")
    rest = b"/" + (pieces[4] if len(pieces) == 5 else b"")
    prefix = base + b"/".join(pieces[:4])
    return Address(project, service, rest + (b"?" + query if query else b""), prefix)


@dataclass
class Visit:
    """One request to one service: checked when it comes in, noted when it is over."""

    parts: Parts
    scope: Any
    address: Address
    request_id: bytes
    caller: str = ""
    started: float = field(default_factory=time.time)
    _sampled: bool = False

    async def enter(self) -> Service:
        """Check key, network and limits. Raises a refusal, also for a service that is not there."""
        service = self.parts.table.services.get(self.address.name)
        if service is None or not service.route.public:
            raw = self.scope["headers"]
            self.caller = await self.parts.access.caller(raw, self.address.project, self.address.service)
            service = self.parts.table.services.get(self.address.name)  # asking may have taken a while
        if service is None:
            raise not_found(f"service {self.address.name}")
        self._check_network(service)
        self._check_limits(service)
        return service

    def _check_network(self, service: Service) -> None:
        if not service.allow and self.caller:
            return
        address = self.parts.peers.address(self.scope)
        if service.allow and not within(address, service.allow):
            raise Refusal(
                403,
                f"{address or 'This address'} may not call {service.name}.",
                code="address_not_allowed",
                hint="Call it from one of its allowed networks, or have this one added.",
            )
        self.caller = self.caller or f"address:{address}"

    def _check_limits(self, service: Service) -> None:
        limits = service.limits
        if limits.rate:
            wait = self.parts.buckets.take(service.name, self.caller, limits.rate, limits.burst)
            if wait:
                raise Refusal(
                    429,
                    f"{service.name} takes {limits.rate:g} requests per second of one caller.",
                    code="rate_limited",
                    hint=f"Try again in {wait} s.",
                    retry_after=wait,
                )
        if limits.concurrency and service.load.active >= limits.concurrency:
            raise Refusal(
                429,
                f"{service.name} takes {limits.concurrency} requests at a time.",
                code="too_many_at_once",
                hint="Try again in a moment.",
                retry_after=1,
            )

    async def targets(self, service: Service) -> tuple[Target, ...]:
        """The revisions that may answer; a sleeping service is woken first."""
        found = service.candidates(self.scope["headers"])
        if not any(target.replicas for target in found) and service.route.sleeping:
            await self.parts.waking.wait(service.name, service.limits.timeout)
            awake = self.parts.table.services.get(service.name)
            if awake is None:
                raise not_found(f"service {service.name}")
            service, found = awake, awake.candidates(self.scope["headers"])
        if not found and service.has_replicas:
            raise unavailable(
                f"No revision of {service.name} has a share of the traffic.",
                code="no_traffic",
                hint="Send the header or cookie of the revision that you mean, or give one a weight.",
            )
        return found

    def _by_now(self) -> tuple[Target, ...]:
        """The revisions that may answer, as the routes are now."""
        service = self.parts.table.services.get(self.address.name)
        return service.candidates(self.scope["headers"]) if service is not None else ()

    def forwarded(self) -> headers.RawHeaders:
        """What a service is told about where the request came from."""
        found = [
            (b"x-request-id", self.request_id),
            (b"x-forwarded-proto", b"https" if self.parts.peers.secure(self.scope) else b"http"),
            (b"x-forwarded-prefix", self.address.prefix),
        ]
        address = self.parts.peers.address(self.scope)
        if address is not None:
            found.append((b"x-forwarded-for", str(address).encode()))
        host = headers.values(self.scope["headers"], b"host")
        if host:
            found.append((b"x-forwarded-host", host[0]))
        return found

    async def answer(self, receive: Any, send: Any) -> None:
        """Answer it. Raises a refusal, also in the middle of an answer."""
        service = await self.enter_counted()
        self._sampled = random.random() < service.route.log.sample
        service.load.active += 1
        try:
            call = self._call(service, receive, send)
            await self._answer(service, call)
        finally:
            service.load.active -= 1

    async def enter_counted(self) -> Service:
        """`enter`, and count who is turned away from a service that exists."""
        try:
            return await self.enter()
        except Refusal as refusal:
            self._count_refusal(refusal)
            raise

    async def _answer(self, service: Service, call: Call) -> None:
        delivery: Delivery | None = None
        refused: Refusal | None = None
        try:
            with call.watched():
                await call.body.first()
                targets = await self.targets(service)
                delivery = Delivery(call, targets, self._by_now)
                await delivery.run()
            self._mirror(service, call, targets)
        except Refusal as refusal:
            refused = refusal
            if delivery is None or delivery.upstream is None:
                self._count_refusal(refusal)
            raise
        finally:
            if self._sampled:
                entry = log_entry(self, call, delivery, refused, bodies=service.route.log.bodies)
                self.parts.log.write(service.name, entry)

    def _count_refusal(self, refusal: Refusal) -> None:
        if self.address.name in self.parts.table.services:
            self.parts.counters.refuse(self.address.name, refusal.code)

    def _call(self, service: Service, receive: Any, send: Any) -> Call:
        raw, limits = self.scope["headers"], service.limits
        length = next(iter(headers.values(raw, b"content-length")), None)
        body = Body(receive, int(length) if length is not None else None, limits.request_bytes, limits.timeout)
        return Call(
            send,
            self.scope["method"],
            self.address.target,
            headers.to_upstream(raw) + self.forwarded(),
            body,
            limits.timeout,
            self.request_id,
            response_limit=limits.response_bytes,
            capture=self._sampled and service.route.log.bodies,
        )

    def _mirror(self, service: Service, call: Call, answered: Sequence[Target]) -> None:
        if not (call.body.ended and call.body.replayable):
            return
        for target in service.mirrors():
            if target is not answered[0]:
                self.parts.mirrors.start(target, call)


def log_entry(
    visit: Visit, call: Call, delivery: Delivery | None, refused: Refusal | None, *, bodies: bool
) -> dict[str, Any]:
    """A line of the request log. The query stays out of it unless bodies are wanted: it may hold as much."""
    path, _, query = call.target.partition(b"?")
    entry: dict[str, Any] = {
        "time": round(visit.started, 3),
        "id": visit.request_id.decode(),
        "caller": visit.caller,
        "method": call.method,
        "path": path.decode("latin-1"),
        "status": refused.status if refused else call.status,
        "code": refused.code if refused else "",
        "revision": delivery.target.revision if delivery and delivery.target else None,
        "replica": delivery.upstream.id if delivery and delivery.upstream else None,
        "seconds": round(time.perf_counter() - call.started, 6),
        "bytes_in": call.body.total,
        "bytes_out": call.bytes_out,
    }
    if bodies:
        request = shown(call.body.kept) if call.body.replayable else {"bytes": call.body.total}
        answer = shown(b"".join(call.captured)) | {"bytes": call.bytes_out}
        entry |= {
            "query": query.decode("latin-1"),
            "request": request | _form(call.headers),
            "answer": answer,
        }
    return entry


def _form(raw: headers.RawHeaders) -> dict[str, str]:
    """The headers without which a body cannot be read."""
    found = {name: next(iter(headers.values(raw, name.encode())), b"") for name in _FORM}
    return {name: value.decode("latin-1") for name, value in found.items() if value}
