"""The older protocol of TensorFlow Serving and KServe: {"instances": […]} to {"predictions": […]}."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from atelier_serve import tensors
from atelier_serve.errors import Refused
from atelier_serve.served import Answer, Served
from atelier_serve.tensors import Tensor
from atelier_serve.wire import Request


def answer(served: Served, body: bytes, _: int | None) -> Answer:
    """Rows as lists of numbers, or as objects by column; the first output of each row."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(f"The request is no JSON: {error}.", code="bad_json", hint="Send a JSON object.") from None
    instances = document.get("instances") if isinstance(document, dict) else None
    if not isinstance(instances, list) or not instances:
        raise Refused("The request has no instances.", code="no_inputs", hint='Send {"instances": [[…], …]}.')
    first = (served.outputs[0].name,) if served.outputs else None
    found = served.infer(Request("", _inputs(served, instances), first, {}, False))
    array = next(iter(found.values()))
    values = array.tolist() if array.dtype.kind in "OUS" else np.ascontiguousarray(array)
    return Answer(orjson.dumps({"predictions": values}, option=orjson.OPT_SERIALIZE_NUMPY, default=str))


def _inputs(served: Served, instances: list[Any]) -> tuple[Tensor, ...]:
    if not all(isinstance(row, dict) for row in instances):
        only = served.inputs[0]
        datatype = only.datatype if len(served.inputs) == 1 else "FP64"
        shape = _shape(instances, only.name)
        name = only.name if len(shape) != 2 or len(served.inputs) == 1 else ""
        return (tensors.from_json(name, datatype, shape, instances),)
    return tuple(
        tensors.from_json(field.name, field.datatype, (len(instances),), [row.get(field.name) for row in instances])
        for field in served.inputs
        if field.required or any(field.name in row for row in instances)
    ) + tuple(_more(served, instances))


def _more(served: Served, instances: Sequence[dict[str, Any]]) -> list[Tensor]:
    """Columns that the model does not know, to be refused by name."""
    known = {field.name for field in served.inputs}
    names = dict.fromkeys(name for row in instances for name in row if name not in known)
    return [Tensor(name, "BYTES", np.empty(len(instances), dtype=object)) for name in names]


def _shape(rows: Any, name: str) -> tuple[int, ...]:
    shape: list[int] = []
    while isinstance(rows, list) and rows and len(shape) < 8:
        shape.append(len(rows))
        rows = rows[0]
    return tensors.shape_of(shape, name)
