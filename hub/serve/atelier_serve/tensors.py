"""Tensors as they come and go: the protocol's JSON, and its binary extension behind the JSON."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from atelier_serve import datatypes
from atelier_serve.errors import Refused

_LENGTH = struct.Struct("<I")
_MAX_DIMENSIONS = 32


class Tensor(NamedTuple):
    """An input as it was sent. BYTES hold `str` where they came as JSON, `bytes` where they came as binary."""

    name: str
    datatype: str
    array: np.ndarray


def shape_of(raw: Any, name: str) -> tuple[int, ...]:
    """A shape as the protocol has it."""
    if (
        type(raw) is not list
        or len(raw) > _MAX_DIMENSIONS
        or not all(type(size) is int and 0 <= size < 2**48 for size in raw)
    ):
        raise Refused(
            f"The shape of the input {name!r} is no list of whole numbers.",
            code="bad_shape",
            hint='Give the size of every dimension, for example "shape": [1, 4].',
        )
    return tuple(raw)


def from_json(name: str, datatype: str, shape: tuple[int, ...], data: Any) -> Tensor:
    """`data` is a list, flat or nested like the shape."""
    if type(data) is not list:
        raise Refused(
            f"The input {name!r} has no data.",
            code="no_data",
            hint='Give "data" as a list, or send it as binary with the parameter "binary_data_size".',
        )
    array = _texts(name, data) if datatype == "BYTES" else _numbers(name, datatype, data)
    if array.shape != shape:
        if array.ndim != 1 or array.size != math.prod(shape):
            raise Refused(
                f"The data of the input {name!r} are of the shape {list(array.shape)}, which is not {list(shape)}.",
                code="bad_shape",
                hint="Make shape and data agree; data are one flat list, or lists nested like the shape.",
            )
        array = array.reshape(shape)
    return Tensor(name, datatype, array)


def _numbers(name: str, datatype: str, data: list[Any]) -> np.ndarray:
    try:
        array = np.array(data)
    except (ValueError, OverflowError):
        raise _not_values(name, datatype) from None
    kind = array.dtype.kind
    if not array.size:
        return array.astype(datatypes.NUMPY[datatype])
    if kind == "O" and datatype.startswith("FP"):
        array, kind = _with_missing(array, name, datatype), "f"
    if datatype == "BOOL":
        if kind != "b":
            raise _not_values(name, datatype)
        return array
    if kind not in ("iuf" if datatype.startswith("FP") else "iu"):
        raise _not_values(name, datatype)
    return datatypes.convert(array, datatype, name)


def _with_missing(array: np.ndarray, name: str, datatype: str) -> np.ndarray:
    """JSON cannot write NaN: `null` among numbers is a missing value."""
    if not all(value is None or type(value) in (int, float) for value in array.flat):
        raise _not_values(name, datatype)
    return array.astype(np.float64)


def _texts(name: str, data: list[Any]) -> np.ndarray:
    flat: list[Any] = []
    pending = [iter(data)]
    while pending:
        for value in pending[-1]:
            if type(value) is list:
                pending.append(iter(value))
                break
            if value is not None and type(value) is not str:
                raise _not_values(name, "BYTES")
            flat.append(value)
        else:
            pending.pop()
    array = np.empty(len(flat), dtype=object)
    array[:] = flat
    return array


def _not_values(name: str, datatype: str) -> Refused:
    kind = {"BYTES": "texts", "BOOL": "true and false"}.get(
        datatype, "numbers" if datatype.startswith("FP") else "whole numbers"
    )
    return Refused(
        f"The data of the input {name!r} are not {kind}, as its datatype {datatype} says.",
        code="wrong_datatype",
        hint=f"Send {kind}, all rows of the same length, or name another datatype.",
    )


def from_binary(name: str, datatype: str, shape: tuple[int, ...], data: memoryview) -> Tensor:
    """`data` are the raw values in row order, little-endian; each of BYTES with its length before it."""
    count = math.prod(shape)
    if datatype == "BYTES":
        return Tensor(name, datatype, _split(name, data, count).reshape(shape))
    dtype = datatypes.NUMPY[datatype]
    if len(data) != count * dtype.itemsize:
        raise Refused(
            f"The input {name!r} has {len(data)} bytes, but {datatype} of the shape {list(shape)} are "
            f"{count * dtype.itemsize}.",
            code="bad_shape",
            hint="Make shape, datatype and binary_data_size agree.",
        )
    # A copy: models may need their memory aligned and writable.
    return Tensor(name, datatype, np.frombuffer(data, dtype).reshape(shape).copy())


def _split(name: str, data: memoryview, count: int) -> np.ndarray:
    values: list[bytes] = []
    at, end = 0, len(data)
    while at + 4 <= end and len(values) < count:
        (length,) = _LENGTH.unpack_from(data, at)
        at += 4 + length
        if at > end:
            break
        values.append(bytes(data[at - length : at]))
    if at != end or len(values) != count:
        raise Refused(
            f"The binary data of the input {name!r} are not {count} texts.",
            code="bad_shape",
            hint="Each text is its length as four bytes, little-endian, and then its bytes.",
        )
    array = np.empty(count, dtype=object)
    array[:] = values
    return array


def to_json(array: np.ndarray) -> Any:
    """What orjson writes as a flat list."""
    if array.dtype.kind in "OUS":
        return [_text(value) for value in array.ravel().tolist()]
    return np.ascontiguousarray(array).ravel()


def to_binary(array: np.ndarray) -> bytes:
    """The raw values, as `from_binary` reads them."""
    if array.dtype.kind not in "OUS":
        return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    parts = bytearray()
    for value in array.ravel().tolist():
        one = value if isinstance(value, bytes) else _text(value).encode()
        parts += _LENGTH.pack(len(one)) + one
    return bytes(parts)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def parameters_of(raw: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    """The `parameters` of a request, an input or an output."""
    found = raw.get("parameters")
    if found is None:
        return {}
    if type(found) is not dict:
        raise Refused(f"The parameters of {what} are no object.", code="bad_request", hint="Leave them out.")
    return found
