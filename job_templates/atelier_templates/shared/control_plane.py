"""What a step may ask of Atelier itself, in the name of whoever runs it: with the attempt's token, while it runs."""

from __future__ import annotations

import json
import os
import time
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import step

WAIT = 60
PATIENCE = 600
_AGAIN = (429, 502, 503, 504)


def ask(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """One request; while Atelier restarts it is tried again, so it must be one that may come twice."""
    address, token = os.environ.get("ATELIER_ATTEMPT_URL", ""), os.environ.get("ATELIER_ATTEMPT_TOKEN", "")
    if not address or not token:
        step.fail("This step asks Atelier itself, so it runs only as a step of a run.")
    until, pause = time.monotonic() + PATIENCE, 1.0
    while True:
        try:
            return _once(method, f"{address}/{path}", token, body)
        except HTTPError as error:
            if error.code not in _AGAIN or time.monotonic() > until:
                step.fail(_sentence(error))
        except (URLError, HTTPException, OSError) as error:
            if time.monotonic() > until:
                step.fail(f"Atelier cannot be reached: {getattr(error, 'reason', error)}.")
        time.sleep(pause)
        pause = min(pause * 2, 15)


def _once(method: str, address: str, token: str, body: dict[str, Any] | None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = Request(address, data=data, headers=headers, method=method)  # noqa: S310 - the platform's own address
    with urlopen(request, timeout=WAIT) as answer:  # noqa: S310
        found: dict[str, Any] = json.loads(answer.read())
        return found


def _sentence(error: HTTPError) -> str:
    """What Atelier says about it."""
    try:
        said = json.loads(error.read())
        return f"{said['message']} {said.get('hint', '')}".strip()
    except (ValueError, KeyError, TypeError, OSError):
        return f"Atelier answered {error.code} ({error.reason})."
