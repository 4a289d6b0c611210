"""The family of steps that learn from the train part what they do to both parts."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import preprocessing
import step
import tabular

Parts = dict[str, tabular.Dataset]


def read() -> Parts:
    """The input `train`, and `test` where it is connected; both have the same columns."""
    parts = {"train": tabular.read(step.needed("train"))}
    test = step.input_path("test")
    if test is not None:
        parts["test"] = tabular.read(test, parts["train"].label)
        check_same_columns(parts["train"], parts["test"])
    return parts


def check_same_columns(train: tabular.Dataset, test: tabular.Dataset) -> None:
    """Both parts must be of the same kind."""
    if list(train.frame.columns) != list(test.frame.columns):
        different = sorted(set(train.frame.columns) ^ set(test.frame.columns)) or ["their order"]
        step.fail(f"The train and the test part differ in {different[0]!r}. Connect the two parts of one split.")
    for name in train.numbers:
        if name in test.texts and test.frame[name].notna().any():
            step.fail(f"The column {name!r} holds numbers in the train part and texts in the test part.")


def write(parts: Parts, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Store each part as `change` makes it."""
    for name, dataset in parts.items():
        dataset.with_frame(change(dataset.frame)).write(step.output_path(name))


def without_gaps(
    dataset: tabular.Dataset, part: str, columns: list[str], done: preprocessing.Preprocessing
) -> tabular.Dataset:
    """The rows that have a value in every one of the columns; `done` remembers which of the train part are left."""
    kept = dataset.frame.dropna(subset=columns)
    if kept.empty:
        step.fail(f"Every row of the {part} part has a missing value; nothing would be left. Choose another way.")
    if part == "train":
        done.keep_rows(kept.index)
    print(f"{part}: {len(dataset.frame) - len(kept)} rows with missing values are left out.")
    return dataset.with_frame(kept)


def commonest(column: pd.Series) -> str:
    """The commonest text, the first in the alphabet among equals."""
    refuse_empty(column)
    return str(column.mode().sort_values().iloc[0])


def refuse_empty(column: pd.Series) -> None:
    """From nothing nothing can be learnt."""
    if column.notna().sum() == 0:
        step.fail(f"The column {column.name!r} has no values in the train part. Leave it out when importing.")
