"""scikit-learn: pickle, cloudpickle, joblib and skops."""

from __future__ import annotations

from atelier_serve.folder import Found
from atelier_serve.frameworks.estimator import Estimator, load_skops, unpickle
from atelier_serve.model import Model, Settings


def load(found: Found, settings: Settings) -> Model:
    """The fitted estimator."""
    if found.path.suffix == ".skops" or found.flavor.get("serialization_format") == "skops":
        return Estimator(load_skops(found.path, found.flavor.get("skops_trusted_types")))
    return Estimator(unpickle(found.path))
