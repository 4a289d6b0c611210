"""MLflow's python_function with a loader of its own; needs mlflow and whatever that loader needs."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import mlflow.pyfunc
import numpy as np

from atelier_serve.folder import Found
from atelier_serve.frameworks.estimator import PREDICT
from atelier_serve.model import Model, Settings


class PyfuncModel(Model):
    """What it gives is known only when it has predicted."""

    platform = "mlflow_pyfunc"
    input_errors = (ValueError, TypeError, mlflow.MlflowException)

    def __init__(self, model: Any) -> None:
        self._model = model

    def predict(self, given: Any, wanted: Set[str]) -> Mapping[str, np.ndarray]:
        """A table becomes one output for each column."""
        found = self._model.predict(given)
        if isinstance(found, Mapping):
            return {str(name): np.asarray(value) for name, value in found.items()}
        if hasattr(found, "columns"):
            return {str(name): found[name].to_numpy() for name in found.columns}
        return {PREDICT: np.asarray(found)}


def load(found: Found, settings: Settings) -> Model:
    """By MLflow itself."""
    return PyfuncModel(mlflow.pyfunc.load_model(str(found.folder)))
