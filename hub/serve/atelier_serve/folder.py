"""What lies in a model folder: an MLflow model, or a bare file of a framework."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from atelier_serve import signature
from atelier_serve.errors import CannotServe, Exit
from atelier_serve.signature import Signature

MLMODEL = "MLmodel"
_SAVED_MODEL = "saved_model.pb"
_SUFFIXES = {
    ".onnx": "onnx",
    ".joblib": "sklearn",
    ".pkl": "sklearn",
    ".pickle": "sklearn",
    ".skops": "sklearn",
    ".ubj": "xgboost",
    ".xgb": "xgboost",
    ".lgb": "lightgbm",
    ".txt": "lightgbm",
    ".pt": "pytorch",
    ".pt2": "pytorch",
    ".pth": "pytorch",
}
# Where each flavor names its file, and the version that wrote it.
_FLAVORS = {
    "sklearn": ("pickled_model", "sklearn_version"),
    "xgboost": ("data", "xgb_version"),
    "lightgbm": ("data", "lgb_version"),
    "onnx": ("data", ""),
    "pytorch": ("model_data", "pytorch_version"),
    "tensorflow": ("saved_model_dir", ""),
}
_CUSTOM = "python_function"


@dataclass(frozen=True)
class Found:
    """A model that nobody has loaded yet. `version` is the framework's that wrote it; empty where it is not said."""

    framework: str
    folder: Path
    path: Path
    flavor: Mapping[str, Any] = field(default_factory=dict)
    signature: Signature = field(default_factory=Signature)
    version: str = ""
    code: Path | None = None


def find(given: Path) -> Found:
    """What is to be served from a folder or a file."""
    if given.is_file():
        return _bare(given, given.parent)
    if not given.is_dir():
        raise CannotServe(f"There is no model at {given}: it does not exist.", Exit.UNKNOWN_FORMAT)
    if (given / MLMODEL).is_file():
        return _mlflow(given)
    if (given / _SAVED_MODEL).is_file():
        return Found("tensorflow", given, given)
    files = [file for file in sorted(given.iterdir()) if file.is_file() and _framework_of(file)]
    if len(files) == 1:
        return _bare(files[0], given)
    what = "no model that is known here" if not files else f"more than one: {', '.join(file.name for file in files)}"
    raise CannotServe(
        f"In {given} there is {what}. A model folder has a file MLmodel, or one file of the kinds "
        f"{', '.join(sorted(_SUFFIXES))}, or it is a TensorFlow SavedModel.",
        Exit.UNKNOWN_FORMAT,
    )


def _framework_of(file: Path) -> str:
    found = _SUFFIXES.get(file.suffix.lower(), "")
    if file.suffix.lower() == ".txt":
        with file.open("rb") as stream:
            return found if stream.read(5) == b"tree\n" else ""
    return found


def _bare(file: Path, folder: Path) -> Found:
    framework = _framework_of(file)
    if not framework:
        raise CannotServe(
            f"{file} is of no kind that can be served; those are {', '.join(sorted(_SUFFIXES))}.", Exit.UNKNOWN_FORMAT
        )
    return Found(framework, folder, file, version=_recorded(folder, framework))


def _recorded(folder: Path, framework: str) -> str:
    """The version that model.json beside the file names."""
    try:
        about = json.loads((folder / "model.json").read_text("utf-8"))
        name = str(about["framework"]).replace("scikit-learn", "sklearn")
        return str(about["version"]) if name == framework else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _mlflow(folder: Path) -> Found:
    flavors, document = _flavors(folder)
    python = flavors.get(_CUSTOM) or {}
    name = next((name for name in _FLAVORS if name in flavors), None)
    if name is None and _CUSTOM not in flavors:
        raise CannotServe(
            f"The model in {folder} has the flavors {', '.join(flavors) or 'none'}; those that can be served are "
            f"{', '.join(_FLAVORS)}.",
            Exit.UNKNOWN_FORMAT,
        )
    taken = signature.read(document.get("signature"))
    if name is None:
        return Found("pyfunc", folder, folder, python, taken)
    flavor = flavors[name] or {}
    key, version = _FLAVORS[name]
    inside = flavor.get(key) or python.get("model_path") or python.get("data")
    code = flavor.get("code") or python.get("code")
    return Found(
        framework=name,
        folder=folder,
        path=_inside(folder, inside or ""),
        flavor=flavor,
        signature=taken,
        version=str(flavor.get(version) or "") if version else "",
        code=_inside(folder, code) if code else None,
    )


def _flavors(folder: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    try:
        document = yaml.safe_load((folder / MLMODEL).read_text("utf-8"))
        flavors = document["flavors"]
        if not all(isinstance(flavor or {}, dict) for flavor in flavors.values()):
            raise TypeError("flavors")
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise CannotServe(
            f"{folder / MLMODEL} cannot be read as the description of a model: {error!r}.", Exit.UNKNOWN_FORMAT
        ) from None
    return flavors, document


def _inside(folder: Path, name: Any) -> Path:
    path = folder / str(name)
    if not path.exists() or not path.resolve().is_relative_to(folder.resolve()):
        raise CannotServe(f"MLmodel names {str(name)!r}, which is not in {folder}.", Exit.BROKEN_MODEL)
    return path
