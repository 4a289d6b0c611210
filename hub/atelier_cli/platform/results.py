"""The outcome of one check."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Check:
    """What was looked at, what was found, and what to do if it is bad."""

    name: str
    state: Literal["good", "bad", "skipped"]
    message: str
    hint: str = ""

    def json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def good(name: str, message: str) -> Check:
    """As it should be."""
    return Check(name, "good", message)


def bad(name: str, message: str, hint: str) -> Check:
    """Something has to be done."""
    return Check(name, "bad", message, hint)


def skipped(name: str, message: str) -> Check:
    """Could not or need not be looked at."""
    return Check(name, "skipped", message)
