"""Requests and answers of the Open Inference Protocol, from bytes and to bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson

from atelier_serve import datatypes, tensors
from atelier_serve.errors import Refused
from atelier_serve.tensors import Tensor

_NOT_HERE = {
    "shared_memory_region": "Shared memory is not served: client and server need not be on one machine.",
    "classification": "Outputs are given as they are; `classification` is not served.",
}


class Request(NamedTuple):
    """`outputs` are the names that were asked for; None means all. `binary` are the names to answer as binary."""

    id: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[str, ...] | None
    binary: Mapping[str, bool]
    binary_default: bool


def read(body: bytes, header_length: int | None = None) -> Request:
    """A request: JSON, and behind its first `header_length` bytes the binary data."""
    document = _document(body if header_length is None else body[:header_length])
    parameters = tensors.parameters_of(document, "the request")
    binary = memoryview(b"" if header_length is None else body)[header_length or 0 :]
    given = document.get("inputs")
    if type(given) is not list or not given:
        raise Refused(
            "The request has no inputs.",
            code="no_inputs",
            hint='Send {"inputs": [{"name": …, "shape": […], "datatype": …, "data": […]}]}.',
        )
    inputs, used = _inputs(given, binary)
    if used != len(binary):
        raise Refused(
            f"The request brings {len(binary)} bytes of binary data, but its inputs name {used}.",
            code="bad_binary",
            hint="The sum of all binary_data_size is what follows the JSON.",
        )
    outputs, chosen = _outputs(document.get("outputs"))
    identity = document.get("id")
    return Request(
        "" if identity is None else str(identity),
        inputs,
        outputs,
        chosen,
        parameters.get("binary_data_output") is True,
    )


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(f"The request is no JSON: {error}.", code="bad_json", hint="Send a JSON object.") from None
    if type(document) is not dict:
        raise Refused("The request is no JSON object.", code="bad_json", hint='Send {"inputs": […]}.')
    return document


def _inputs(given: list[Any], binary: memoryview) -> tuple[tuple[Tensor, ...], int]:
    found: dict[str, Tensor] = {}
    at = 0
    for raw in given:
        name, datatype = _name(raw, "input"), raw.get("datatype")
        if type(datatype) is not str or not datatypes.known(datatype):
            raise Refused(
                f"The datatype {datatype!r} of the input {name!r} is not known.",
                code="wrong_datatype",
                hint=f"The datatypes are {', '.join(datatypes.NUMPY)}.",
            )
        if name in found:
            raise Refused(f"The input {name!r} is there twice.", code="wrong_inputs", hint="Send each input once.")
        shape = tensors.shape_of(raw.get("shape"), name)
        size = None
        if "parameters" in raw:
            size = _binary_size(raw, name)
        if size is None:
            found[name] = tensors.from_json(name, datatype, shape, raw.get("data"))
        else:
            found[name] = tensors.from_binary(name, datatype, shape, binary[at : at + size])
            at += size
    return tuple(found.values()), at


def _name(raw: Any, what: str) -> str:
    name = raw.get("name") if type(raw) is dict else None
    if type(name) is not str:
        raise Refused(f"An {what} has no name.", code="bad_request", hint=f"Each {what} is an object with a name.")
    return name


def _binary_size(raw: Mapping[str, Any], name: str) -> int | None:
    parameters = tensors.parameters_of(raw, f"the input {name!r}")
    _refuse_what_is_not_here(parameters)
    size = parameters.get("binary_data_size")
    if size is None:
        return None
    if type(size) is not int or size < 0:
        raise Refused(
            f"The binary_data_size of the input {name!r} is no number of bytes.",
            code="bad_binary",
            hint="Give the number of bytes that the input has behind the JSON.",
        )
    return size


def _refuse_what_is_not_here(parameters: Mapping[str, Any]) -> None:
    for name, sentence in _NOT_HERE.items():
        if name in parameters:
            raise Refused(sentence, code="not_served", hint=f"Leave the parameter {name!r} out.")


def _outputs(raw: Any) -> tuple[tuple[str, ...] | None, dict[str, bool]]:
    if raw is None or raw == []:
        return None, {}
    if type(raw) is not list:
        raise Refused("The outputs are no list.", code="bad_request", hint='Send "outputs": [{"name": …}].')
    chosen: dict[str, bool] = {}
    names = []
    for one in raw:
        name = _name(one, "output")
        parameters = tensors.parameters_of(one, f"the output {name!r}")
        _refuse_what_is_not_here(parameters)
        names.append(name)
        if "binary_data" in parameters:
            chosen[name] = parameters["binary_data"] is True
    return tuple(dict.fromkeys(names)), chosen


def write(model: str, version: str, request: Request, outputs: Mapping[str, np.ndarray]) -> tuple[bytes, int | None]:
    """The answer; the second is the length of its JSON part where binary data follow it."""
    described: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for name, array in outputs.items():
        one: dict[str, Any] = {"name": name, "shape": array.shape, "datatype": datatypes.name_of(array.dtype)}
        if request.binary.get(name, request.binary_default):
            parts.append(tensors.to_binary(array))
            one["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            one["data"] = tensors.to_json(array)
        described.append(one)
    answer: dict[str, Any] = {"model_name": model, "model_version": version, "outputs": described}
    if request.id:
        answer["id"] = request.id
    document = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    if not parts:
        return document, None
    return b"".join([document, *parts]), len(document)


def names(values: Sequence[str], limit: int = 10) -> str:
    """Names in a sentence; of many, the first."""
    shown = ", ".join(repr(value) for value in values[:limit])
    return shown + (f" and {len(values) - limit} more" if len(values) > limit else "")
