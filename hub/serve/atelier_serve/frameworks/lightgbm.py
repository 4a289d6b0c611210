"""LightGBM: boosters as text, estimators as pickles."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import lightgbm
import numpy as np

from atelier_serve.folder import Found
from atelier_serve.frameworks.estimator import PREDICT, Estimator, load_skops, unpickle
from atelier_serve.model import Model, Settings
from atelier_serve.signature import UNNAMED_INPUT, Field


class LightgbmModel(Model):
    """A booster."""

    platform = "lightgbm"
    concurrent = True
    input_errors = (ValueError, TypeError, lightgbm.basic.LightGBMError)

    def __init__(self, booster: lightgbm.Booster, cores: int) -> None:
        self._booster = booster
        self._cores = cores
        names = booster.feature_name()
        categories = booster.pandas_categorical
        self.takes = "frame" if categories else "matrix"
        # LightGBM makes names up where the table had none.
        made_up = names == [f"Column_{number}" for number in range(len(names))]
        self.inputs = (
            (Field(UNNAMED_INPUT, "FP64", (-1, len(names)), named=False),)
            if made_up
            else tuple(Field(name, "FP64", (-1, 1)) for name in names)
        )
        classes = booster.num_model_per_iteration()
        self.outputs = (Field(PREDICT, "FP64", (-1, classes) if classes > 1 else (-1,)),)

    def predict(self, given: Any, wanted: Set[str]) -> Mapping[str, np.ndarray]:
        """Probabilities or values, as the objective says."""
        if isinstance(given, np.ndarray):
            given = np.ascontiguousarray(given)
        return {PREDICT: np.asarray(self._booster.predict(given, num_threads=self._cores))}


class LightgbmEstimator(Estimator):
    """What scikit-learn's interface of LightGBM wrote."""

    platform = "lightgbm"
    input_errors = (ValueError, TypeError, lightgbm.basic.LightGBMError)


def load(found: Found, settings: Settings) -> Model:
    """A booster or an estimator."""
    if found.path.suffix == ".skops":
        return LightgbmEstimator(load_skops(found.path, found.flavor.get("skops_trusted_types")))
    if found.path.suffix in (".pkl", ".pickle"):
        return LightgbmEstimator(unpickle(found.path))
    return LightgbmModel(lightgbm.Booster(model_file=str(found.path)), settings.cores)
