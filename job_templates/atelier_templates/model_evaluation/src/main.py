"""Tests one or two classifiers and shows how they did."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import charts
import classification
import numpy as np
import pandas as pd
import step
import tabular
from sklearn import metrics


@dataclass
class Tested:
    """One model and what it said about the test rows."""

    name: str
    classes: list[Any]
    truth: np.ndarray
    said: np.ndarray
    scores: np.ndarray
    numbers: dict[str, float]
    of_class: pd.DataFrame


def main() -> None:
    """Test, compare, show."""
    given = step.parameters()
    dataset = tabular.read(step.needed("data"))
    tabular.refuse_missing(dataset)
    tested = [evaluate(dataset, step.needed("model"))]
    other = step.input_path("other")
    if other is not None:
        tested.append(evaluate(dataset, other))
    make_names_differ(tested)
    best = max(tested, key=lambda one: one.numbers[given["decide_by"]])
    step.write_values({**best.numbers, "best": best.name})
    report = {one.name: {**one.numbers, "classes": one.of_class.to_dict("records")} for one in tested}
    step.write_json(step.output_path("metrics"), {"best": best.name, "rows": len(dataset.frame), "models": report})
    show(tested, best, curves=given["curves"])


def evaluate(dataset: tabular.Dataset, folder: Path) -> Tested:
    """Ask one model about every row."""
    model, about = classification.load(folder)
    known = tabular.Dataset(dataset.frame, tabular.check_label(dataset.frame, about["label"]))
    truth = tabular.labels(known).to_numpy()
    rows = classification.features(known, about)
    if isinstance(about["classes"][0], str) != isinstance(truth[0], str):
        step.fail(f"The label column {known.label!r} and the classes of the model are not of one kind.")
    said = model.predict(rows)
    classes = sorted(set(about["classes"]) | set(truth.tolist()))
    scores = np.zeros((len(truth), len(classes)))
    scores[:, [classes.index(one) for one in about["classes"]]] = model.predict_proba(rows)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truth, said, labels=classes, zero_division=0.0
    )
    numbers = {"accuracy": float(metrics.accuracy_score(truth, said)), "macro_f1": float(np.mean(f1))}
    of_class = pd.DataFrame(
        {"class": list(map(str, classes)), "precision": precision, "recall": recall, "f1": f1, "rows": support}
    )
    return Tested(about["algorithm"], classes, truth, said, scores, numbers, of_class)


def make_names_differ(tested: list[Tested]) -> None:
    """Two models of one algorithm are told apart by the input that they came by."""
    if len(tested) == 2 and tested[0].name == tested[1].name:
        tested[0].name, tested[1].name = f"{tested[0].name} (model)", f"{tested[1].name} (other)"


def show(tested: list[Tested], best: Tested, *, curves: bool) -> None:
    """Numbers first, then where the models err, then curves."""
    views = step.Views()
    views.text("Result", f"{best.name} did best: accuracy {best.numbers['accuracy']:.4f}, macro F1 "
               f"{best.numbers['macro_f1']:.4f} on {len(best.truth)} rows.")  # fmt: skip
    views.table("Models", pd.DataFrame([{"model": one.name, **one.numbers} for one in tested]), "models.csv")
    for number, one in enumerate(tested, 1):
        views.metrics(one.name, one.numbers)
        matrix = metrics.confusion_matrix(one.truth, one.said, labels=one.classes)
        names = list(map(str, one.classes))
        table = pd.DataFrame(matrix, columns=names)
        table.insert(0, "truth", names)
        views.table(f"{one.name}: confusion matrix", table, f"confusion-{number}.csv")
        views.chart(f"{one.name}: confusion matrix", charts.heatmap(matrix, names))
        charts.save_heatmap(matrix, names, one.name, views.image(f"{one.name}: picture", f"confusion-{number}.png"))
        views.table(f"{one.name}: each class", one.of_class, f"classes-{number}.csv")
        if curves and len(one.classes) <= charts.MAX_CURVES:
            views.chart(f"{one.name}: ROC", charts.roc(one.truth, one.scores, one.classes))
            views.chart(
                f"{one.name}: precision and recall", charts.precision_recall(one.truth, one.scores, one.classes)
            )
    views.chart("F1 of each class", charts.bars({one.name: one.of_class for one in tested}))
    views.write()
    for one in tested:
        print(f"{one.name}: accuracy {one.numbers['accuracy']:.4f}, macro F1 {one.numbers['macro_f1']:.4f}")


main()
