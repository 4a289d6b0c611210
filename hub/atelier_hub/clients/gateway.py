"""The gateway's own side: it is given routes and asked what it has counted."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Self

import httpx
from pydantic import ValidationError

from atelier_core.routing import GatewayStats, Routes
from atelier_hub.auth import GATEWAY_HEADER

log = logging.getLogger(__name__)
_SECONDS = 3.0
_LOG_SECONDS = 20.0


class GatewayClient:
    """Talks to one gateway at `url`, past the hub's proxy. It may be away: predictions do not depend on us."""

    def __init__(self, url: str, secret: str) -> None:
        self._url = url.rstrip("/")
        # No proxy of the environment: it would read the secret.
        self._http = httpx.AsyncClient(timeout=_SECONDS, headers={GATEWAY_HEADER: secret}, trust_env=False)
        self._away = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def put_routes(self, routes: Routes) -> bool:
        """Whether the gateway has these routes now."""
        body = routes.model_dump_json()
        headers = {"Content-Type": "application/json"}
        answer = await self._ask("PUT", "routes", content=body, headers=headers)
        return answer is not None

    async def stats(self) -> GatewayStats | None:
        """What it has counted since it started; None if it does not answer."""
        answer = await self._ask("GET", "stats")
        if answer is None:
            return None
        try:
            return GatewayStats.model_validate_json(answer.content)
        except ValidationError as error:
            self._say(f"its figures cannot be read: {error}")
            return None

    async def log_lines(self, service: str) -> bytes | None:
        """What its request log holds of `project/service`, the oldest line first; None if it does not answer."""
        answer = await self._ask("GET", "log/lines", params={"service": service}, timeout=_LOG_SECONDS)
        return None if answer is None else answer.content

    async def _ask(self, method: str, what: str, **options: object) -> httpx.Response | None:
        try:
            answer = await self._http.request(method, f"{self._url}/internal/{what}", **options)  # type: ignore[arg-type]
        except httpx.HTTPError as error:
            self._say(str(error) or type(error).__name__)
            return None
        if answer.is_error:
            self._say(f"it answered {answer.status_code} to {method} {what}: {answer.text[:300]}")
            return None
        if self._away:
            log.info("The gateway answers again")
        self._away = ""
        return answer

    def _say(self, why: str) -> None:
        """Once for each trouble, not each second."""
        if why != self._away:
            log.warning("The gateway at %s: %s", self._url, why)
        self._away = why
