"""What every framework offers: one loaded model that predicts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Set
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from atelier_serve.signature import Field

Takes = Literal["frame", "matrix", "tensors"]


class Settings(NamedTuple):
    """What the operator says; `cores` is how many threads a framework may compute with."""

    cores: int = 1


class Model(ABC):
    """A loaded model.

    `takes` says what `predict` is given: a pandas table, one matrix of numbers, or a tensor for each of `inputs`.
    `inputs` and `outputs` are what the model itself knows of them.
    """

    platform: ClassVar[str]
    # What an output is called to which neither the model nor its signature gives a name.
    unnamed: ClassVar[str] = "predict"
    # What a predict raises when the values are to blame and not the model.
    input_errors: tuple[type[Exception], ...] = (ValueError,)
    # Whether several threads may predict at once.
    concurrent: bool = False
    takes: Takes = "frame"
    inputs: tuple[Field, ...] = ()
    outputs: tuple[Field, ...] = ()

    @abstractmethod
    def predict(self, given: Any, wanted: Set[str]) -> Mapping[str, np.ndarray]:
        """The outputs named in `wanted`."""
