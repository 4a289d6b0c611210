"""What a caller or an operator is told when something is not as it should be."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How the process ends."""

    OK = 0
    USAGE = 2
    UNKNOWN_FORMAT = 3  # nothing in the folder that can be served
    NO_FRAMEWORK = 4  # the framework is not installed here
    WRONG_VERSION = 5  # the framework here cannot read what another version of it wrote
    BROKEN_MODEL = 6  # the right framework refuses the file
    NO_PORT = 7  # the address is taken


class CannotServe(Exception):
    """The process has to end; `message` is one sentence for whoever reads its log."""

    def __init__(self, message: str, exit_code: Exit) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code


class Refused(Exception):
    """A request that is not answered as asked: what happened, a stable code for programs, and what to do next."""

    def __init__(self, message: str, *, code: str, hint: str = "", status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.status = status

    def document(self) -> dict[str, str]:
        """As it is sent; clients of the protocol read `error`."""
        return {"error": self.message, "message": self.message, "code": self.code, "hint": self.hint}


def loading() -> Refused:
    """Asked too early."""
    return Refused("The model is still being loaded.", code="loading", hint="Try again soon.", status=503)


def internal() -> Refused:
    """Something here is wrong, and nothing of it is told to the caller."""
    return Refused(
        "The server failed on this request.", code="internal", hint="The log of the service says why.", status=500
    )
