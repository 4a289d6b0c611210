"""How a replica ended, in the words that the control plane understands."""

from __future__ import annotations

import math
import re
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

DEPTH = 64
_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")  # NUL, and halves of characters: of a file name, or JSON's escapes


class TooDeep(ValueError):
    """A value is nested deeper than may be."""


def plain(value: Any, depth: int = DEPTH) -> Any:
    """`value`, a JSON value, as every database and every JSON parser takes it; `TooDeep` if it is not.

    A number that is none, as the loss of a training that diverged, becomes null.
    """
    if isinstance(value, str):
        return _NOT_STORABLE.sub("\ufffd", value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, (dict, list)):
        return value
    if not depth:
        raise TooDeep
    if isinstance(value, list):
        return [plain(item, depth - 1) for item in value]
    return {plain(key): plain(item, depth - 1) for key, item in value.items()}


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
        found: dict[str, Any] = plain(asdict(self), DEPTH + 1)  # values are an object in the document
        return found


class Failure(Exception):
    """A stage of the shim failed for a reason that the control plane knows."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Stopped(BaseException):
    """Somebody asked the shim to stop; not an error, so nothing may swallow it."""
