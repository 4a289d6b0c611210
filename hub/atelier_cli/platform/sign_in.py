"""The token that `atelier up` leaves for whoever ran it: no more than the CLI needs, readable by them alone."""

from __future__ import annotations

from pathlib import Path

import httpx

from atelier_cli.platform.layout import Layout, Settings, load_secrets, write_private
from atelier_core.errors import BackendUnavailable
from atelier_sdk.credentials import Credentials
from atelier_sdk.credentials import save as save_credentials

NOTE = "atelier up"
# Use and administer the platform, and say whose token it is.
SCOPES = ("access:services!service=atelier", "custom:atelier:use", "custom:atelier:admin", "read:users!user")


def sign_in(layout: Layout, settings: Settings, credentials: Path | None) -> str:
    """Leave a valid token in the data folder and in the CLI's file; the one from last time if it is still good."""
    token = layout.token.read_text().strip() if layout.token.exists() else ""
    if owner(settings, token) != settings.admin:
        token = _mint(layout, settings)
        write_private(layout.token, token + "\n")
    save_credentials(Credentials(url=settings.service_url, token=token), credentials)
    return token


def owner(settings: Settings, token: str) -> str:
    """Whose token it is; empty if it is not valid."""
    if not token:
        return ""
    try:
        answer = httpx.get(f"{settings.hub_url}/hub/api/user", headers=_bearer(token), timeout=10, trust_env=False)
    except httpx.HTTPError:
        return ""
    return str(answer.json().get("name", "")) if answer.status_code == 200 else ""


def _mint(layout: Layout, settings: Settings) -> str:
    url = f"{settings.hub_url}/hub/api/users/{settings.admin}/tokens"
    body = {"note": NOTE, "scopes": list(SCOPES)}
    bearer = _bearer(load_secrets(layout).supervisor)
    answer = httpx.post(url, json=body, headers=bearer, timeout=10, trust_env=False)
    if answer.status_code != 201:
        raise BackendUnavailable(
            f"The hub gave no token for {settings.admin!r} (status {answer.status_code}): {answer.text[:300]}",
            code="no_token",
            hint=f"The hub's log is {layout.log('hub')}.",
        )
    return str(answer.json()["token"])


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"token {token}"}
