"""How well groups hold together, and how they fit a label where there is one."""

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

MEASURES = ("silhouette", "davies_bouldin", "calinski_harabasz")
LOWER_IS_BETTER = frozenset({"davies_bouldin"})
SAMPLE = 5000


@dataclass
class Tested:
    """One model and the group of each row."""

    name: str
    numbers: dict[str, float]
    said: np.ndarray
    against: pd.DataFrame | None

    @property
    def report(self) -> dict[str, Any]:
        """How many rows each group has."""
        return {"groups": {str(group): int(count) for group, count in self.sizes.items()}}

    @property
    def sizes(self) -> pd.Series:
        """Rows of each group."""
        return pd.Series(self.said).value_counts().sort_index()


def test(dataset: tabular.Dataset, model: model_folder.Model) -> Tested:
    """Ask one model about every row, and measure in the space in which it measures itself."""
    rows = model_folder.asked(dataset, model)
    said = np.asarray(model.predict(rows)).reshape(len(rows))
    if not 2 <= len(set(said.tolist())) < len(rows):
        step.fail(f"The model puts these {len(rows)} rows into {len(set(said.tolist()))} group(s); there is nothing to "
                  "measure. Test it on more rows.")  # fmt: skip
    space = model.native[:-1].transform(rows) if model.native is not None and len(model.native) > 1 else rows
    numbers = {
        "silhouette": float(metrics.silhouette_score(space, said, sample_size=min(SAMPLE, len(rows)), random_state=0)),
        "davies_bouldin": float(metrics.davies_bouldin_score(space, said)),
        "calinski_harabasz": float(metrics.calinski_harabasz_score(space, said)),
    }
    label = model.about["label"]
    against = None
    if label in dataset.frame and tabular.task_of(dataset.frame[label]) == tabular.CLASSIFICATION:
        truth = dataset.frame[label].astype(str)
        numbers["adjusted_rand"] = float(metrics.adjusted_rand_score(truth, said))
        against = pd.crosstab(truth.rename(label), pd.Series(said, name="group")).reset_index()
    return Tested(model.about["algorithm"], numbers, said, against)


def show_one(views: step.Views, one: Tested, number: int, curves: bool) -> None:
    """How large the groups are, and which label they hold."""
    sizes = one.sizes
    views.chart(f"{one.name}: rows of each group", charts.columns([f"group {name}" for name in sizes.index], sizes))
    if one.against is not None:
        views.table(f"{one.name}: groups and label", one.against, f"groups-{number}.csv")


def show_all(views: step.Views, tested: list[Tested]) -> None:
    """Nothing more: the table of models says it."""
