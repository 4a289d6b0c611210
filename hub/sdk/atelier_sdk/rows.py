"""Rows of a table as tensors of the Open Inference Protocol, without the packages that tables are of."""

from __future__ import annotations

from typing import Any

_WHOLE, _NUMBERS, _TRUTHS, _TEXTS = "INT64", "FP64", "BOOL", "BYTES"


def tensors(rows: Any) -> list[dict[str, Any]]:
    """A data frame gives a tensor for each column; an array or a list of rows gives one for all."""
    if hasattr(rows, "columns") and hasattr(rows, "to_dict"):
        return [_column(str(name), values) for name, values in rows.to_dict("list").items()]
    listed = rows.tolist() if hasattr(rows, "tolist") else [list(row) for row in rows]
    flat = [None if _absent(value) else value for row in listed for value in row]
    shape = [len(listed), len(listed[0]) if listed else 0]
    return [{"name": "rows", "shape": shape, "datatype": _kind(flat), "data": flat}]


def _column(name: str, values: list[Any]) -> dict[str, Any]:
    data = [None if _absent(value) else value for value in values]
    return {"name": name, "shape": [len(values), 1], "datatype": _kind(values), "data": data}


def _kind(values: list[Any]) -> str:
    there = [value for value in values if not _absent(value)]
    if there and all(isinstance(value, bool) for value in there):
        return _TRUTHS
    if len(there) == len(values) and all(isinstance(value, int) for value in there):
        return _WHOLE
    return _NUMBERS if all(isinstance(value, int | float) for value in there) else _TEXTS


def _absent(value: Any) -> bool:
    return value is None or value != value  # noqa: PLR0124 - that is what NaN is
