"""From the tensors of a request to what the model takes; whatever does not fit the signature is refused here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from atelier_serve import datatypes
from atelier_serve.errors import CannotServe, Exit, Refused
from atelier_serve.model import Model
from atelier_serve.signature import UNNAMED_INPUT, Field, Signature, table
from atelier_serve.tensors import Tensor
from atelier_serve.wire import names

_MATRIX = Field(UNNAMED_INPUT, "FP64", (-1, -1), named=False)


class Arrangement(ABC):
    """How requests become what the model takes. `inputs` is what the metadata say."""

    inputs: tuple[Field, ...]

    @abstractmethod
    def __call__(self, given: Sequence[Tensor]) -> Any:
        """What `predict` gets."""

    @abstractmethod
    def blank(self) -> Any:
        """One row of zeros and empty texts, to warm the model up with."""


def arrangement(model: Model, signature: Signature) -> Arrangement:
    """The one that fits; a model that cannot be asked in any way is not served."""
    if model.takes == "tensors":
        return _for_tensors(model, signature)
    if signature.columns:
        if model.takes == "matrix" and signature.all_numeric:
            return Columns(signature, lambda columns: columns.matrix)
        return Columns(signature, lambda columns: columns.frame)
    if signature.inputs:
        if len(signature.inputs) > 1:
            raise CannotServe(
                f"The signature names {len(signature.inputs)} tensors, but a model of this kind takes one.",
                Exit.UNKNOWN_FORMAT,
            )
        return Tensors(signature.inputs, _only)
    if model.inputs and all(field.named for field in model.inputs):
        return arrangement(model, table([field.name for field in model.inputs]))
    return Tensors(model.inputs or (_MATRIX,), _only)


def _only(tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    return next(iter(tensors.values()))


def _for_tensors(model: Model, signature: Signature) -> Arrangement:
    """The tensors are the model's own. Columns are put into its one matrix where it takes one."""
    own = model.inputs
    matrix = own[0] if len(own) == 1 and own[0].numeric and len(own[0].shape) == 2 else None
    if signature.all_numeric and matrix and matrix.shape[1] in (-1, len(signature.inputs)):
        name, datatype = matrix.name, matrix.datatype
        if not (len(signature.inputs) == 1 and signature.inputs[0].name == name):
            return Columns(signature, lambda columns: {name: datatypes.convert(columns.matrix, datatype, name)})
    return Tensors(own or signature.inputs or (_MATRIX,), dict)


class Tensors(Arrangement):
    """One tensor for each input."""

    def __init__(self, inputs: tuple[Field, ...], pack: Callable[[dict[str, np.ndarray]], Any]) -> None:
        self.inputs = inputs
        self._pack = pack

    def __call__(self, given: Sequence[Tensor]) -> Any:
        if len(self.inputs) == 1 == len(given) and not self.inputs[0].named:
            return self._pack({self.inputs[0].name: self._one(self.inputs[0], given[0])})
        found = {tensor.name: tensor for tensor in given}
        _refuse_other_names(found, self.inputs)
        return self._pack({field.name: self._one(field, found[field.name]) for field in self.inputs})

    def _one(self, field: Field, tensor: Tensor) -> np.ndarray:
        if field.free and tensor.array.dtype.kind != "O":
            return tensor.array
        shape = tensor.array.shape
        fits = len(shape) == len(field.shape) and all(
            want in (-1, size) for size, want in zip(shape, field.shape, strict=True)
        )
        if not fits or 0 in shape:
            raise Refused(
                f"The input {tensor.name!r} is of the shape {list(shape)}, but the model takes {list(field.shape)}.",
                code="bad_shape",
                hint="A size of -1 is any number from 1; the others must be as they are.",
            )
        if field.datatype == "BYTES":
            return _content(tensor.array, field, tensor.name)
        return datatypes.convert(tensor.array, field.datatype, tensor.name)

    def blank(self) -> Any:
        def one(field: Field) -> np.ndarray:
            shape = tuple(max(1, size) for size in field.shape)
            return np.full(shape, "" if field.datatype == "BYTES" else 0, datatypes.NUMPY[field.datatype])

        return self._pack({field.name: one(field) for field in self.inputs})


