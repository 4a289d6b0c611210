"""What the gateway itself answers: `{message, code, hint}`, and `error` for clients of the inference protocol."""

from __future__ import annotations

import json
from typing import Any

from atelier_core.errors import AtelierError

Headers = list[tuple[bytes, bytes]]


class Refusal(AtelierError):
    """An answer of the gateway that is no answer of a service."""

    def __init__(
        self, status: int, message: str, *, code: str, hint: str = "", retry_after: int = 0, closes: bool = False
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.status = status
        self.retry_after = retry_after
        self.closes = closes
        """Whether the connection ends with it, because the request was not read to its end."""

    def body(self) -> bytes:
        """As JSON."""
        shown = {"message": self.message, "code": self.code, "hint": self.hint, "error": self.message}
        return json.dumps(shown, ensure_ascii=False).encode()

    def headers(self, request_id: bytes = b"", *, close: bool = False) -> Headers:
        """Of the answer; `close` ends the connection with it."""
        found: Headers = [(b"content-type", b"application/json"), (b"x-content-type-options", b"nosniff")]
        if request_id:
            found.append((b"x-request-id", request_id))
        if self.retry_after:
            found.append((b"retry-after", str(self.retry_after).encode()))
        if self.status == 401:
            found.append((b"www-authenticate", b"Bearer"))
        if self.closes or close:
            found.append((b"connection", b"close"))
        return found


class VisitorGone(Exception):
    """Nobody waits for the answer any more."""


def unauthorized(message: str = "You are not signed in, or your key is not valid any more.") -> Refusal:
    """Nobody, or somebody whose token is over."""
    hint = "Send a service key or a token of the hub: Authorization: Bearer …"
    return Refusal(401, message, code="unauthorized", hint=hint)


def not_found(what: str) -> Refusal:
    """There is nothing."""
    return Refusal(404, f"There is no {what}.", code="not_found", hint="Check the address.")


def unavailable(message: str, *, code: str, hint: str = "Try again in a moment.", retry_after: int = 2) -> Refusal:
    """Not now."""
    return Refusal(503, message, code=code, hint=hint, retry_after=retry_after)


async def answer(
    send: Any, refusal: Refusal, request_id: bytes = b"", *, head: bool = False, close: bool = False
) -> None:
    """Send it."""
    await reply(send, refusal.status, refusal.body(), refusal.headers(request_id, close=close), head=head)


async def reply(send: Any, status: int, body: bytes, headers: Headers, *, head: bool = False) -> None:
    """Send one whole answer."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": b"" if head else body})


async def reply_json(send: Any, value: Any, status: int = 200) -> None:
    """Send a JSON value."""
    await reply(send, status, json.dumps(value).encode(), [(b"content-type", b"application/json")])
