"""The model folder: what trainers leave and others load, laid out as MLflow lays it out, written without MLflow."""

from __future__ import annotations

import hashlib
import json
import pickle
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import step
import tabular
import yaml

SAMPLE_ROWS = 1000
MANIFEST = "MLmodel"
_IMAGES = {"xgboost": "boosting", "lightgbm": "boosting", "onnxruntime": "onnx"}


@dataclass(frozen=True)
class Flavor:
    """How a model is stored: MLflow's name for it, the file, MLflow's settings, and the packages that load it."""

    name: str
    file: str
    settings: dict[str, Any]
    packages: tuple[str, ...]
    function: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """A model that can be asked.

    `scores` gives a column for each class where the algorithm has such numbers; `native` is scikit-learn's own object.
    """

    about: dict[str, Any]
    predict: Callable[[pd.DataFrame], np.ndarray]
    scores: Callable[[pd.DataFrame], np.ndarray] | None = None
    native: Any = None


def describe(framework: str, algorithm: str, task: str, dataset: tabular.Dataset, **more: Any) -> dict[str, Any]:
    """What `model.json` says of a model that learnt from `dataset`."""
    module = "sklearn" if framework == "sklearn" else framework
    known: dict[str, Any] = {"framework": framework, "version": import_module(module).__version__}
    known |= {"algorithm": algorithm, "task": task, "label": dataset.label}
    return known | {"numbers": dataset.numbers, "texts": dataset.texts, "classes": [], **more}


def write_pickle(model: Any, about: dict[str, Any], rows: pd.DataFrame) -> None:
    """Store a scikit-learn model that learnt from `rows`."""
    folder = step.output_path("model")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.pkl").write_bytes(pickle.dumps(model, protocol=pickle.DEFAULT_PROTOCOL))
    settings = {"pickled_model": "model.pkl", "serialization_format": "pickle", "sklearn_version": about["version"]}
    function = {"model_path": "model.pkl", "predict_fn": "predict"}
    flavor = Flavor("sklearn", "model.pkl", settings, ("scikit-learn", "scipy"), function)
    write(folder, flavor, about, rows, model.predict(rows.head(1)))


