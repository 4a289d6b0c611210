"""JupyterHub's REST API: who a token belongs to, and which names are taken."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

from atelier_core.errors import BackendUnavailable


class HubClient:
    """Talks to the hub; safe to share between threads."""

    def __init__(self, api_url: str, api_token: str, timeout: float = 10) -> None:
        self._api_url = api_url.rstrip("/")
        self._token = api_token
        self._http = httpx.Client(timeout=timeout, limits=httpx.Limits(max_connections=40))

    def user_of(self, token: str) -> dict[str, Any] | None:
        """The hub's model of the token's owner; none if the hub does not know the token."""
        answer = self._get("/user", token)
        return answer.json() if answer.status_code == 200 else None

    def user_exists(self, name: str) -> bool:
        """Whether somebody has this user name; asked with the service's own token."""
        answer = self._get(f"/users/{quote(name, safe='')}", self._token)
        if answer.status_code in {200, 404}:
            return answer.status_code == 200
        raise BackendUnavailable(
            f"JupyterHub did not say whether a user is called {name!r} (status {answer.status_code}).",
            hint="The operator must give the atelier service the scope read:users:name.",
        )

    def groups_of(self, name: str) -> frozenset[str] | None:
        """The groups of a user; none if the hub does not know the user. Asked with the service's own token."""
        answer = self._get(f"/users/{quote(name, safe='')}", self._token)
        if answer.status_code == 404:
            return None
        if answer.status_code == 200 and "groups" in answer.json():
            return frozenset(answer.json()["groups"])
        raise BackendUnavailable(
            f"JupyterHub did not say which groups {name!r} belongs to (status {answer.status_code}).",
            hint="The operator must give the atelier service the scope read:users:groups.",
        )

    def _get(self, path: str, token: str) -> httpx.Response:
        try:
            answer = self._http.get(self._api_url + path, headers={"Authorization": f"token {token}"})
        except httpx.HTTPError as error:
            raise _unreachable() from error
        if answer.status_code >= 500 or answer.status_code == 429:
            raise _unreachable()
        return answer

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()


def _unreachable() -> BackendUnavailable:
    return BackendUnavailable(
        "JupyterHub cannot be reached now, so nobody new can be recognised.",
        code="hub_unavailable",
        hint="Try again in a moment; what runs goes on. The operator finds the cause in the hub's log.",
    )
