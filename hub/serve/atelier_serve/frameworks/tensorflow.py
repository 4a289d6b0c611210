"""TensorFlow: SavedModel folders, by their serving signature."""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from atelier_serve import datatypes
from atelier_serve.errors import CannotServe, Exit
from atelier_serve.folder import Found
from atelier_serve.model import Model, Settings
from atelier_serve.signature import Field

_SIGNATURE = "serving_default"


class TensorflowModel(Model):
    """The function that the model was saved with."""

    platform = "tensorflow_savedmodel"
    takes = "tensors"
    concurrent = True
    input_errors = (ValueError, TypeError, tf.errors.InvalidArgumentError)

    def __init__(self, loaded: Any, function: Any) -> None:
        self._loaded = loaded  # holds the variables
        self._function = function
        self.inputs = tuple(_field(name, spec) for name, spec in function.structured_input_signature[1].items())
        self.outputs = tuple(_field(name, spec) for name, spec in function.structured_outputs.items())

    def predict(self, given: Any, wanted: Set[str]) -> Mapping[str, np.ndarray]:
        """By the signature's names."""
        found = self._function(**{name: tf.constant(array) for name, array in given.items()})
        return {name: found[name].numpy() for name in wanted}


def load(found: Found, settings: Settings) -> Model:
    """The folder with saved_model.pb."""
    tf.config.threading.set_intra_op_parallelism_threads(settings.cores)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    loaded = tf.saved_model.load(str(_saved(found.path)))
    if _SIGNATURE not in loaded.signatures:
        known = ", ".join(loaded.signatures) or "none"
        raise CannotServe(
            f"The SavedModel has no signature {_SIGNATURE!r}; it has {known}. Save it with one.", Exit.UNKNOWN_FORMAT
        )
    return TensorflowModel(loaded, loaded.signatures[_SIGNATURE])


def _saved(path: Path) -> Path:
    for folder in (path, path / "model"):
        if (folder / "saved_model.pb").is_file():
            return folder
    raise CannotServe(
        f"There is no saved_model.pb in {path}. Save the model as a SavedModel (model.export in Keras).",
        Exit.UNKNOWN_FORMAT,
    )


def _field(name: str, spec: Any) -> Field:
    shape = (-1,) if spec.shape.rank is None else tuple(size or -1 for size in spec.shape.as_list())
    datatype = datatypes.name_of(np.dtype(spec.dtype.as_numpy_dtype))
    return Field(name, datatype, shape, free=spec.shape.rank is None)
