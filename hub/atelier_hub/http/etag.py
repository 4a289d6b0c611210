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


def _if_match(if_match: Annotated[str | None, Header()] = None) -> int | None:
    if if_match is None:
        raise Conflict(
            "This edit does not say which version it was made from.",
            code="if_match_required",
            hint="Read the object first and send its ETag as If-Match (or If-Match: * to overwrite whatever is there).",
        )
    if if_match.strip() == "*":
        return None
    found = _ETAG.fullmatch(if_match.strip())
    return int(found[1]) if found else -1


IfMatch = Annotated[int | None, Depends(_if_match)]
"""The version that an edit was made from; none means any. A route that takes it answers 428 without the header."""


def check_version(expected: int | None, actual: int) -> None:
    """Refuse (412) an edit that was made from another version."""
    if expected is not None and expected != actual:
        raise Conflict(
            "Somebody changed it since you read it.", code="stale", hint="Read it again and repeat the change."
        )
