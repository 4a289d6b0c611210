"""How close models come to numbers."""

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

MEASURES = ("rmse", "mae", "r2")
LOWER_IS_BETTER = frozenset({"rmse", "mae"})
WORST = 20


@dataclass
class Tested:
    """One model and what it said about the test rows."""

    name: str
    numbers: dict[str, float]
    label: str
    truth: np.ndarray
    said: np.ndarray

    @property
    def report(self) -> dict[str, Any]:
        """What there is to say beyond the numbers: how far off it is in a tenth, half, … of the rows."""
        off = np.abs(self.truth - self.said)
        return {"errors": {f"{share}%": float(np.percentile(off, share)) for share in (10, 50, 90, 100)}}


def test(dataset: tabular.Dataset, model: model_folder.Model) -> Tested:
    """Ask one model about every row."""
    about = model.about
    known = tabular.Dataset(dataset.frame, tabular.check_label(dataset.frame, about["label"]))
    truth = tabular.labels(known)
    if not tabular.is_number(truth):
        step.fail(f"The label column {known.label!r} holds texts; the model answers with numbers.")
    if len(truth) < 2:
        step.fail("There is one row only; at least two are needed to measure a regression.")
    said = np.asarray(model.predict(model_folder.asked(known, model)), dtype="float64").reshape(len(truth))
    numbers = {
        "rmse": float(metrics.root_mean_squared_error(truth, said)),
        "mae": float(metrics.mean_absolute_error(truth, said)),
        "r2": float(metrics.r2_score(truth, said)),
    }
    return Tested(about["algorithm"], numbers, known.label, truth.to_numpy("float64"), said)


def show_one(views: step.Views, one: Tested, number: int, curves: bool) -> None:
    """Truth against answer, how the errors lie, and the rows that are farthest off."""
    views.chart(f"{one.name}: truth and answer", charts.against(one.truth, one.said, one.label))
    if curves:
        views.chart(f"{one.name}: errors", charts.histogram(one.said - one.truth, "answer minus truth"))
    table = pd.DataFrame({"row": range(1, len(one.truth) + 1), "truth": one.truth, "answer": one.said})
    table["error"] = table["answer"] - table["truth"]
    order = table["error"].abs().sort_values(ascending=False, kind="stable").index[:WORST]
    views.table(f"{one.name}: farthest off", table.loc[order], f"errors-{number}.csv")


def show_all(views: step.Views, tested: list[Tested]) -> None:
    """Nothing more: the table of models says it."""
