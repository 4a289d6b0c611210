"""The family of boosters with libraries of their own: numbers only, gaps welcome, stored in the library's format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import model_folder
import numpy as np
import pandas as pd
import step
import tabular
import training
from sklearn import metrics


@dataclass(frozen=True)
class Known:
    """What is learnt from; `answers` are indexes into `classes`, or numbers where there are none."""

    algorithm: str
    task: str
    dataset: tabular.Dataset
    rows: pd.DataFrame
    answers: np.ndarray
    classes: list[Any]

    def file(self, name: str) -> str:
        """Where the library stores its model."""
        folder = step.output_path("model")
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder / name)


def prepare(algorithm: str) -> Known:
    """Read and check the training rows."""
    dataset = tabular.read(step.needed("train"))
    training.check_features(dataset, gaps=True, texts=False)
    answers, task = training.answers_of(dataset, classifier=True, regressor=True)
    training.tell(algorithm)
    rows = dataset.frame[dataset.numbers]
    if task == tabular.REGRESSION:
        return Known(algorithm, task, dataset, rows, answers.to_numpy("float64"), [])
    codes, classes = pd.factorize(answers, sort=True)
    return Known(algorithm, task, dataset, rows, codes, [training.plain(one) for one in classes])


def fit(model: Any, known: Known) -> None:
    """Train; what the library refuses becomes a sentence."""
    try:
        model.fit(known.rows, known.answers)
    except Exception as error:
        # The libraries have error classes of their own, for data and for settings.
        step.fail(f"{known.algorithm} cannot learn from these {len(known.rows)} rows: {error}")


def finish(
    known: Known, flavor: model_folder.Flavor, ask: Callable[[pd.DataFrame], Any], said: Any, weights: np.ndarray
) -> None:
    """Complete the model folder and show how well the model knows its rows."""
    about = model_folder.describe(
        flavor.name, known.algorithm, known.task, known.dataset, classes=known.classes, gaps=True
    )
    model_folder.write(step.output_path("model"), flavor, about, known.rows, ask(known.rows.head(1)))
    score = metrics.accuracy_score if known.classes else metrics.r2_score
    important = training.strongest(list(known.rows.columns), weights)
    training.show(known.algorithm, known.task, known.dataset, float(score(known.answers, said)), important)
