"""The rows that an inference request asks about, by column: the Open Inference Protocol (JSON, binary) and v1.

It reads what has been answered already, so what does not fit is not explained: `Unreadable`, and on to the next.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from atelier_core.drift import Value

MOST_UNPACKED = 4 * 1024**2
_PATH = re.compile(r"/v2/models/[^/]+(/versions/[^/]+)?/infer|/v1/models/[^/]+:predict")
_WINDOWS = {"gzip": 31, "deflate": 15}
_FORMATS = {
    "BOOL": "?", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "FP16": "e", "FP32": "f", "FP64": "d",
    "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q",
}  # fmt: skip
Columns = dict[str, list[Value]]


class Unreadable(Exception):
    """A body that holds no rows of these columns."""


def is_inference(method: str, path: str) -> bool:
    """Whether a request asks a model about rows."""
    return method == "POST" and _PATH.fullmatch(path) is not None


def rows(
    path: str, body: bytes, columns: Sequence[str], *, header_length: int | None = None, encoding: str = ""
) -> Columns:
    """The values of each of `columns` in a request; columns that it does not name are left out."""
    content = _unpacked(body, encoding)
    try:
        if path.startswith("/v1/"):
            return _instances(_document(content), columns)
        document = _document(content if header_length is None else content[:header_length])
        rest = b"" if header_length is None else content[header_length:]
        return _inputs(document, rest, columns)
    except (AttributeError, KeyError, TypeError, ValueError, struct.error, RecursionError) as error:
        raise Unreadable(str(error)) from error


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding in ("", "identity"):
        return body
    if encoding not in _WINDOWS:
        raise Unreadable(f"the encoding {encoding!r}")
    unpacking = zlib.decompressobj(_WINDOWS[encoding])
    try:
        content = unpacking.decompress(body, MOST_UNPACKED)
    except zlib.error as error:
        raise Unreadable(str(error)) from None
    if not unpacking.eof:
        raise Unreadable("it is cut, or too large")
    return content


def _document(content: bytes) -> Mapping[str, Any]:
    document = json.loads(content)
    if not isinstance(document, dict):
        raise Unreadable("no JSON object")
    return document


# --- v1 ---


def _instances(document: Mapping[str, Any], columns: Sequence[str]) -> Columns:
    instances = document["instances"]
    if all(isinstance(row, dict) for row in instances):
        named = [name for name in columns if any(name in row for row in instances)]
        return {name: [_value(row.get(name)) for row in instances] for name in named}
    return _matrix([[_value(one) for one in row] if isinstance(row, list) else [row] for row in instances], columns)


def _matrix(table: Sequence[Sequence[Value]], columns: Sequence[str]) -> Columns:
    """Columns by their order."""
    if any(len(row) != len(columns) for row in table):
        raise Unreadable("another number of columns")
    return {name: [row[at] for row in table] for at, name in enumerate(columns)}


def _value(raw: Any) -> Value:
    if raw is None or isinstance(raw, bool | int | float | str):
        return raw
    raise Unreadable("a value that is a list or an object")


# --- v2 ---


def _inputs(document: Mapping[str, Any], binary: bytes, columns: Sequence[str]) -> Columns:
    found: Columns = {}
    known = set(columns)
    given = document["inputs"]
    for raw, part in _with_binary(given, binary):
        name, shape = raw["name"], [int(size) for size in raw["shape"]]
        values = [_value(one) for one in (_flat(raw["data"]) if part is None else _unpack(raw["datatype"], part))]
        if len(values) != prod(shape) or not shape:
            raise Unreadable("shape and data differ")
        width = prod(shape[1:])
        if name in known and width == 1:
            found[name] = values
        elif len(given) == 1 and width == len(columns):
            return _matrix([values[at : at + width] for at in range(0, len(values), width)], columns)
        else:
            raise Unreadable(f"the input {name!r}")
    if len({len(values) for values in found.values()}) > 1:
        raise Unreadable("columns of several lengths")
    return found


def _with_binary(given: Sequence[Any], binary: bytes) -> Iterator[tuple[Any, bytes | None]]:
    at = 0
    for raw in given:
        size = (raw.get("parameters") or {}).get("binary_data_size")
        if size is None:
            yield raw, None
            continue
        if not 0 <= size <= len(binary) - at:
            raise Unreadable("binary data that are cut")
        yield raw, binary[at : at + size]
        at += size


def _flat(data: Any) -> Iterator[Any]:
    """Nested lists one value after the other."""
    for one in data:
        if isinstance(one, list):
            yield from _flat(one)
        else:
            yield one


def _unpack(datatype: str, data: bytes) -> Iterator[Value]:
    if datatype == "BYTES":
        at = 0
        while at < len(data):
            (length,) = struct.unpack_from("<I", data, at)
            at += 4 + length
            if at > len(data):
                raise Unreadable("a text that is cut")
            yield data[at - length : at].decode("utf-8", "replace")
        return
    for (value,) in struct.iter_unpack("<" + _FORMATS[datatype], data):
        yield value