class Columns(Arrangement):
    """A table: one tensor for each column, or one matrix where all columns are numbers."""

    def __init__(self, signature: Signature, pack: Callable[[_Table], Any]) -> None:
        self.inputs = signature.inputs
        self._names = [field.name for field in signature.inputs]
        self._by_matrix = signature.all_numeric
        self._same = len({field.datatype for field in signature.inputs}) == 1
        self._pack = pack

    def __call__(self, given: Sequence[Tensor]) -> Any:
        if self._by_matrix and len(given) == 1 and given[0].name not in self._names:
            return self._pack(self._from_matrix(given[0]))
        found = {tensor.name: tensor for tensor in given}
        _refuse_other_names(found, self.inputs)
        rows = _rows(given)
        columns = [self._column(field, found.get(field.name), rows) for field in self.inputs]
        return self._pack(_Table(self._names, columns))

    def _from_matrix(self, tensor: Tensor) -> _Table:
        array, wide = tensor.array, len(self.inputs)
        if array.ndim != 2 or array.shape[1] != wide or not len(array):
            raise Refused(
                f"The input {tensor.name!r} is of the shape {list(array.shape)}, but the model takes [-1, {wide}]: "
                "one row for each prediction, one column for each of its inputs.",
                code="bad_shape",
                hint=f"The columns are {names(self._names)}, in this order.",
            )
        if self._same:
            matrix = datatypes.convert(array, self.inputs[0].datatype, tensor.name)
            return _Table(self._names, None, matrix)
        columns = [datatypes.convert(array[:, at], field.datatype, field.name) for at, field in enumerate(self.inputs)]
        return _Table(self._names, columns)

    def _column(self, field: Field, tensor: Tensor | None, rows: int) -> np.ndarray:
        if tensor is None:
            return np.full(rows, np.nan) if field.numeric else np.full(rows, None, dtype=object)
        array = tensor.array.reshape(-1)
        if field.datatype == "BYTES":
            return _content(array, field, field.name)
        return datatypes.convert(array, field.datatype, field.name)

    def blank(self) -> Any:
        columns = [np.full(1, "" if f.datatype == "BYTES" else 0, datatypes.NUMPY[f.datatype]) for f in self.inputs]
        return self._pack(_Table(self._names, columns))


class _Table:
    """Columns of one length, as a matrix of numbers or as a pandas table, whichever the model takes."""

    def __init__(self, names: list[str], columns: list[np.ndarray] | None, matrix: np.ndarray | None = None) -> None:
        self._names = names
        self._columns = columns
        self._given = matrix

    @cached_property
    def matrix(self) -> np.ndarray:
        """All columns beside each other."""
        return self._given if self._given is not None else np.column_stack(self._columns or [])

    @property
    def frame(self) -> Any:
        """A table with the columns' names. Columns of one type are stacked first: pandas is slow with many."""
        import pandas as pd

        kinds = {column.dtype for column in self._columns or []}
        if self._columns is None or (len(kinds) == 1 and next(iter(kinds)).kind in "iuf"):
            return pd.DataFrame(self.matrix, columns=self._names, copy=False)
        return pd.DataFrame(dict(zip(self._names, self._columns, strict=True)), copy=False)


def _refuse_other_names(found: Mapping[str, Tensor], inputs: Sequence[Field]) -> None:
    absent = [field.name for field in inputs if field.required and field.name not in found]
    if absent:
        raise Refused(
            f"The input {absent[0]!r} is missing." if len(absent) == 1 else f"The inputs {names(absent)} are missing.",
            code="wrong_inputs",
            hint=f"The model takes {names([field.name for field in inputs], 100)}.",
        )
    if len(found) > sum(field.name in found for field in inputs):
        known = {field.name for field in inputs}
        more = [name for name in found if name not in known]
        raise Refused(
            f"The model takes no input {names(more)}.",
            code="wrong_inputs",
            hint=f"The model takes {names([field.name for field in inputs], 100)}.",
        )


def _rows(given: Sequence[Tensor]) -> int:
    """How many rows all columns have."""
    rows = len(given[0].array) if given[0].array.ndim else 0
    for tensor in given:
        shape = tensor.array.shape
        if shape not in ((rows, 1), (rows,)) or not rows:
            raise Refused(
                f"The input {tensor.name!r} is of the shape {list(shape)}; a column is [rows] or [rows, 1], with at "
                "least one row, and all columns have the same number of rows.",
                code="bad_shape",
                hint=f"The first input, {given[0].name!r}, has {rows} rows.",
            )
    return rows


def _content(array: np.ndarray, field: Field, name: str) -> np.ndarray:
    """BYTES as the model takes them: texts, bytes or points in time."""
    if array.dtype.kind != "O":
        raise Refused(
            f"The input {name!r} holds {datatypes.name_of(array.dtype)}, but the model takes texts (BYTES) there.",
            code="wrong_datatype",
            hint=f"Send {name!r} with the datatype BYTES.",
        )
    values = array.ravel().tolist()
    if field.content == "binary":
        done = [value.encode() if isinstance(value, str) else value for value in values]
    else:
        done = [_text(value, name) for value in values]
    if field.content == "datetime":
        return _times(done, name).reshape(array.shape)
    result = np.empty(len(done), dtype=object)
    result[:] = done
    return result.reshape(array.shape)


def _text(value: Any, name: str) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Refused(
            f"A text of the input {name!r} is not UTF-8.", code="wrong_datatype", hint="Encode texts as UTF-8."
        ) from None


def _times(values: list[Any], name: str) -> np.ndarray:
    try:
        return np.array([np.datetime64("NaT") if value is None else value for value in values], "datetime64[ns]")
    except ValueError:
        raise Refused(
            f"A text of the input {name!r} is no point in time.",
            code="wrong_datatype",
            hint="Write it as 2026-01-31T12:00:00.",
        ) from None
