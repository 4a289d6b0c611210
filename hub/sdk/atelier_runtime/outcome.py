"""How a replica ended, in the words that the control plane understands."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

EXIT_CODE = "ExitCode"
OUTPUT_MISSING = "OutputMissing"
OOM_KILLED = "OOMKilled"
COMMAND_NOT_FOUND = "CommandNotFound"
BAD_SPEC = "BadSpec"
INPUT_UNAVAILABLE = "InputUnavailable"
OUTPUT_UNSTORED = "OutputUnstored"
DEADLINE_EXCEEDED = "DeadlineExceeded"
CANCELLED = "Cancelled"
GONE = "Gone"
SHIM_LOST = "ShimLost"
START_FAILED = "StartFailed"


@dataclass
class Outcome:
    """The content of `exit-<replica>.json` and of the report. `reason` is empty after success.

    `exit_code` is None where the command never ran.
    """

    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    stored: bool = False
    started_at: float = 0
    ended_at: float = 0

    def fail(self, reason: str, message: str) -> Outcome:
        """Turn it into a failure; the first reason stays."""
        if not self.reason:
            self.reason, self.message = reason, message
        return self

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


class Failure(Exception):
    """A stage of the shim failed for a reason that the control plane knows."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Stopped(BaseException):
    """Somebody asked the shim to stop; not an error, so nothing may swallow it."""
