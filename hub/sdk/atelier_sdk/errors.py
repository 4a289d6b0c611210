"""What can go wrong, as one exception that a person can read."""

from __future__ import annotations

from typing import Any


class AtelierError(Exception):
    """What happened (`message`), a stable `code` for programs, and what to do next (`hint`).

    `status` is the HTTP status (0: there was no answer), `trace` finds the request in the platform's log.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "error",
        hint: str = "",
        status: int = 0,
        trace: str = "",
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.status = status
        self.trace = trace
        self.details = details or {}

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class Unreachable(AtelierError):
    """The platform did not answer; nothing is known about what it did."""


class NotSignedIn(AtelierError):
    """There is no token, or the platform does not accept it any more."""


class SnapshotError(AtelierError):
    """A folder that cannot be packed as it is."""
