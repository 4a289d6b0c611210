"""Asks a model about every row of a dataset."""

from __future__ import annotations

from typing import Any

import model_folder
import numpy as np
import pandas as pd
import step
import tabular

BATCH = 10_000
MAX_CLASSES = 100


def main() -> None:
    """Ask, store, show."""
    given = step.parameters()
    dataset = tabular.read(step.needed("data"))
    model = model_folder.load(step.needed("model"))
    rows = model_folder.asked(dataset, model)
    if rows.empty:
        step.fail("The data have no rows.")
    kept = dataset.frame if given["keep"] else pd.DataFrame(index=dataset.frame.index)
    answers = pd.concat([ask(model, rows.iloc[at : at + BATCH], given) for at in range(0, len(rows), BATCH)])
    clash = [name for name in answers.columns if name in kept.columns]
    if clash:
        step.fail(f"The data have a column {clash[0]!r} already. Choose another name for the new column.")
    table = pd.concat([kept, answers], axis=1)
    tabular.Dataset(table, given["name"]).write(step.output_path("predictions"))
    step.write_values({"rows": len(table)})
    show(table, given["name"], model.about)


def ask(model: model_folder.Model, rows: pd.DataFrame, given: dict[str, Any]) -> pd.DataFrame:
    """The answers to some rows."""
    columns = {given["name"]: np.asarray(model.predict(rows)).reshape(len(rows))}
    classes = model.about["classes"]
    if given["shares"] and model.scores is not None and len(classes) <= MAX_CLASSES:
        scores = model.scores(rows)
        columns |= {f"probability {one}": scores[:, index] for index, one in enumerate(classes)}
    return pd.DataFrame(columns, index=rows.index)


def show(table: pd.DataFrame, name: str, about: dict[str, Any]) -> None:
    """Say what was answered how often."""
    views = step.Views()
    answers = table[name]
    if about["task"] == tabular.REGRESSION:
        numbers = {"mean": answers.mean(), "least": answers.min(), "most": answers.max()}
        views.metrics("Answers", {key: float(value) for key, value in numbers.items()})
    else:
        counts = answers.value_counts().sort_index().rename("rows").rename_axis(name).reset_index()
        views.table("Answers", counts.head(200), "answers.csv")
    views.table("First rows", table.head(20), "preview.csv")
    views.write()
    print(f"{about['algorithm']} answered {len(table)} rows.")


main()
