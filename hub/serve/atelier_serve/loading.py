"""Loads a found model with its framework, and says in one sentence why that cannot be."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
import sys

from atelier_serve.errors import CannotServe, Exit
from atelier_serve.folder import Found
from atelier_serve.model import Model, Settings

log = logging.getLogger(__name__)
# The framework's name to Python, and to whoever installs it.
PACKAGES = {
    "sklearn": ("sklearn", "scikit-learn"),
    "xgboost": ("xgboost", "xgboost"),
    "lightgbm": ("lightgbm", "lightgbm"),
    "onnx": ("onnxruntime", "onnxruntime"),
    "pytorch": ("torch", "torch"),
    "tensorflow": ("tensorflow", "tensorflow"),
    "pyfunc": ("mlflow", "mlflow"),
}


def load(found: Found, settings: Settings) -> Model:
    """The loaded model; only its own framework is imported."""
    package, distribution = PACKAGES[found.framework]
    if importlib.util.find_spec(package) is None:
        raise CannotServe(_absent(found, distribution), Exit.NO_FRAMEWORK)
    if found.code:
        sys.path.insert(0, str(found.code))
    module = importlib.import_module(f"atelier_serve.frameworks.{found.framework}")
    here = _version(distribution)
    try:
        model: Model = module.load(found, settings)
    except CannotServe:
        raise
    except ImportError as error:
        raise _not_importable(error) from error
    except Exception as error:
        if found.version and here and _minor(found.version) != _minor(here):
            raise CannotServe(
                f"The model was written by {distribution} {found.version}, and {distribution} {here}, which is here, "
                f"cannot read it ({_short(error)}). Use an image with {distribution} {found.version}, or train again.",
                Exit.WRONG_VERSION,
            ) from error
        raise CannotServe(
            f"The model at {found.path} cannot be read by {distribution} {here}: {_short(error)}", Exit.BROKEN_MODEL
        ) from error
    if found.version and here and _minor(found.version) != _minor(here):
        log.warning("The model was written by %s %s; %s is here.", distribution, found.version, here)
    return model


def _absent(found: Found, distribution: str) -> str:
    if found.framework == "pyfunc":
        return (
            "The model is one of MLflow's python_function flavor with a loader of its own, which needs the package "
            "mlflow, and it is not installed here. Use an image with mlflow and all that the model needs, or log the "
            "model with the flavor of its framework."
        )
    return (
        f"The model needs the package {distribution}, which is not installed here. "
        f"Use the image serve-{found.framework}, or one that has it."
    )


def _not_importable(error: ImportError) -> CannotServe:
    """A pickle names modules: either their package is not there, or another version of it is."""
    package = (error.name or "").partition(".")[0]
    if package and package != error.name and importlib.util.find_spec(package):
        return CannotServe(
            f"The model needs {error.name}, which the {package} that is installed here does not have: it was written "
            f"by another version. Use an image with the versions of the model's requirements.txt, or train again.",
            Exit.WRONG_VERSION,
        )
    return CannotServe(
        f"The model needs the package {package or error}, which is not installed here. Use an image that has it.",
        Exit.NO_FRAMEWORK,
    )


def _version(distribution: str) -> str:
    # Builds for one kind of processor have names of their own.
    for name in (distribution, f"{distribution}-cpu", f"{distribution}-gpu"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]


def _short(error: BaseException) -> str:
    """The first line of what a framework says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
