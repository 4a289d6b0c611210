"""The protocol's datatypes and NumPy's, and which of them may stand for which."""

from __future__ import annotations

from typing import Any

import numpy as np

from atelier_serve.errors import Refused

NUMPY: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    "BYTES": np.dtype(object),
}
_NAMES = {dtype: name for name, dtype in NUMPY.items()}
NUMERIC = frozenset(NUMPY) - {"BOOL", "BYTES"}


def name_of(dtype: np.dtype[Any]) -> str:
    """The protocol's name of a NumPy type; whatever is no number is BYTES."""
    return _NAMES.get(dtype.newbyteorder("<"), "BYTES")


def known(datatype: str) -> bool:
    """Whether it is a datatype that this server reads and writes."""
    return datatype in NUMPY


def convert(array: np.ndarray, wanted: str, name: str) -> np.ndarray:
    """The same values in the datatype `wanted`; refused where they would not be the same."""
    dtype = NUMPY[wanted]
    if array.dtype == dtype:
        return array
    kinds = array.dtype.kind + dtype.kind
    if kinds[1] == "f" and kinds[0] in "iuf":
        return array.astype(dtype)
    if kinds[1] in "iu" and kinds[0] in "iuf":
        return _whole(array, dtype, wanted, name)
    raise Refused(
        f"The input {name!r} holds {name_of(array.dtype)}, but the model takes {wanted} there.",
        code="wrong_datatype",
        hint=f"Send {name!r} with the datatype {wanted}.",
    )


def _whole(array: np.ndarray, dtype: np.dtype[Any], wanted: str, name: str) -> np.ndarray:
    limits = np.iinfo(dtype)
    fits = array.dtype.kind != "f" or (np.isfinite(array).all() and (array == np.floor(array)).all())
    # Python's integers compare right across signed, unsigned and floating types; NumPy's would be rounded.
    if not fits or (array.size and not (limits.min <= int(array.min()) and int(array.max()) <= limits.max)):
        raise Refused(
            f"The input {name!r} has values that are no whole numbers from {limits.min} to {limits.max}; the model "
            f"takes {wanted} there.",
            code="wrong_datatype",
            hint="Send whole numbers within that range.",
        )
    return array.astype(dtype)
