"""What all bodies of requests have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

from atelier_core import json_values


class Body(BaseModel):
    """The body of a request: no field that nobody knows, and nothing in it that could not be given back."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        json_values.check(value)
        return value
