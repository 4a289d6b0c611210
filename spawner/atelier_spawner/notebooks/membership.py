"""Whether a person may have a notebook in a project: the control plane knows, asked with the person's own token."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from atelier_core.errors import BackendUnavailable, Forbidden

WORKING_ROLES = frozenset({"owner", "maintainer", "member"})  # a viewer looks, and starts nothing


async def check_member(api_url: str, token: str, project: str, user: str, groups: frozenset[str]) -> None:
    """Raise `Forbidden` unless `user`, whose token and hub groups these are, may work in `project`."""
    page = ""
    while True:
        query = urlencode({"limit": 200, **({"cursor": page} if page else {})})
        answer = await _get(f"{api_url}/api/projects/{quote(project, safe='')}/members?{query}", token)
        if answer is None:
            break
        for member in answer["items"]:
            mine = member["name"] == user if member["kind"] == "user" else member["name"] in groups
            if mine and member["role"] in WORKING_ROLES:
                return
        page = answer.get("next") or ""
        if not page:
            break
    raise Forbidden(
        f"You cannot work in a project called {project!r}: there is none, or you are not a member of it.",
        code="not_a_member",
        hint="A server's name is the name of its project. Ask an owner of the project to add you.",
    )


async def _get(url: str, token: str) -> dict[str, Any] | None:
    try:
        answer = await AsyncHTTPClient().fetch(url, headers={"Authorization": f"Bearer {token}"}, request_timeout=10)
    except HTTPClientError as error:
        if error.code in {401, 403, 404}:
            return None
        raise _unreachable() from error
    except (OSError, ValueError) as error:
        raise _unreachable() from error
    found: dict[str, Any] = json.loads(answer.body)
    return found


def _unreachable() -> BackendUnavailable:
    return BackendUnavailable(
        "The control plane cannot be asked about the project now.", hint="Try again in a moment, or run atelier doctor."
    )
