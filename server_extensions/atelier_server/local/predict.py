"""`/atelier/local/predict`: one request to a service, for the test console.

The browser talks to its own server alone, and no token ever reaches it: this server asks the gateway with its own.
"""

from __future__ import annotations

import json
import time
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, Field

from atelier_core.errors import BackendUnavailable, Conflict, TooLarge
from atelier_server.access import OwnerHandler
from atelier_server.settings import Settings
from atelier_server.upstream import ControlPlane, check_path, segments

LARGEST_REQUEST = 32 * 1024**2
LARGEST_ANSWER = 16 * 1024**2
PATIENCE = 120.0  # a service that sleeps wakes up first


class Prediction(BaseModel):
    """A request to a service. `revision` asks one revision whatever the traffic, which also reaches those on trial."""

    model_config = ConfigDict(extra="forbid")

    service: str = Field(min_length=1, max_length=100)
    project: str = Field(default="", max_length=100)
    method: Literal["GET", "POST"] = "POST"
    path: str = Field(default="", max_length=2000, pattern=r"^[^?#\x00-\x20]*$")
    body: Any = None
    revision: int | None = Field(default=None, ge=1, le=2**31 - 1)


class PredictHandler(OwnerHandler):
    """Asks a service."""

    def initialize(self, platform: Settings, upstream: ControlPlane) -> None:  # type: ignore[override]
        """`upstream` tells where the service answers."""
        super().initialize(platform)
        self._upstream = upstream

    async def post(self) -> None:
        """`{service, project, method, path, body, revision}` → `{status, seconds, type, body}` of its answer."""
        if len(self.request.body) > LARGEST_REQUEST:
            raise _too_large("The request", LARGEST_REQUEST)
        wanted = self.body(Prediction)
        self.finish(await predict(self.platform, self._upstream, wanted))


async def predict(platform: Settings, upstream: ControlPlane, wanted: Prediction) -> dict[str, Any]:
    """What the service answers, whatever that is; an error only where it could not be asked."""
    project = wanted.project or platform.project
    known = await upstream.json(segments("projects", project, "services", wanted.service))
    url = f"{_address(str(known['url']))}/{check_path(wanted.path).lstrip('/')}"
    headers = {"Authorization": f"Bearer {platform.token}", "Accept": "application/json"}
    if wanted.revision is not None:
        headers["X-Atelier-Revision"] = str(wanted.revision)
    content = json.dumps(wanted.body).encode() if wanted.method == "POST" else None
    if content is not None:
        headers["Content-Type"] = "application/json"
    began = time.perf_counter()
    try:
        # No proxy and no .netrc of the person: they must not see or change the token.
        async with (
            httpx.AsyncClient(timeout=httpx.Timeout(PATIENCE, connect=5), trust_env=False) as http,
            http.stream(wanted.method, url, headers=headers, content=content) as answer,
        ):
            read = await _read(answer)
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise BackendUnavailable(
            f"The gateway does not answer ({type(error).__name__}).",
            code="gateway_away",
            hint="It may be restarting: try again. `atelier status` on its machine says more.",
        ) from error
    kind = answer.headers.get("content-type", "")
    return {
        "status": answer.status_code,
        "seconds": round(time.perf_counter() - began, 6),
        "type": kind,
        "body": _decoded(read, kind),
    }


def _address(url: str) -> str:
    if urlsplit(url).scheme not in {"http", "https"}:
        raise Conflict(
            "The platform does not know under which address its gateway is reached.",
            code="no_gateway_address",
            hint="The operator sets c.AtelierHub.gateway_public_url; until then use curl with your hub's address.",
        )
    return url.rstrip("/")


async def _read(answer: httpx.Response) -> bytes:
    found = bytearray()
    async for piece in answer.aiter_bytes():
        found += piece
        if len(found) > LARGEST_ANSWER:
            raise _too_large("The answer", LARGEST_ANSWER)
    return bytes(found)


def _decoded(data: bytes, kind: str) -> Any:
    text = data.decode("utf-8", "replace")
    try:
        return json.loads(text, parse_constant=_no_number) if "json" in kind else text
    except (ValueError, RecursionError):
        return text


def _no_number(text: str) -> None:
    """NaN and Infinity, which Python writes and no browser reads."""
    raise ValueError(text)


def _too_large(what: str, limit: int) -> TooLarge:
    return TooLarge(
        f"{what} is larger than the {limit // 1024**2} MB that the test console takes.",
        code="too_large",
        hint="Call the service from a notebook, or with curl.",
    )
