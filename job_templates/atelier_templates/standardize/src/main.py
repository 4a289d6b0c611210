"""Fills gaps and standardizes numbers: learnt from the train part, applied to both."""

from __future__ import annotations

from typing import Any

import pandas as pd
import step
import tabular


def main() -> None:
    """Learn, apply, store."""
    given = step.parameters()
    train = tabular.read(step.needed("train"))
    test = tabular.read(step.needed("test"), train.label)
    check_same_columns(train, test)
    if given["missing"] == "refuse":
        tabular.refuse_missing(train)
        tabular.refuse_missing(test)
    if given["missing"] == "drop":
        train, test = without_gaps(train, "train"), without_gaps(test, "test")
    learnt = {name: learn_number(train.frame[name], given) for name in train.numbers}
    learnt |= {name: learn_text(train.frame[name]) for name in train.texts}
    for name, dataset in {"train": train, "test": test}.items():
        dataset.with_frame(apply(dataset.frame, learnt)).write(step.output_path(name))
    step.write_json(step.output_path("scaler"), {"method": given["method"], "columns": learnt})
    show(learnt)


def check_same_columns(train: tabular.Dataset, test: tabular.Dataset) -> None:
    """Both parts must be of the same kind."""
    if list(train.frame.columns) != list(test.frame.columns):
        different = sorted(set(train.frame.columns) ^ set(test.frame.columns)) or ["their order"]
        step.fail(f"The train and the test part differ in {different[0]!r}. Connect the two parts of one split.")
    for name in train.numbers:
        if name in test.texts and test.frame[name].notna().any():
            step.fail(f"The column {name!r} holds numbers in the train part and texts in the test part.")


def without_gaps(dataset: tabular.Dataset, part: str) -> tabular.Dataset:
    """The rows that have a value in every feature."""
    kept = dataset.frame.dropna(subset=dataset.features)
    if kept.empty:
        step.fail(f"Every row of the {part} part has a missing value; nothing would be left. Choose another way.")
    print(f"{part}: {len(dataset.frame) - len(kept)} rows with missing values are left out.")
    return dataset.with_frame(kept)


def learn_number(column: pd.Series, given: dict[str, Any]) -> dict[str, Any]:
    """What fills a gap, and the middle and width by which the column is scaled."""
    if column.notna().sum() == 0:
        step.fail(f"The column {column.name!r} has no values in the train part. Leave it out when importing.")
    fill = column.mean() if given["missing"] == "mean" else column.median()
    filled = column.fillna(fill)
    middle, width = 0.0, 1.0
    if given["method"] == "standard":
        middle, width = filled.mean(), filled.std(ddof=0)
    elif given["method"] == "min-max":
        middle, width = filled.min(), filled.max() - filled.min()
    missing = int(column.isna().sum())
    return {
        "kind": "number",
        "missing": missing,
        "fill": float(fill),
        "middle": float(middle),
        "width": float(width or 1),
    }


def learn_text(column: pd.Series) -> dict[str, Any]:
    """The commonest text, the first in the alphabet among equals."""
    if column.notna().sum() == 0:
        step.fail(f"The column {column.name!r} has no values in the train part. Leave it out when importing.")
    return {"kind": "text", "missing": int(column.isna().sum()), "fill": str(column.mode().sort_values().iloc[0])}


def apply(frame: pd.DataFrame, learnt: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """The rows with gaps filled and numbers scaled."""
    columns = {}
    for name in frame.columns:
        rule = learnt.get(name)
        if rule is None:
            columns[name] = frame[name]
        elif rule["kind"] == "text":
            columns[name] = frame[name].fillna(rule["fill"])
        else:
            columns[name] = (frame[name].astype("float64").fillna(rule["fill"]) - rule["middle"]) / rule["width"]
    return pd.DataFrame(columns)


def show(learnt: dict[str, dict[str, Any]]) -> None:
    """Say what was done with each column."""
    views = step.Views()
    views.table(
        "What was learnt from the train part", pd.DataFrame(learnt).T.rename_axis("column").reset_index(), "scaler.csv"
    )
    views.write()
    gaps = sum(rule["missing"] for rule in learnt.values())
    print(f"{len(learnt)} columns, {gaps} gaps in the train part.")


main()
