"""What the gateway asks of the control plane, and what it says when nobody answers."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import aiohttp
from pydantic import ValidationError

from atelier_core.routing import Key
from atelier_gateway.errors import Refusal, unavailable

log = logging.getLogger(__name__)
SECRET_HEADER = "X-Atelier-Gateway"  # noqa: S105 - the name of the header
_SECONDS = 10.0
_PASSED_ON = frozenset({401, 403, 404, 422})


class Visitor(NamedTuple):
    """Who the owner of a token is in a project."""

    actor: str
    project: str
    scopes: frozenset[str]


class Account(NamedTuple):
    """The account at MLflow that may do what the visitor may, and who that is: a project's members share one."""

    actor: str
    project: str
    url: str
    username: str
    password: str


class ControlPlane:
    """The routes `…/api/gateway/*` of the control plane at `url` (`…/api`)."""

    def __init__(self, url: str, secret: str) -> None:
        self._url = f"{url.rstrip('/')}/gateway"
        self._secret = secret
        self._session: aiohttp.ClientSession | None = None

    async def access(self, token: str, project: str) -> Visitor:
        """Who this is, and what they may do in the project."""
        found = await self._ask("GET", "access", token, params={"project": project})
        with _whole("access"):
            return Visitor(str(found["actor"]), str(found["project"]), frozenset(found["scopes"]))

    async def mlflow(self, token: str, project: str) -> Account:
        """The account at MLflow; without a project, in the visitor's own."""
        found = await self._ask("GET", "mlflow", token, params={"project": project} if project else {})
        with _whole("mlflow"):
            return Account(*(str(found[field]) for field in Account._fields))

    async def key(self, token: str) -> Key:
        """The service key with this secret."""
        found = await self._ask("GET", "key", token)
        with _whole("key"):
            return Key.model_validate(found)

    async def wake(self, service: str) -> None:
        """Have replicas of a sleeping service started."""
        await self._ask("POST", "wake", json={"service": service})

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()

    async def _ask(self, method: str, path: str, token: str = "", **options: Any) -> Mapping[str, Any]:
        headers = {SECRET_HEADER: self._secret} | ({"Authorization": f"Bearer {token}"} if token else {})
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        try:
            async with self._session.request(method, f"{self._url}/{path}", headers=headers, **options) as answer:
                body = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
            log.warning("the control plane does not answer %s: %s", path, error or type(error).__name__)
            raise _away() from error
        if answer.status < 300 and (isinstance(body, dict) or method == "POST"):
            return body if isinstance(body, dict) else {}
        raise _refusal(answer.status, body if isinstance(body, dict) else {}, path)


@contextmanager
def _whole(path: str) -> Iterator[None]:
    """An answer that lacks something is none."""
    try:
        yield
    except (KeyError, TypeError, ValidationError) as error:
        log.error("the control plane's answer to %s lacks %s", path, error)
        raise _away() from error


def _refusal(status: int, body: Mapping[str, Any], path: str) -> Refusal:
    code = str(body.get("code", "refused"))
    if status not in _PASSED_ON or code == "not_the_gateway":
        log.error("the control plane answered %s with %s %s", path, status, code)
        return _away()
    return Refusal(status, str(body.get("message", "Refused.")), code=code, hint=str(body.get("hint", "")))


def _away() -> Refusal:
    return unavailable(
        "The control plane does not answer now, and without it this cannot be decided.",
        code="control_plane_away",
        hint="Try again in a moment. Service keys go on working meanwhile, and so do services that are awake.",
        retry_after=5,
    )
