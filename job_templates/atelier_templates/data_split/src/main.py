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
    stratify = given["stratify"] and has_classes(classes, dataset.label)
    check_classes(classes, stratify, dataset.label)
    dataset.frame[dataset.label] = classes
    try:
        train, test = train_test_split(
            dataset.frame, test_size=given["test_size"], random_state=given["seed"],
            stratify=classes if stratify else None,
        )  # fmt: skip
    except ValueError as error:
        step.fail(f"The rows cannot be divided like this: {error} Change the share of the test part.")
    parts = {"train": train, "test": test}
    for name, rows in parts.items():
        dataset.with_frame(rows.sort_index()).write(step.output_path(name))
    show(parts, dataset.label, has_classes=tabular.task_of(classes) == tabular.CLASSIFICATION)


def with_labels(dataset: tabular.Dataset) -> tabular.Dataset:
    """The rows that have a label."""
    labelled = dataset.frame[dataset.frame[dataset.label].notna()]
    dropped = len(dataset.frame) - len(labelled)
    if dropped:
        print(f"{dropped} rows have no value in the label column {dataset.label!r} and are left out.")
    return dataset.with_frame(labelled)


def has_classes(answers: pd.Series, label: str) -> bool:
    """Numbers to come close to have no shares that could be kept."""
    if tabular.task_of(answers) == tabular.CLASSIFICATION:
        return True
    print(f"The label column {label!r} holds {tabular.why(answers)}: these are no classes whose shares could be kept.")
    return False


def check_classes(classes: pd.Series, stratify: bool, label: str) -> None:
    """Shares can be kept only where every class has two rows at least."""
    counts = classes.value_counts()
    if stratify and counts.min() < 2:
        step.fail(f"{counts.idxmin()!r} comes only once in the label column {label!r}, so both parts cannot have it. "
                  "Check that this is the label column, or switch off keeping the shares of the classes.")  # fmt: skip


def show(parts: dict[str, pd.DataFrame], label: str, *, has_classes: bool) -> None:
    """Say how many rows of each class each part has, or how its numbers lie."""
    views = step.Views()
    sizes = {name: len(rows) for name, rows in parts.items()}
    views.metrics("Rows", {name: float(size) for name, size in sizes.items()})
    if has_classes:
        counts = pd.DataFrame({name: rows[label].value_counts() for name, rows in parts.items()})
        counts = counts.fillna(0).astype("int64").sort_index().rename_axis(label).reset_index()
        views.table("Rows of each class", counts.head(200), "classes.csv")
    else:
        about = pd.DataFrame({name: rows[label].describe() for name, rows in parts.items()})
        views.table("How the label lies", about.rename_axis(label).reset_index(), "label.csv")
    views.write()
    print(", ".join(f"{name}: {size} rows" for name, size in sizes.items()))


main()
