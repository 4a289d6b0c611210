"""What JSON that comes from anybody may hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier_core import json_values
from atelier_core.json_values import MAX_DEPTH, TooDeep

ANYTHING = st.characters(exclude_categories=()) | st.sampled_from("\0\ud800\udfff")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(ANYTHING),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(ANYTHING), inner),
)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"a": [float("nan")]}, "not finite"),
        ([float("-inf")], "not finite"),
        ("a\0b", "U+0000"),
        ({"\ud83d": 1}, "U+D83D"),
        (nested(MAX_DEPTH + 1), "levels deep"),
    ],
)
def test_what_cannot_be_stored_is_named(value: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("+", r"\+")):
        json_values.check(value)


def test_the_depth_is_bounded() -> None:
    json_values.check(nested(MAX_DEPTH))
    json_values.check_depth(nested(MAX_DEPTH))
    assert json_values.storable(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    for refuse in (json_values.check, json_values.check_depth, json_values.storable):
        with pytest.raises(TooDeep):
            refuse(nested(MAX_DEPTH + 1))


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_what_is_made_storable_is_and_the_rest_stays(value: Any) -> None:
    made = json_values.storable(value)
    json_values.check(made)
    json.dumps(made, allow_nan=False, ensure_ascii=False).encode()
    try:
        json_values.check(value)
    except ValueError:
        return
    assert made == value
