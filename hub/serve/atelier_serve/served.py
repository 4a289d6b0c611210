"""One model with its name and version: from the bytes of a request to the bytes of its answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from atelier_serve import wire
from atelier_serve.arrange import Arrangement
from atelier_serve.errors import Refused
from atelier_serve.metrics import Metrics
from atelier_serve.model import Model
from atelier_serve.signature import Field, Signature
from atelier_serve.wire import Request

log = logging.getLogger(__name__)
_WARM_SECONDS = 0.1
_WARM_TIMES = 20


class Answer(NamedTuple):
    """`header_length` is the length of the JSON where binary data follow it."""

    body: bytes
    header_length: int | None = None


class Served:
    """A loaded model, ready to be asked."""

    def __init__(
        self, name: str, version: str, model: Model, signature: Signature, arrange: Arrangement, metrics: Metrics
    ) -> None:
        self.name = name
        self.version = version
        self.model = model
        self.metrics = metrics
        self._arrange = arrange
        self._renamed = _renamed(model, signature)
        self.inputs = arrange.inputs
        self.outputs = tuple(_with_name(field, self._renamed) for field in model.outputs)
        self.outputs = self.outputs or _of_signature(signature, model.unnamed)
        self._all = frozenset(field.name for field in model.outputs)

    def answer(self, body: bytes, header_length: int | None) -> Answer:
        """The whole way of an inference request."""
        request = wire.read(body, header_length)
        return Answer(*wire.write(self.name, self.version, request, self.infer(request)))

    def infer(self, request: Request) -> Mapping[str, np.ndarray]:
        """The outputs that were asked for, in that order."""
        wanted = self._wanted(request.outputs)
        given = self._arrange(request.inputs)
        start = time.perf_counter()
        found = self._predict(given, wanted)
        self.metrics.predicted.add(time.perf_counter() - start)
        self.metrics.rows += len(request.inputs[0].array) if request.inputs[0].array.ndim else 1
        renamed = {self._renamed.get(name, name): array for name, array in found.items()}
        if request.outputs is None:
            return renamed
        if any(name not in renamed for name in request.outputs):
            raise _no_output([name for name in request.outputs if name not in renamed], list(renamed))
        return {name: renamed[name] for name in request.outputs}

    def _wanted(self, names: tuple[str, ...] | None) -> frozenset[str]:
        if names is None or not self._all:
            return self._all
        own = {shown: name for name, shown in self._renamed.items()}
        wanted = frozenset(own.get(name, name) for name in names)
        if not wanted <= self._all:
            known = [field.name for field in self.outputs]
            raise _no_output([name for name in names if name not in known], known)
        return wanted

    def _predict(self, given: Any, wanted: frozenset[str]) -> Mapping[str, np.ndarray]:
        try:
            return self.model.predict(given, wanted)
        except self.model.input_errors as error:
            log.info("The model refused its input.", exc_info=error)
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise Refused(
                f"The model cannot predict from these values: {lines[0][:500]}",
                code="input_refused",
                hint="Compare the values with those that the model was trained on.",
            ) from error
        except Exception as error:
            log.exception("The model failed on an input that fits its signature.")
            raise Refused(
                "The model failed on this input.",
                code="model_failed",
                hint="The log of the service says where.",
                status=500,
            ) from error

    def warm_up(self) -> float:
        """The shortest of a few predictions from zeros; infinite where the model does not take them."""
        shortest = float("inf")
        until = time.perf_counter() + _WARM_SECONDS
        try:
            for _ in range(_WARM_TIMES):
                start = time.perf_counter()
                self.model.predict(self._arrange.blank(), self._all)
                shortest = min(shortest, time.perf_counter() - start)
                if time.perf_counter() > until:
                    break
        except Exception as error:  # zeros may be nonsense to a model
            log.debug("The model takes no zeros: %s", error)
        return shortest

    def metadata(self) -> dict[str, Any]:
        """As the protocol describes a model."""
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": self.model.platform,
            "inputs": [field.document() for field in self.inputs],
            "outputs": [field.document() for field in self.outputs],
        }

    def config(self) -> dict[str, Any]:
        """As Triton's clients read it."""

        def triton(fields: tuple[Field, ...]) -> Iterator[dict[str, Any]]:
            for field in fields:
                kind = "STRING" if field.datatype == "BYTES" else field.datatype
                yield {"name": field.name, "data_type": f"TYPE_{kind}", "dims": list(field.shape)}

        return {
            "name": self.name,
            "platform": self.model.platform,
            "backend": self.model.platform.partition("_")[0],
            "max_batch_size": 0,
            "input": list(triton(self.inputs)),
            "output": list(triton(self.outputs)),
        }


def _renamed(model: Model, signature: Signature) -> dict[str, str]:
    """The signature's name of the first output, where the model has no names of its own."""
    if model.takes == "tensors" or not model.outputs or not signature.outputs or not signature.outputs[0].named:
        return {}
    first, shown = model.outputs[0].name, signature.outputs[0].name
    return {first: shown} if shown not in {field.name for field in model.outputs} else {}


def _with_name(field: Field, renamed: Mapping[str, str]) -> Field:
    return Field(renamed.get(field.name, field.name), field.datatype, field.shape)


def _of_signature(signature: Signature, unnamed: str) -> tuple[Field, ...]:
    several = len(signature.outputs) > 1
    return tuple(
        Field(field.name or (f"{unnamed}_{at}" if several else unnamed), field.datatype, field.shape)
        for at, field in enumerate(signature.outputs)
    )


def _no_output(absent: list[str], known: list[str]) -> Refused:
    return Refused(
        f"The model gives no output {wire.names(absent)}.",
        code="wrong_outputs",
        hint=f"It gives {wire.names(known, 100)}.",
    )
