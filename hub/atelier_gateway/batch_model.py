"""From rows to requests of the Open Inference Protocol, and from its answers back to rows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from atelier_gateway.batch_rows import Row
from atelier_gateway.errors import Refusal

_TRUE, _FALSE = frozenset({"true", "1"}), frozenset({"false", "0"})


class BadValue(Exception):
    """A row that the model cannot be asked about."""


class BadAnswer(Exception):
    """What was answered is no answer to these rows."""


@dataclass(frozen=True)
class Field:
    """One input of the model: `shape` is that of a row, so `[]` or `[1]` for a column."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    @property
    def is_column(self) -> bool:
        """Whether a row has one value of it."""
        return all(size == 1 for size in self.shape)


def fields_of(metadata: Mapping[str, Any]) -> tuple[Field, ...]:
    """The inputs that a model describes."""
    return tuple(
        Field(str(one["name"]), str(one["datatype"]), tuple(int(size) for size in one["shape"][1:]))
        for one in metadata["inputs"]
    )


class Plan:
    """How the rows of one file become the inputs of one model."""

    def __init__(self, fields: Sequence[Field], head: Sequence[str] | None, outputs: Sequence[str]) -> None:
        """`head` are the columns of a file that names them once; `outputs` the wanted ones, empty for all."""
        self._fields = fields
        self._matrix = fields[0] if len(fields) == 1 and not fields[0].is_column else None
        self._outputs = outputs
        if head is not None and self._matrix is None:
            self._fields = [field for field in fields if field.name in head]
            if not self._fields:
                raise _no_column(fields, head)
        self._places = {name: at for at, name in enumerate(head or ())}

    def values(self, row: Row) -> list[Any]:
        """The inputs for a row, one after the other. Raises `BadValue`."""
        if self._matrix is not None:
            return [self._matrix_row(self._matrix, row.given)]
        return [_flat(_pick(row.given, at, field, self._places), field) for at, field in enumerate(self._fields)]

    def _matrix_row(self, field: Field, given: Any) -> list[Any]:
        if isinstance(given, dict):
            given = given[field.name] if field.name in given else list(given.values())
        return _flat(given, field)

    def request(self, rows: Sequence[Row]) -> bytes:
        """The body that asks about rows."""
        inputs = []
        for at, field in enumerate(self._fields):
            parts = [row.values[at] for row in rows]
            if any(len(part) != len(parts[0]) for part in parts):
                raise BadValue("its rows are of several lengths")
            shape = [len(rows), *_sized(field, len(parts[0]))]
            data = [value for part in parts for value in part]
            inputs.append({"name": field.name, "datatype": field.datatype, "shape": shape, "data": data})
        document: dict[str, Any] = {"inputs": inputs}
        if self._outputs:
            document["outputs"] = [{"name": name} for name in self._outputs]
        return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _pick(given: Any, at: int, field: Field, places: Mapping[str, int]) -> Any:
    if isinstance(given, dict):
        return given.get(field.name)
    place = places.get(field.name, at)
    if place >= len(given):
        raise BadValue(f"it has no {field.name!r}")
    return given[place]


def _flat(raw: Any, field: Field) -> list[Any]:
    """The values of one input in one row."""
    values = [_typed(one, field) for one in _leaves(raw)]
    if -1 not in field.shape and len(values) != prod(field.shape):
        what = "columns" if len(field.shape) == 1 else "values"
        raise BadValue(f"it has {len(values)} {what}, but the model takes {prod(field.shape)}")
    return values


def _leaves(raw: Any) -> Iterator[Any]:
    if isinstance(raw, list):
        for one in raw:
            yield from _leaves(one)
    else:
        yield raw


def _sized(field: Field, width: int) -> tuple[int, ...]:
    """The shape of a row, its open size known."""
    known = prod(size for size in field.shape if size != -1)
    return tuple(width // known if size == -1 else size for size in field.shape)


def _typed(raw: Any, field: Field) -> Any:
    if isinstance(raw, dict):
        raise BadValue(f"{field.name!r} is an object")
    if raw is None or (isinstance(raw, str) and not raw.strip()):
        if field.datatype.startswith("FP") or field.datatype == "BYTES":
            return None
        raise BadValue(f"{field.name!r} is missing")
    if field.datatype == "BYTES":
        return raw if isinstance(raw, str) else json.dumps(raw)
    if field.datatype == "BOOL":
        return _bool(raw, field)
    try:
        number = float(raw)
    except (ValueError, OverflowError):
        raise BadValue(f"{field.name!r} is {_shown(raw)}, which is no number") from None
    if field.datatype.startswith("FP"):
        if math.isnan(number):
            return None
        if math.isinf(number):
            raise BadValue(f"{field.name!r} is {_shown(raw)}, which is no number that can be sent")
        return number
    return _whole(raw, number, field)


def _whole(raw: Any, number: float, field: Field) -> int:
    if math.isfinite(number) and number == int(number):
        try:
            return int(raw)  # large ones are not what they are as floats
        except ValueError:
            return int(number)
    raise BadValue(f"{field.name!r} is {_shown(raw)}, which is no whole number")


def _bool(raw: Any, field: Field) -> bool:
    text = str(raw).strip().lower()
    if text not in _TRUE | _FALSE:
        raise BadValue(f"{field.name!r} is {_shown(raw)}, which is neither true nor false")
    return text in _TRUE


def _shown(raw: Any) -> str:
    text = repr(raw)
    return text if len(text) <= 60 else text[:57] + "…"


def take(answer: bytes, rows: Sequence[Row]) -> dict[str, int]:
    """Give each row its answers; how many values each output has of a row. Raises `BadAnswer`."""
    try:
        outputs = json.loads(answer)["outputs"]
        found = {str(one["name"]): list(_leaves(one["data"])) for one in outputs}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadAnswer("The service answered something else than predictions.") from error
    widths = {name: len(values) // len(rows) for name, values in found.items()}
    for name, values in found.items():
        if not values or len(values) % len(rows):
            raise BadAnswer(f"The output {name!r} has {len(values)} values for {len(rows)} rows.")
    for at, row in enumerate(rows):
        row.answer = {
            name: values[at] if widths[name] == 1 else values[at * widths[name] : (at + 1) * widths[name]]
            for name, values in found.items()
        }
    return widths


def _no_column(fields: Sequence[Field], head: Sequence[str]) -> Refusal:
    names = ", ".join(repr(field.name) for field in fields[:10])
    return Refusal(
        422,
        f"The file has none of the columns that the model takes: {names}{' and more' if len(fields) > 10 else ''}.",
        code="wrong_columns",
        hint=f"Its first row names {', '.join(map(repr, list(head)[:10]))}.",
        closes=True,
    )
