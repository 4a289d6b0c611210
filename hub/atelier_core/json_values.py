"""JSON that people and steps make freely: what can be stored and given back, and what cannot.

Python reads more than others do: numbers that are none, halves of characters, nesting without end. Whoever stores them
finds that nobody can read the row any more.
"""

from __future__ import annotations

import math
import re
from typing import Any

MAX_DEPTH = 64
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


class TooDeep(ValueError):
    """The value is nested too deep to be stored; the message is the end of a sentence."""


def _inside(levels: int) -> int:
    """How many levels there may be inside a list or an object that may have so many itself."""
    if not levels:
        raise TooDeep(f"it is nested more than {MAX_DEPTH} levels deep")
    return levels - 1


def check_depth(value: Any) -> None:
    """Raise `TooDeep` if the value is nested too deep, whatever else may be wrong with it."""
    _check_depth(value, MAX_DEPTH)


def _check_depth(value: Any, levels: int) -> None:
    if isinstance(value, dict | list | tuple):
        inside = _inside(levels)
        for one in value.values() if isinstance(value, dict) else value:
            _check_depth(one, inside)


def check(value: Any) -> None:
    """Raise `ValueError` if the value, or anything inside, cannot be stored; the message is the end of a sentence."""
    _check(value, MAX_DEPTH)


def _check(value: Any, levels: int) -> None:
    if isinstance(value, str):
        found = _NO_TEXT.search(value)
        if found:
            raise ValueError(f"it holds the character U+{ord(found[0]):04X}, which cannot be stored")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("it holds a number that is not finite")
    elif isinstance(value, dict | list | tuple):
        inside = _inside(levels)
        for one in (*value, *value.values()) if isinstance(value, dict) else value:
            _check(one, inside)


def storable(value: Any) -> Any:
    """The value with what cannot be stored replaced: characters by U+FFFD, numbers by null. Raises `TooDeep`."""
    return _storable(value, MAX_DEPTH)


def text(value: str) -> str:
    """The text with what cannot be stored replaced by U+FFFD."""
    return _NO_TEXT.sub(REPLACEMENT, value)


def _storable(value: Any, levels: int) -> Any:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, dict | list | tuple):
        return value
    inside = _inside(levels)
    if isinstance(value, dict):
        return {_storable(key, inside): _storable(one, inside) for key, one in value.items()}
    return [_storable(one, inside) for one in value]
