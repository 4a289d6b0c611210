"""Flavors: what one replica may have."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from atelier_core.flavor import DEFAULTS, Flavor


def test_as_a_person_writes_it() -> None:
    flavor = Flavor.model_validate(
        {"name": "gpu", "cpu": 4, "memory": "16Gi", "accelerator": "nvidia.com/gpu", "accelerators": 1}
    )
    assert flavor.memory == 16 * 1024**3 and flavor.cluster == "" and flavor.node_labels == {}
    assert [one.name for one in DEFAULTS] == ["small", "medium", "large"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Big One"},
        {"cpu": 0},
        {"memory": "much"},
        {"memory": 0},
        {"accelerators": 1},
        {"accelerator": "x"},
        {"more": 1},
    ],
)
def test_what_is_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Flavor.model_validate({"name": "small", "cpu": 1, "memory": "1Gi", **wrong})
