"""ONNX, by onnxruntime."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as states

from atelier_serve.errors import CannotServe, Exit
from atelier_serve.folder import Found
from atelier_serve.model import Model, Settings
from atelier_serve.signature import Field

_DATATYPES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
}
_TENSOR = re.compile(r"tensor\((\w+)\)")
_MAPS = re.compile(r"seq\(map\(\w+,tensor\((\w+)\)\)\)")


class OnnxModel(Model):
    """A session; its inputs and outputs are the model's own."""

    platform = "onnxruntime_onnx"
    concurrent = True
    takes = "tensors"
    input_errors = (ValueError, states.InvalidArgument)

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self.inputs = tuple(_field(node) for node in session.get_inputs())
        self.outputs = tuple(_output(node) for node in session.get_outputs())

    def predict(self, given: Any, wanted: Set[str]) -> Mapping[str, np.ndarray]:
        """Onnxruntime computes only what the wanted outputs need."""
        names = [field.name for field in self.outputs if field.name in wanted]
        found = self._session.run(names, given)
        return {name: _array(one) for name, one in zip(names, found, strict=True)}


def load(found: Found, settings: Settings) -> Model:
    """A session with as many threads as there are cores for it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.cores
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers = onnxruntime.get_available_providers()
    return OnnxModel(onnxruntime.InferenceSession(str(found.path), options, providers=providers))


def _field(node: Any) -> Field:
    match = _TENSOR.fullmatch(node.type)
    if not match or match[1] not in _DATATYPES:
        raise CannotServe(
            f"The model's input {node.name!r} is a {node.type}, which the protocol cannot carry.", Exit.UNKNOWN_FORMAT
        )
    shape = tuple(size if isinstance(size, int) else -1 for size in node.shape)
    return Field(node.name, _DATATYPES[match[1]], shape)


def _output(node: Any) -> Field:
    """Converters of scikit-learn's classifiers give a map of class to probability for each row: here a matrix."""
    match = _MAPS.fullmatch(node.type)
    if match:
        return Field(node.name, _DATATYPES.get(match[1], "FP32"), (-1, -1))
    return _field(node)


def _array(found: Any) -> np.ndarray:
    if isinstance(found, list) and found and isinstance(found[0], dict):
        return np.array([list(row.values()) for row in found], dtype=np.float32)
    return np.asarray(found)
