"""What follows scikit-learn's interface, whoever wrote it: predict, and predict_proba beside it."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np

from atelier_serve import datatypes
from atelier_serve.errors import CannotServe, Exit
from atelier_serve.model import Model
from atelier_serve.signature import UNNAMED_INPUT, Field

PREDICT, PROBABILITIES, TRANSFORM = "predict", "predict_proba", "transform"
# These look at the names or types of columns.
_BY_NAME = {"ColumnTransformer", "FeatureUnion", "FunctionTransformer", "TransformedTargetRegressor"}
# `predict` of these is the class of the largest probability: one pass gives both.
_VOTES = {"RandomForestClassifier", "ExtraTreesClassifier"}


class Estimator(Model):
    """A fitted estimator or pipeline."""

    platform = "sklearn"

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator
        if not (hasattr(estimator, PREDICT) or hasattr(estimator, TRANSFORM)):
            raise CannotServe(
                f"The file holds a {type(estimator).__name__}, which neither predicts nor transforms. "
                "Save the fitted estimator or pipeline itself.",
                Exit.UNKNOWN_FORMAT,
            )
        self.takes = "matrix" if _by_position(estimator) else "frame"
        self.inputs = _inputs(estimator)
        self.outputs = _outputs(estimator)
        self._votes = _last(estimator) in _VOTES and len(self.outputs) == 2
        # Names were checked with the request; those who need none get none.
        warnings.filterwarnings("ignore", message="X does not have valid feature names")

    def predict(self, given: Any, wanted: Set[str]) -> Mapping[str, np.ndarray]:
        """Only what is wanted: probabilities may cost as much again."""
        if self._votes and PREDICT in wanted and PROBABILITIES in wanted:
            found = self._estimator.predict_proba(given)
            classes = np.asarray(self._estimator.classes_)
            return {PREDICT: classes.take(np.argmax(found, axis=1), axis=0), PROBABILITIES: found}
        return {
            field.name: _dense(getattr(self._estimator, field.name)(given))
            for field in self.outputs
            if field.name in wanted
        }


def unpickle(path: Path) -> Any:
    """What pickle, cloudpickle or joblib wrote; like a container image, a model is code that somebody trusts."""
    with path.open("rb") as stream:
        start = stream.read(2)
    if path.suffix == ".joblib" or start[:1] != b"\x80":
        import joblib

        return joblib.load(path)
    with path.open("rb") as stream:
        return pickle.load(stream)  # noqa: S301


def load_skops(path: Path, trusted: Any) -> Any:
    """What skops wrote, MLflow's way by default: nothing but known types, and those that the model names as trusted."""
    import skops.io

    return skops.io.load(path, trusted=trusted or [])


def _outputs(estimator: Any) -> tuple[Field, ...]:
    if not hasattr(estimator, PREDICT):
        return (Field(TRANSFORM, "FP64", (-1, -1)),)
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        kind = "INT32" if hasattr(estimator, "cluster_centers_") else "FP64"
        return (Field(PREDICT, kind, (-1,)),)
    # Several targets have a list of classes each; their probabilities have no common shape.
    if isinstance(classes, list):
        return (Field(PREDICT, "FP64", (-1, len(classes))),)
    outputs: tuple[Field, ...] = (Field(PREDICT, datatypes.name_of(np.asarray(classes).dtype), (-1,)),)
    if hasattr(estimator, PROBABILITIES):
        outputs = (*outputs, Field(PROBABILITIES, "FP64", (-1, len(classes))))
    return outputs


def _inputs(estimator: Any) -> tuple[Field, ...]:
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        return tuple(Field(str(name), "FP64", (-1, 1)) for name in names)
    return (Field(UNNAMED_INPUT, "FP64", (-1, int(getattr(estimator, "n_features_in_", -1))), named=False),)


def _by_position(estimator: Any) -> bool:
    """Whether a bare matrix gives the same as a table: pandas costs more than many models."""
    return all(
        type(part).__module__.startswith(("sklearn.", "xgboost.", "lightgbm."))
        and type(part).__name__ not in _BY_NAME
        and not type(part).__name__.startswith("HistGradientBoosting")
        for part in _parts(estimator)
    )


def _parts(estimator: Any) -> Iterator[Any]:
    yield estimator
    if hasattr(estimator, "get_params"):
        yield from (value for value in estimator.get_params(deep=True).values() if hasattr(value, "get_params"))


def _last(estimator: Any) -> str:
    steps = getattr(estimator, "steps", None)
    return type(steps[-1][1] if steps else estimator).__name__


def _dense(found: Any) -> np.ndarray:
    return np.asarray(found.toarray() if hasattr(found, "toarray") else found)
