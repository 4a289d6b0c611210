"""ETags: an edit says which version it was made from, so that nobody overwrites what they have not seen."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Header, Response

from atelier_core.errors import Conflict

_ETAG = re.compile(r'(?:W/)?"(\d{1,18})"')


def set_etag(response: Response, version: int) -> None:
    """Send `version` along as the object's ETag."""
    response.headers["ETag"] = f'"{version}"'


def _if_match(if_match: Annotated[str | None, Header()] = None) -> str | None:
    return if_match


IfMatch = Annotated[str | None, Depends(_if_match)]
"""The version that an edit was made from; `check_version` refuses the edit if it is missing or stale."""


def check_version(if_match: str | None, actual: int) -> None:
    """Refuse an edit that does not say what it was made from (428), or was made from another version (412)."""
    if if_match is None:
        raise Conflict(
            "This edit does not say which version it was made from.",
            code="if_match_required",
            hint="Read the object first and send its ETag as If-Match (or If-Match: * to overwrite whatever is there).",
        )
    found = _ETAG.fullmatch(if_match.strip())
    if if_match.strip() != "*" and (found is None or int(found[1]) != actual):
        raise Conflict(
            "Somebody changed it since you read it.", code="stale", hint="Read it again and repeat the change."
        )
