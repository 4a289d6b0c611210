"""XGBoost: its own files, of boosters and of estimators."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from typing import Any

import numpy as np
import xgboost

from atelier_serve.folder import Found
from atelier_serve.frameworks.estimator import PREDICT, Estimator, unpickle
from atelier_serve.model import Model, Settings
from atelier_serve.signature import UNNAMED_INPUT, Field

_ESTIMATORS = {"classifier": "XGBClassifier", "regressor": "XGBRegressor", "ranker": "XGBRanker"}


class XgboostModel(Model):
    """A booster."""

    platform = "xgboost"
    concurrent = True
    input_errors = (ValueError, TypeError, xgboost.core.XGBoostError)

    def __init__(self, booster: xgboost.Booster, cores: int) -> None:
        self._booster = booster
        booster.set_param({"nthread": cores})
        names = booster.feature_names
        self.takes = "frame" if "c" in (booster.feature_types or ()) else "matrix"
        self.inputs = (
            tuple(Field(name, "FP64", (-1, 1)) for name in names)
            if names
            else (Field(UNNAMED_INPUT, "FP64", (-1, booster.num_features()), named=False),)
        )
        self.outputs = (Field(PREDICT, "FP32", _shape(booster)),)

    def predict(self, given: Any, wanted: Set[str]) -> Mapping[str, np.ndarray]:
        """Probabilities or values, as the objective says."""
        if isinstance(given, np.ndarray):
            return {PREDICT: self._booster.inplace_predict(given, validate_features=False)}
        return {PREDICT: self._booster.predict(xgboost.DMatrix(given, enable_categorical=True))}


class XgboostEstimator(Estimator):
    """What scikit-learn's interface of XGBoost wrote."""

    platform = "xgboost"
    concurrent = True
    input_errors = (ValueError, TypeError, xgboost.core.XGBoostError)

    def __init__(self, estimator: Any) -> None:
        super().__init__(estimator)
        classes = self.outputs[0].datatype
        self.outputs = tuple(
            Field(field.name, "FP32" if classes == "FP64" or field.name != PREDICT else classes, field.shape)
            for field in self.outputs
        )


def load(found: Found, settings: Settings) -> Model:
    """A booster, or the estimator that it was part of."""
    if found.path.suffix == ".pkl":
        return XgboostEstimator(unpickle(found.path))
    booster = xgboost.Booster(model_file=str(found.path))
    name = _estimator(booster, str(found.flavor.get("model_class") or ""))
    if not name:
        return XgboostModel(booster, settings.cores)
    estimator = getattr(xgboost, name)(n_jobs=settings.cores)
    estimator.load_model(str(found.path))
    return XgboostEstimator(estimator)


def _shape(booster: xgboost.Booster) -> tuple[int, ...]:
    """One value for each row, or one for each of its classes."""
    learner = json.loads(booster.save_config())["learner"]
    classes = int(learner["learner_model_param"]["num_class"])
    return (-1, classes) if learner["objective"]["name"] == "multi:softprob" else (-1,)


def _estimator(booster: xgboost.Booster, model_class: str) -> str:
    """The estimator's class: MLmodel names it, else the file itself does."""
    if model_class:
        name = model_class.rpartition(".")[2]
        return name if name.startswith("XGB") else ""
    about = json.loads(booster.attr("scikit_learn") or "{}")
    return _ESTIMATORS.get(str(about.get("_estimator_type")), "")
