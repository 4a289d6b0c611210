"""What a model takes and gives: named fields, read from the signature that MLflow writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from atelier_serve import datatypes
from atelier_serve.errors import CannotServe, Exit

_COLUMN_TYPES = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
    "binary": "BYTES",
    "datetime": "BYTES",
}
UNNAMED_INPUT = "input"


@dataclass(frozen=True)
class Field:
    """One input or output; -1 in `shape` is any size. `content` tells BYTES apart: text, binary or datetime.

    Nothing is known of a `free` one: any shape and datatype is passed on.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    required: bool = True
    content: str = "text"
    named: bool = True
    free: bool = False

    @property
    def numeric(self) -> bool:
        """Whether it may be a column of a matrix of numbers."""
        return self.datatype in datatypes.NUMERIC

    def document(self) -> dict[str, Any]:
        """As the protocol's metadata has it."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


@dataclass(frozen=True)
class Signature:
    """`columns` says that the inputs are the columns of one table, each of shape [rows, 1]."""

    inputs: tuple[Field, ...] = ()
    outputs: tuple[Field, ...] = ()
    columns: bool = False

    @property
    def all_numeric(self) -> bool:
        """Whether one matrix of numbers can hold all columns."""
        return self.columns and all(field.numeric for field in self.inputs)


def table(names: Sequence[str], datatype: str = "FP64") -> Signature:
    """The signature of a model that takes these columns."""
    return Signature(inputs=tuple(Field(name, datatype, (-1, 1)) for name in names), columns=True)


def read(raw: Any) -> Signature:
    """What stands under `signature` in an MLmodel file; an empty signature if there is none."""
    if not isinstance(raw, Mapping):
        return Signature()
    inputs, columns = _fields(raw.get("inputs"), UNNAMED_INPUT)
    outputs, _ = _fields(raw.get("outputs"), "")
    return Signature(inputs, outputs, columns)


def _fields(raw: Any, unnamed: str) -> tuple[tuple[Field, ...], bool]:
    if not raw:
        return (), False
    try:
        entries = json.loads(raw) if isinstance(raw, str) else raw
        tensors = [entry["type"] == "tensor" for entry in entries]
        if any(tensors):
            return tuple(_tensor(entry, unnamed) for entry in entries), False
        return tuple(_column(entry, number, unnamed) for number, entry in enumerate(entries)), True
    except (ValueError, KeyError, TypeError) as error:
        raise CannotServe(f"The signature in MLmodel cannot be read: {error!r}.", Exit.BROKEN_MODEL) from None


def _column(entry: Mapping[str, Any], number: int, unnamed: str) -> Field:
    kind = str(entry["type"])
    name = entry.get("name")
    if kind not in _COLUMN_TYPES:
        if not unnamed:  # what comes out is what the model returns, whatever was said
            return Field(str(name or ""), "BYTES", (-1,), named=name is not None)
        raise CannotServe(
            f"The column {name!r} of the model's signature is of the type {kind!r}, which cannot be served: "
            "use columns of numbers and texts, or a tensor.",
            Exit.UNKNOWN_FORMAT,
        )
    content = kind if kind in ("binary", "datetime") else "text"
    shape = (-1, 1) if unnamed else (-1,)
    return Field(
        str(number) if name is None and unnamed else str(name or ""),
        _COLUMN_TYPES[kind],
        shape,
        bool(entry.get("required", True)),
        content,
        name is not None,
    )


def _tensor(entry: Mapping[str, Any], unnamed: str) -> Field:
    spec = entry["tensor-spec"]
    datatype = datatypes.name_of(np.dtype(spec["dtype"]))
    shape = tuple(int(size) for size in spec["shape"])
    name = entry.get("name")
    return Field(str(name or unnamed), datatype, shape, named=name is not None)
