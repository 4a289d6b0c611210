"""The family of trainers: one way to check, train, store and show; each template brings only its algorithm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import model_folder
import numpy as np
import pandas as pd
import preprocessing
import raw_model
import step
import tabular
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

MAX_TEXTS = 100
MAX_SHOWN = 20


def train(
    algorithm: str, *, classifier: Any = None, regressor: Any = None, scale: bool = False, gaps: bool = False,
    at_least: int = 2, explain: Callable[[Pipeline, pd.DataFrame], str] | None = None,
) -> None:  # fmt: skip
    """Train on the input `train`; leave the model, its score on these rows and views.

    Of two estimators the label or the parameter `task` chooses. `scale` brings numbers to a common scale inside the
    model; `gaps` says that the algorithm takes missing numbers; `at_least` is how many rows it asks for; `explain`
    puts the trained model into words.
    """
    dataset = tabular.read(step.needed("train"))
    before = preprocessing.given(dataset)
    check_features(dataset, gaps=gaps)
    answers, task = answers_of(dataset, classifier is not None, regressor is not None)
    if len(answers) < at_least:
        step.fail(f"There are {len(answers)} rows; with these settings {algorithm} needs {at_least} at least.")
    estimator = classifier if task == tabular.CLASSIFICATION else regressor
    tell(algorithm)
    rows = dataset.frame[[*dataset.numbers, *dataset.texts]]
    model = pipeline(dataset, estimator, scale=scale)
    fit(model, rows, answers, algorithm)
    classes = [plain(one) for one in model.classes_] if task == tabular.CLASSIFICATION else []
    about = model_folder.describe("sklearn", algorithm, task, dataset, classes=classes, gaps=gaps)
    words = explain(model, rows) if explain else ""
    show(algorithm, task, dataset, float(model.score(rows, answers)), importances(model, rows), words)
    store(model, about, rows, dataset, before)


def store(
    model: Pipeline, about: dict[str, Any], rows: pd.DataFrame, dataset: tabular.Dataset,
    before: preprocessing.Preprocessing | None,
) -> None:  # fmt: skip
    """Leave the model; with preprocessing in it, it takes raw rows, and so do its signature and its sample."""
    if before is not None:
        numbers, texts = before.numbers, before.texts
        model, rows = raw_model.join(before, model, dataset), before.sample[[*numbers, *texts]]
        gaps = [*before.filled, *(numbers if about.get("gaps") else [])]
        about = {**about, "numbers": numbers, "texts": texts, "gaps": gaps}
        print(f"The model holds what was done to the {len(rows.columns)} raw columns, and takes those.", flush=True)
    model_folder.write_pickle(model, about, rows)


def answers_of(dataset: tabular.Dataset, classifier: bool, regressor: bool) -> tuple[pd.Series, str]:
    """The label column and what is to be learnt of it."""
    answers = tabular.labels(dataset)
    task = tabular.CLASSIFICATION if classifier else tabular.REGRESSION
    if classifier and regressor:
        wanted = step.parameters()["task"]
        task = tabular.task_of(answers) if wanted == "auto" else wanted
        if wanted == "auto":
            print(f"The label column {dataset.label!r} holds {tabular.why(answers)}: this is a {task}.", flush=True)
    if answers.nunique() < 2:
        step.fail(f"The label column {dataset.label!r} has one value only; there is nothing to tell apart.")
    number = tabular.is_number(answers)
    if task == tabular.CLASSIFICATION and number and not pd.api.types.is_integer_dtype(answers):
        step.fail(f"The label column {dataset.label!r} holds fractions; a classifier needs classes. Check the label "
                  "column, or train a regression.")  # fmt: skip
    if task == tabular.REGRESSION and not number:
        step.fail(f"The label column {dataset.label!r} holds texts; a regression needs numbers. Check the label "
                  "column, or train a classifier.")  # fmt: skip
    return answers, task


def check_features(dataset: tabular.Dataset, *, gaps: bool = False, texts: bool = True) -> None:
    """Refuse what no algorithm of the family can learn from."""
    if not dataset.features:
        step.fail("There are no features: the label is the only column.")
    tabular.refuse_missing(dataset, dataset.texts if gaps else None)
    tabular.refuse_infinite(dataset)
    counts = {name: dataset.frame[name].nunique() for name in dataset.features}
    for name in dataset.texts:
        if not texts:
            step.fail(f"The column {name!r} holds texts, which this algorithm does not take. Place the step Encode "
                      "categories before this one, or leave the column out when importing.")  # fmt: skip
        if counts[name] > MAX_TEXTS:
            step.fail(f"The column {name!r} holds {counts[name]} different texts, too many to be categories. "
                      "Leave it out when importing.")  # fmt: skip
    constant = [name for name, count in counts.items() if count < 2]
    if len(constant) == len(counts):
        step.fail("Every feature has one value only; there is nothing to learn from.")
    if constant:
        print(f"{len(constant)} columns have one value only and teach nothing: {', '.join(constant[:5])}.", flush=True)


def pipeline(dataset: tabular.Dataset, estimator: Any, *, scale: bool = False) -> Pipeline:
    """Numbers as they are or scaled, texts as categories, then the algorithm."""
    numbers: Any = StandardScaler() if scale else "passthrough"
    if not dataset.texts:
        return Pipeline([*([("scale", numbers)] if scale else []), ("algorithm", estimator)])
    parts: list[tuple[str, Any, list[str]]] = [("numbers", numbers, dataset.numbers)] if dataset.numbers else []
    parts.append(("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), dataset.texts))
    columns = ColumnTransformer(parts, verbose_feature_names_out=False)
    return Pipeline([("columns", columns), ("algorithm", estimator)])


def fit(model: Any, rows: pd.DataFrame, answers: pd.Series | None, algorithm: str) -> None:
    """Train; what the algorithm refuses becomes a sentence."""
    try:
        model.fit(rows, answers)
    except ValueError as error:
        step.fail(f"{algorithm} cannot learn from these {len(rows)} rows: {error}")


def importances(model: Pipeline, rows: pd.DataFrame) -> pd.DataFrame | None:
    """What counts most, where the algorithm knows it."""
    estimator = model[-1]
    found = getattr(estimator, "feature_importances_", None)
    if found is None and getattr(estimator, "coef_", None) is not None:
        found = np.abs(np.atleast_2d(estimator.coef_)).mean(axis=0)
    if found is None:
        return None
    names = model[:-1].get_feature_names_out() if len(model) > 1 else rows.columns
    return strongest(list(names), found)


def strongest(names: list[str], weights: Any) -> pd.DataFrame:
    """The features with the largest weights."""
    table = pd.DataFrame({"feature": names, "importance": np.asarray(weights, dtype="float64")})
    return table.sort_values("importance", ascending=False, kind="stable").head(MAX_SHOWN)


def show(
    algorithm: str, task: str, dataset: tabular.Dataset, score: float, important: pd.DataFrame | None, words: str = ""
) -> None:
    """Say how well the model knows the rows that it learnt from."""
    measure = "accuracy" if task == tabular.CLASSIFICATION else "r2"
    step.write_values({"train_score": score, f"train_{measure}": score})
    views = step.Views()
    views.metrics("Training", {f"train_{measure}": score, "rows": float(len(dataset.frame))})
    if important is not None:
        views.table("What counts most", important, "importances.csv")
    if words:
        views.text("The model in words", words)
    views.write()
    print(f"{algorithm}: {len(dataset.frame)} rows, {len(dataset.features)} features, {measure} on them {score:.4f}")


def tell(algorithm: str) -> None:
    """Say what was asked for."""
    print(f"{algorithm}: " + ", ".join(f"{name} {value}" for name, value in step.parameters().items()), flush=True)


def plain(value: Any) -> Any:
    """A value of NumPy's as Python's own."""
    return value.item() if isinstance(value, np.generic) else value
