"""Divides a dataset into a train part and a test part."""

from __future__ import annotations

import pandas as pd
import step
import tabular
from sklearn.model_selection import train_test_split


def main() -> None:
    """Read, divide, store both parts."""
    given = step.parameters()
    dataset = tabular.read(step.needed("data"), given["label"])
    if given["missing_label"] == "drop":
        dataset = with_labels(dataset)
    classes = tabular.labels(dataset)
    if len(classes) < 2:
        step.fail(f"There are {len(classes)} rows with a label; at least two are needed.")
    check_classes(classes, given["stratify"], dataset.label)
    dataset.frame[dataset.label] = classes
    try:
        train, test = train_test_split(
            dataset.frame, test_size=given["test_size"], random_state=given["seed"],
            stratify=classes if given["stratify"] else None,
        )  # fmt: skip
    except ValueError as error:
        step.fail(f"The rows cannot be divided like this: {error} Change the share of the test part.")
    parts = {"train": train, "test": test}
    for name, rows in parts.items():
        dataset.with_frame(rows.sort_index()).write(step.output_path(name))
    show(parts, dataset.label)


def with_labels(dataset: tabular.Dataset) -> tabular.Dataset:
    """The rows that have a label."""
    labelled = dataset.frame[dataset.frame[dataset.label].notna()]
    dropped = len(dataset.frame) - len(labelled)
    if dropped:
        print(f"{dropped} rows have no value in the label column {dataset.label!r} and are left out.")
    return dataset.with_frame(labelled)


def check_classes(classes: pd.Series, stratify: bool, label: str) -> None:
    """Shares can be kept only where every class has two rows at least."""
    counts = classes.value_counts()
    if stratify and counts.min() < 2:
        step.fail(f"{counts.idxmin()!r} comes only once in the label column {label!r}, so both parts cannot have it. "
                  "Check that this is the label column, or switch off keeping the shares of the classes.")  # fmt: skip


def show(parts: dict[str, pd.DataFrame], label: str) -> None:
    """Say how many rows of each class each part has."""
    counts = pd.DataFrame({name: rows[label].value_counts() for name, rows in parts.items()}).fillna(0).astype("int64")
    counts = counts.sort_index().rename_axis(label).reset_index()
    views = step.Views()
    sizes = {name: len(rows) for name, rows in parts.items()}
    views.metrics("Rows", {name: float(size) for name, size in sizes.items()})
    views.table("Rows of each class", counts.head(200), "classes.csv")
    views.write()
    print(", ".join(f"{name}: {size} rows" for name, size in sizes.items()))


main()
