"""Who may call a service: its keys, known here; tokens of hub and attempts, which the control plane is asked about."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from atelier_core.routing import Key
from atelier_gateway.control_plane import ControlPlane, Visitor
from atelier_gateway.errors import Refusal, unauthorized
from atelier_gateway.headers import RawHeaders, values
from atelier_gateway.remembered import Remembered
from atelier_gateway.table import Table

# A key that the routes do not have; when they have it, they alone count.
_KEY_SECONDS = 1.0
CALL = "services:call"
KEY_PREFIX = "atk_"
_LONGEST_TOKEN = 4096


def token_of(headers: RawHeaders) -> str:
    """The token of a request. Only `Authorization: Bearer …` or `token …` counts, said once."""
    found = values(headers, b"authorization")
    if len(found) != 1 or len(found[0]) > _LONGEST_TOKEN:
        return ""
    kind, _, token = found[0].decode("latin-1").partition(" ")
    return token.strip() if kind.lower() in ("bearer", "token") else ""


class Access:
    """Decides who is let in."""

    def __init__(self, table: Table, control_plane: ControlPlane) -> None:
        self._table = table
        self._visitors: Remembered[Visitor] = Remembered(control_plane.access)
        self._keys: Remembered[Key] = Remembered(lambda token, _: control_plane.key(token), positive=_KEY_SECONDS)

    async def caller(self, headers: RawHeaders, project: str, service: str) -> str:
        """Who calls a service that is not public: a user's name, `attempt:…`, `key:…`.

        Says nothing about services that one may not call.
        """
        token = token_of(headers)
        if not token:
            raise unauthorized()
        if token.startswith(KEY_PREFIX):
            return await self._by_key(token, project, service)
        visitor = await self._visitors.get(token, project)
        if CALL not in visitor.scopes:
            raise Refusal(
                403,
                f"Your role in project {project!r} does not include {CALL}.",
                code="forbidden",
                hint="Ask an owner of the project for a higher role, or for a service key.",
            )
        return visitor.actor

    async def _by_key(self, token: str, project: str, service: str) -> str:
        key = self._table.keys.get(hashlib.sha256(token.encode()).hexdigest()) or await self._just_made(token)
        if key is None or _expired(key):
            raise unauthorized("This service key does not exist, or is not valid any more.")
        if key.project != project or (key.services and service not in key.services):
            raise Refusal(
                403,
                f"This key is not for the service {project}/{service}.",
                code="wrong_key",
                hint="Use a key of that service, or have one made.",
            )
        return f"key:{key.id}"

    async def _just_made(self, token: str) -> Key | None:
        """A key that nobody told us of yet; while the control plane is away there is none."""
        try:
            return await self._keys.get(token, "")
        except Refusal:
            return None


def _expired(key: Key) -> bool:
    if key.expires_at is None:
        return False
    until = key.expires_at if key.expires_at.tzinfo else key.expires_at.replace(tzinfo=UTC)
    return until <= datetime.now(UTC)
