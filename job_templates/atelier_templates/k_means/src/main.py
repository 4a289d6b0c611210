"""Groups rows by k-means."""

from __future__ import annotations

from typing import Any

import model_folder
import numpy as np
import pandas as pd
import preprocessing
import step
import tabular
import training
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score

SAMPLE = 5000
MAX_POINTS = 2000


def main() -> None:
    """Group, store, show."""
    given = step.parameters()
    dataset = tabular.read(step.needed("train"))
    if given["with_label"]:
        dataset.label = ""
    before = preprocessing.given(dataset)
    training.check_features(dataset)
    rows = dataset.frame[[*dataset.numbers, *dataset.texts]]
    different = len(rows.drop_duplicates())
    if different <= given["groups"]:
        step.fail(f"There are {different} different rows, too few for {given['groups']} groups. Ask for fewer groups.")
    training.tell("k-means")
    chosen = {"n_clusters": given["groups"], "n_init": given["starts"], "random_state": given["seed"]}
    model = training.pipeline(dataset, KMeans(**chosen), scale=given["scale"])
    training.fit(model, rows, None, "k-means")
    about = model_folder.describe("sklearn", "k-means", tabular.CLUSTERING, dataset)
    groups = model.predict(rows)
    if "group" in dataset.frame.columns:
        step.fail("The data have a column 'group' already. Rename it in the data.")
    table = dataset.frame.assign(group=groups)
    tabular.Dataset(table, "group").write(step.output_path("groups"))
    space = np.asarray(model[:-1].transform(rows) if len(model) > 1 else rows, dtype="float64")
    silhouette = float(silhouette_score(space, groups, sample_size=min(SAMPLE, len(rows)), random_state=0))
    step.write_values({"silhouette": silhouette})
    show(dataset, table, space, {"silhouette": silhouette, "inertia": float(model[-1].inertia_)})
    training.store(model, about, rows, dataset, before)


def show(dataset: tabular.Dataset, table: pd.DataFrame, space: np.ndarray, numbers: dict[str, float]) -> None:
    """Say how the groups differ."""
    views = step.Views()
    views.metrics("Groups", numbers)
    grouped = table.groupby("group")
    middles = grouped[dataset.numbers].mean() if dataset.numbers else pd.DataFrame(index=sorted(grouped.groups))
    middles.insert(0, "rows", grouped.size())
    views.table("The middle of each group", middles.rename_axis("group").reset_index(), "groups.csv")
    views.chart("The rows in two directions", scatter(space, table["group"].to_numpy()))
    views.write()
    sizes = ", ".join(f"{group}: {size}" for group, size in grouped.size().items())
    print(f"k-means: {len(table)} rows, silhouette {numbers['silhouette']:.4f}; rows of each group: {sizes}")


def scatter(space: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """A point for each row, in the two directions in which they differ most."""
    keep = np.unique(np.linspace(0, len(space) - 1, min(len(space), MAX_POINTS)).astype(int))
    flat = space if space.shape[1] < 2 else PCA(2, random_state=0).fit_transform(space)
    points = np.column_stack([flat, np.zeros(len(flat))])[:, :2][keep].round(4)
    series = [
        {"type": "scatter", "name": f"group {group}", "symbolSize": 6, "data": points[groups[keep] == group].tolist()}
        for group in sorted(set(groups.tolist()))
    ]
    return {
        "tooltip": {"trigger": "item"},
        "legend": {"type": "scroll", "data": [one["name"] for one in series]},
        "xAxis": {"type": "value", "scale": True},
        "yAxis": {"type": "value", "scale": True},
        "series": series,
    }


main()
