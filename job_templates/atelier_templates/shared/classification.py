"""The family of classifiers: one way to train, store and load them; each template brings only its algorithm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import sklearn
import step
import tabular
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

MAX_TEXTS = 100


def train(algorithm: str, estimator: Any) -> None:
    """Train `estimator` on the input `train` and leave the model, its training accuracy and a view."""
    dataset = tabular.read(step.needed("train"))
    tabular.refuse_missing(dataset)
    classes = tabular.labels(dataset)
    if classes.nunique() < 2:
        step.fail(f"The label column {dataset.label!r} has one value only; there is nothing to tell apart.")
    if not pd.api.types.is_integer_dtype(classes) and tabular.is_number(classes):
        step.fail(
            f"The label column {dataset.label!r} holds fractions; a classifier needs classes. Check the label column."
        )
    for name in dataset.texts:
        different = dataset.frame[name].nunique()
        if different > MAX_TEXTS:
            step.fail(f"The column {name!r} holds {different} different texts, too many to be categories. "
                      "Leave it out when importing.")  # fmt: skip
    print(f"{algorithm}: " + ", ".join(f"{name} {value}" for name, value in step.parameters().items()), flush=True)
    model = pipeline(dataset, estimator)
    model.fit(dataset.frame[dataset.features], classes)
    accuracy = float(model.score(dataset.frame[dataset.features], classes))
    save(model, algorithm, dataset)
    step.write_values({"train_accuracy": accuracy})
    views = step.Views()
    views.metrics("Training", {"train_accuracy": accuracy, "rows": float(len(classes))})
    views.write()
    print(f"{algorithm}: {len(classes)} rows, {len(dataset.features)} features, accuracy on them {accuracy:.4f}")


def pipeline(dataset: tabular.Dataset, estimator: Any) -> Pipeline:
    """Numbers as they are, texts as categories, then the algorithm."""
    parts: list[tuple[str, Any, list[str]]] = []
    if dataset.numbers:
        parts.append(("numbers", "passthrough", dataset.numbers))
    if dataset.texts:
        parts.append(("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), dataset.texts))
    if not parts:
        step.fail("There are no features: the label is the only column.")
    return Pipeline([("columns", ColumnTransformer(parts)), ("classifier", estimator)])


def save(model: Pipeline, algorithm: str, dataset: tabular.Dataset) -> None:
    """Store the model with what one must know to use it."""
    folder = step.output_path("model")
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, folder / "model.joblib", compress=3)
    about = {
        "framework": "scikit-learn",
        "version": sklearn.__version__,
        "algorithm": algorithm,
        "label": dataset.label,
        "numbers": dataset.numbers,
        "texts": dataset.texts,
        "classes": [one.item() if isinstance(one, np.generic) else one for one in model.classes_],
    }
    step.write_json(folder / "model.json", about)


def load(folder: Path) -> tuple[Pipeline, dict[str, Any]]:
    """A stored model and what is known about it."""
    if not (folder / "model.json").is_file():
        step.fail(f"The input {folder.name!r} is no model of this family. Connect the output of a trainer.")
    about = json.loads((folder / "model.json").read_text("utf-8"))
    return joblib.load(folder / "model.joblib"), about


def features(dataset: tabular.Dataset, about: dict[str, Any]) -> pd.DataFrame:
    """The columns that a model was trained on."""
    wanted = [*about["numbers"], *about["texts"]]
    absent = [name for name in wanted if name not in dataset.frame.columns]
    if absent:
        step.fail(f"The data have no column {absent[0]!r}, on which the model was trained.")
    for name in about["numbers"]:
        if not tabular.is_number(dataset.frame[name]):
            step.fail(f"The column {name!r} holds text; the model was trained on numbers there.")
    return dataset.frame[wanted]
