"""The small requests that a file is made of: to one revision, within the limits, again when nobody answers."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from atelier_gateway.body import Body
from atelier_gateway.call import Call
from atelier_gateway.deliver import Delivery
from atelier_gateway.errors import Refusal, not_found
from atelier_gateway.services import Visit, log_entry
from atelier_gateway.table import Service, Target

_MOST_METADATA = 4 * 1024**2
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0
_AGAIN = frozenset({"no_replica", "upstream_failed", "upstream_timeout", "no_traffic"})
_BUSY = frozenset({429, 502, 503, 504})  # for example a replica that still loads its model
_JSON = (b"content-type", b"application/json")


class Asker:
    """Asks one service in the name of one visitor."""

    def __init__(self, visit: Visit, service: Service) -> None:
        self._visit = visit
        self._service = service
        self._revision: int | None = None

    async def begin(self) -> None:
        """Choose the revision; wakes a service that sleeps."""
        targets = await self._visit.targets(self._service)
        self._revision = targets[0].revision if targets else None

    async def metadata(self, model: str) -> Mapping[str, Any]:
        """What a model says of itself."""
        status, content = await self._ask("GET", f"/v2/models/{quote(model, safe='')}", b"", patience=0)
        try:
            found = json.loads(content) if status == 200 else None
            if isinstance(found, dict) and found["inputs"]:
                return found
        except (ValueError, KeyError):
            pass
        raise Refusal(
            404 if status == 404 else 502,
            f"{self._service.name} describes no model {model[:100]!r} ({status}), so it cannot be asked about rows.",
            code="no_model",
            hint="Name its model with ?model=NAME. Only what speaks the Open Inference Protocol can be asked.",
            closes=True,
        )

    async def infer(self, model: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of an answer about some rows."""
        await self._within_rate()
        return await self._ask("POST", f"/v2/models/{quote(model, safe='')}/infer", body)

    def refusal(self, status: int, content: bytes) -> Refusal:
        """What a service said that did not predict."""
        try:
            said = json.loads(content)
            message, code, hint = str(said.get("message") or said["error"]), said.get("code", ""), said.get("hint", "")
        except (ValueError, KeyError, TypeError, AttributeError):
            message, code, hint = f"The service answered {status}.", "", ""
        shown = status if 400 <= status < 500 and status not in (401, 403, 407) else 502
        return Refusal(shown, message[:2000], code=str(code) or "service_refused", hint=str(hint), closes=True)

    async def _within_rate(self) -> None:
        """Each request counts; a file waits where others are refused."""
        limits, visit = self._service.limits, self._visit
        while limits.rate:
            wait = visit.parts.buckets.take(self._service.name, visit.caller, limits.rate, limits.burst)
            if not wait:
                return
            await asyncio.sleep(min(wait, 1 / limits.rate))

    async def _ask(self, method: str, target: str, body: bytes, patience: float | None = None) -> tuple[int, bytes]:
        """Ask until somebody answers; raises the refusal when nobody did for as long as the service may take."""
        patience = self._service.limits.timeout if patience is None else patience
        until, pause = time.monotonic() + patience, _FIRST_PAUSE
        while True:
            try:
                status, content = await self._once(method, target, body)
                if status not in _BUSY or time.monotonic() + pause > until:
                    return status, content
            except Refusal as refusal:
                if refusal.code not in _AGAIN or time.monotonic() + pause > until:
                    raise
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _once(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        targets = await self._targets()
        answer: list[bytes] = []
        sampled = random.random() < self._service.route.log.sample
        call = await self._call(method, target, body, answer, capture=sampled and self._service.route.log.bodies)
        delivery = Delivery(call, targets, self._by_now)
        refused: Refusal | None = None
        try:
            await delivery.run()
        except Refusal as error:
            refused = error
            raise
        finally:
            if sampled:
                entry = log_entry(self._visit, call, delivery, refused, bodies=self._service.route.log.bodies)
                self._visit.parts.log.write(self._service.name, entry)
        return call.status, b"".join(answer)

    async def _call(self, method: str, target: str, body: bytes, answer: list[bytes], *, capture: bool) -> Call:
        limits = self._service.limits

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: dict[str, Any]) -> None:
            answer.append(message.get("body", b""))

        whole = Body(receive, len(body) if body else None, None, limits.timeout)
        await whole.first()
        return Call(
            send,
            method,
            target.encode(),
            [*([_JSON] if body else []), *self._visit.forwarded()],
            whole,
            limits.timeout,
            self._visit.request_id,
            response_limit=limits.response_bytes if body else _MOST_METADATA,
            capture=capture,
        )

    async def _targets(self) -> tuple[Target, ...]:
        """The chosen revision; another one only when that is gone."""
        service = self._visit.parts.table.services.get(self._visit.address.name)
        if service is None:
            raise not_found(f"service {self._visit.address.name}")
        self._service = service
        found = self._by_now()
        if found and (found[0].replicas or not service.route.sleeping):
            return found
        targets = await self._visit.targets(service)
        if targets:
            self._revision = targets[0].revision
        return targets

    def _by_now(self) -> tuple[Target, ...]:
        service = self._visit.parts.table.services.get(self._visit.address.name)
        found = service.targets if service is not None else ()
        return tuple(target for target in found if target.revision == self._revision)
