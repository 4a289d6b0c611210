"""Errors that a person may see. Everything else is a bug and is shown as an internal error without detail.

Each carries a `message` (what happened and why), a stable `code` for programs, and a `hint` (what to do next).
`atelier_hub.http.errors` maps them to status codes, once.
"""

from __future__ import annotations


class AtelierError(Exception):
    """Base of everything that may be shown to a person."""

    code = "error"

    def __init__(self, message: str, *, code: str | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.hint = hint


class Invalid(AtelierError):
    """The request cannot be carried out as it is written."""

    code = "invalid"


class Unauthorized(AtelierError):
    """Nobody is signed in, or the token is not valid any more."""

    code = "unauthorized"


class Forbidden(AtelierError):
    """The signed-in person may see this but may not do it."""

    code = "forbidden"


class NotFound(AtelierError):
    """It does not exist, or the person may not know that it does."""

    code = "not_found"


class Conflict(AtelierError):
    """It changed meanwhile, or its state does not allow this."""

    code = "conflict"


class QuotaExceeded(AtelierError):
    """The project has used up what it may have."""

    code = "quota_exceeded"


class TooMany(AtelierError):
    """The person has as much of it open as one may have; trying again in `retry_after` seconds may work."""

    code = "too_many"

    def __init__(self, message: str, *, code: str | None = None, hint: str = "", retry_after: int = 10) -> None:
        super().__init__(message, code=code, hint=hint)
        self.retry_after = retry_after


class TooLarge(AtelierError):
    """The body is larger than the limit."""

    code = "too_large"


class BackendUnavailable(AtelierError):
    """The engine that should carry this out cannot be reached now; trying again later may work."""

    code = "backend_unavailable"


class StorageFull(AtelierError):
    """There is no room left where the platform keeps its data."""

    code = "storage_full"