def write(folder: Path, flavor: Flavor, about: dict[str, Any], rows: pd.DataFrame, answer: Any) -> None:
    """Complete a folder in which the model itself lies already; `answer` is what it says of one row."""
    step.write_json(folder / "model.json", about)
    sample = rows if len(rows) <= SAMPLE_ROWS else rows.sample(SAMPLE_ROWS, random_state=0).sort_index()
    sample.to_csv(folder / "training_sample.csv", index=False, lineterminator="\n")
    packages = ("numpy", "pandas", *flavor.packages)
    versions = [f"{name}=={_version(name)}" for name in sorted(packages)]
    (folder / "requirements.txt").write_text("\n".join(versions) + "\n", "utf-8")
    python = platform.python_version()
    environment = {"python": python, "build_dependencies": ["pip"], "dependencies": ["-r requirements.txt"]}
    _write_yaml(folder / "python_env.yaml", environment)
    function: dict[str, Any] = {"loader_module": f"mlflow.{flavor.name}", "python_version": python}
    function |= {"env": {"virtualenv": "python_env.yaml"}, **(flavor.function or {"data": flavor.file})}
    digest = hashlib.sha256((folder / flavor.file).read_bytes()).hexdigest()
    manifest = {
        "flavors": {flavor.name: {**flavor.settings, "code": None}, "python_function": function},
        "model_size_bytes": sum(one.stat().st_size for one in folder.iterdir()),
        "model_uuid": digest[:32],
        "signature": {"inputs": _inputs(rows), "outputs": _outputs(answer), "params": None},
        "utc_time_created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }
    _write_yaml(folder / MANIFEST, manifest)


def _version(package: str) -> str:
    """The version of an installed package; xgboost may be there in its smaller edition."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return metadata.version(f"{package}-cpu")


def _write_yaml(file: Path, value: Any) -> None:
    file.write_text(yaml.safe_dump(value, default_flow_style=False, allow_unicode=True), "utf-8")


def _inputs(rows: pd.DataFrame) -> str:
    """The columns as MLflow infers them; a column with gaps is not required."""
    columns = []
    for name in rows.columns:
        kind = "string" if not tabular.is_number(rows[name]) else "long" if rows[name].dtype.kind in "iu" else "double"
        columns.append({"type": kind, "name": str(name), "required": not rows[name].isna().any()})
    return json.dumps(columns, ensure_ascii=False)


def _outputs(answer: Any) -> str:
    array = np.asarray(answer)
    kind = "object" if array.dtype.kind in "OU" else str(array.dtype)
    shape = [-1, *array.shape[1:]]
    return json.dumps([{"type": "tensor", "tensor-spec": {"dtype": kind, "shape": shape}}])


def load(folder: Path) -> Model:
    """A stored model. Loading one runs code of whoever made it."""
    if not (folder / "model.json").is_file() or not (folder / MANIFEST).is_file():
        step.fail(f"The input {folder.name!r} is no model of this family. Connect the output of a trainer.")
    about: dict[str, Any] = json.loads((folder / "model.json").read_text("utf-8"))
    flavors = yaml.safe_load((folder / MANIFEST).read_text("utf-8"))["flavors"]
    for name, opener in _OPENERS.items():
        if name in flavors:
            return opener(folder, flavors[name], about)
    return step.fail(f"The model in {folder.name!r} is of a kind that is not known here: {', '.join(flavors)}.")


def package(name: str) -> Any:
    """A package that only some images have."""
    try:
        return import_module(name)
    except ImportError:
        image = _IMAGES.get(name)
        more = f" Choose the image {image} for this step, under Advanced." if image else ""
        return step.fail(f"The image of this step has no {name}, which the model needs.{more}")


def _open_pickle(folder: Path, settings: dict[str, Any], about: dict[str, Any]) -> Model:
    try:
        model = pickle.loads((folder / settings["pickled_model"]).read_bytes())  # noqa: S301 - the person's own model
    except ModuleNotFoundError as error:
        return step.fail(f"The image of this step has no {error.name}, which the model needs. Choose its image.")
    return Model(about, model.predict, getattr(model, "predict_proba", None), model)


def _open_xgboost(folder: Path, settings: dict[str, Any], about: dict[str, Any]) -> Model:
    xgboost = package("xgboost")
    classes = np.array(about["classes"])
    model = xgboost.XGBClassifier() if len(classes) else xgboost.XGBRegressor()
    model.load_model(folder / settings["data"])
    if not len(classes):
        return Model(about, model.predict)
    return Model(about, lambda rows: classes[model.predict(rows)], model.predict_proba)


def _open_lightgbm(folder: Path, settings: dict[str, Any], about: dict[str, Any]) -> Model:
    booster = package("lightgbm").Booster(model_file=str(folder / settings["data"]))
    classes = np.array(about["classes"])
    if not len(classes):
        return Model(about, booster.predict)

    def scores(rows: pd.DataFrame) -> np.ndarray:
        said = np.asarray(booster.predict(rows))
        return said if said.ndim == 2 else np.column_stack([1 - said, said])

    return Model(about, lambda rows: classes[scores(rows).argmax(axis=1)], scores)


def _open_onnx(folder: Path, settings: dict[str, Any], about: dict[str, Any]) -> Model:
    runtime = package("onnxruntime")
    session = runtime.InferenceSession(str(folder / settings["data"]), providers=["CPUExecutionProvider"])
    classes = np.array(about["classes"])

    def ask(rows: pd.DataFrame) -> list[Any]:
        return session.run(None, onnx_feed(session, rows))  # type: ignore[no-any-return]

    def predict(rows: pd.DataFrame) -> np.ndarray:
        said = np.asarray(ask(rows)[0]).reshape(len(rows))
        return classes[said.astype("int64")] if about.get("answers") == "indexes" else said

    return Model(about, predict, (lambda rows: np.asarray(ask(rows)[1])) if len(classes) else None)


def onnx_feed(session: Any, rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Rows as the inputs of an ONNX graph: one for all numbers together, or one for each column."""
    inputs = session.get_inputs()
    kinds = {"tensor(string)": object, "tensor(float)": np.float32, "tensor(double)": np.float64}
    if len(inputs) == 1 and inputs[0].name not in rows.columns:
        return {inputs[0].name: rows.to_numpy(kinds[inputs[0].type])}
    return {one.name: rows[[one.name]].to_numpy(kinds.get(one.type, np.int64)) for one in inputs}


_OPENERS: dict[str, Callable[[Path, dict[str, Any], dict[str, Any]], Model]] = {
    "sklearn": _open_pickle, "xgboost": _open_xgboost, "lightgbm": _open_lightgbm, "onnx": _open_onnx,
}  # fmt: skip


def features(dataset: tabular.Dataset, about: dict[str, Any]) -> pd.DataFrame:
    """The columns that a model was trained on, in its order."""
    wanted = [*about["numbers"], *about["texts"]]
    absent = [name for name in wanted if name not in dataset.frame.columns]
    if absent:
        step.fail(f"The data have no column {absent[0]!r}, on which the model was trained.")
    for name in about["numbers"]:
        if not tabular.is_number(dataset.frame[name]):
            step.fail(f"The column {name!r} holds text; the model was trained on numbers there.")
    return dataset.frame[wanted]


def asked(dataset: tabular.Dataset, model: Model) -> pd.DataFrame:
    """The rows as they are put to a model; gaps only where it takes them."""
    rows = features(dataset, model.about)
    gaps = model.about.get("gaps")
    if gaps is not True:
        tabular.refuse_missing(dataset, [name for name in rows.columns if name not in (gaps or ())])
    return rows
