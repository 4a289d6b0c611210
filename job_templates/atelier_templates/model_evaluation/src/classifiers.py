"""How good classifiers are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import charts
import model_folder
import numpy as np
import pandas as pd
import step
import tabular
from sklearn import metrics

MEASURES = ("macro_f1", "accuracy")
LOWER_IS_BETTER: frozenset[str] = frozenset()


@dataclass
class Tested:
    """One model and what it said about the test rows; `scores` is None where it only names a class."""

    name: str
    numbers: dict[str, float]
    classes: list[Any]
    truth: np.ndarray
    said: np.ndarray
    scores: np.ndarray | None
    of_class: pd.DataFrame

    @property
    def report(self) -> dict[str, Any]:
        """What there is to say beyond the numbers."""
        return {"classes": self.of_class.to_dict("records")}


def test(dataset: tabular.Dataset, model: model_folder.Model) -> Tested:
    """Ask one model about every row."""
    about = model.about
    known = tabular.Dataset(dataset.frame, tabular.check_label(dataset.frame, about["label"]))
    truth = tabular.labels(known).to_numpy()
    rows = model_folder.asked(known, model)
    if isinstance(about["classes"][0], str) != isinstance(truth[0], str):
        step.fail(f"The label column {known.label!r} and the classes of the model are not of one kind.")
    said = model.predict(rows)
    classes = sorted(set(about["classes"]) | set(truth.tolist()))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truth, said, labels=classes, zero_division=0.0
    )
    numbers = {"accuracy": float(metrics.accuracy_score(truth, said)), "macro_f1": float(np.mean(f1))}
    of_class = pd.DataFrame(
        {"class": list(map(str, classes)), "precision": precision, "recall": recall, "f1": f1, "rows": support}
    )
    return Tested(about["algorithm"], numbers, classes, truth, said, scores_of(model, rows, classes), of_class)


def scores_of(model: model_folder.Model, rows: pd.DataFrame, classes: list[Any]) -> np.ndarray | None:
    """A column for each class, those that the model does not know included."""
    if model.scores is None:
        return None
    scores = np.zeros((len(rows), len(classes)))
    scores[:, [classes.index(one) for one in model.about["classes"]]] = model.scores(rows)
    return scores


def show_one(views: step.Views, one: Tested, number: int, curves: bool) -> None:
    """Where one model errs."""
    matrix = metrics.confusion_matrix(one.truth, one.said, labels=one.classes)
    names = list(map(str, one.classes))
    table = pd.DataFrame(matrix, columns=names)
    table.insert(0, "truth", names)
    views.table(f"{one.name}: confusion matrix", table, f"confusion-{number}.csv")
    views.chart(f"{one.name}: confusion matrix", charts.heatmap(matrix, names))
    charts.save_heatmap(matrix, names, one.name, views.image(f"{one.name}: picture", f"confusion-{number}.png"))
    views.table(f"{one.name}: each class", one.of_class, f"classes-{number}.csv")
    if curves and one.scores is not None and len(one.classes) <= charts.MAX_CURVES:
        views.chart(f"{one.name}: ROC", charts.roc(one.truth, one.scores, one.classes))
        chart = charts.precision_recall(one.truth, one.scores, one.classes)
        views.chart(f"{one.name}: precision and recall", chart)


def show_all(views: step.Views, tested: list[Tested]) -> None:
    """The models side by side."""
    views.chart("F1 of each class", charts.bars({one.name: one.of_class for one in tested}))
