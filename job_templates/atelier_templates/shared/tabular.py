"""Datasets of rows and columns: a folder with `data.csv` and `dataset.json`; a bare CSV file is read as well."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from step import fail, write_json

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "?")
CLASSIFICATION, REGRESSION, CLUSTERING = "classification", "regression", "clustering"
MAX_CLASSES = 20


@dataclass
class Dataset:
    """Rows with the name of the column that is to be predicted."""

    frame: pd.DataFrame
    label: str

    @property
    def features(self) -> list[str]:
        """All columns but the label."""
        return [name for name in self.frame.columns if name != self.label]

    @property
    def numbers(self) -> list[str]:
        """The features that hold numbers."""
        return [name for name in self.features if is_number(self.frame[name])]

    @property
    def texts(self) -> list[str]:
        """The features that hold text."""
        return [name for name in self.features if not is_number(self.frame[name])]

    def with_frame(self, frame: pd.DataFrame) -> Dataset:
        """The same dataset with other rows."""
        return Dataset(frame.reset_index(drop=True), self.label)

    def write(self, folder: Path) -> None:
        """Store it; what `read` gives back is the same to the last bit."""
        folder.mkdir(parents=True, exist_ok=True)
        self.frame.to_csv(folder / "data.csv", index=False, lineterminator="\n")
        kinds = {name: "number" if is_number(self.frame[name]) else "text" for name in self.frame.columns}
        about = {"format": "csv", "rows": len(self.frame), "label": self.label, "columns": kinds}
        write_json(folder / "dataset.json", about)


def is_number(column: pd.Series) -> bool:
    """Whether a column holds numbers."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def read(path: Path, label: str = "") -> Dataset:
    """Read a dataset; `label` replaces the label column that it names."""
    about: dict[str, Any] = {}
    file = path
    if path.is_dir():
        file = path / "data.csv"
        if not file.is_file():
            fail(f"The input {path.name!r} is no dataset: there is no data.csv in it. Connect the output of an import.")
        if (path / "dataset.json").is_file():
            about = json.loads((path / "dataset.json").read_text("utf-8"))
    texts = {name: str for name, kind in about.get("columns", {}).items() if kind == "text"}
    frame = read_csv(file, ",", [""] if about else MISSING, dtype=texts)
    return Dataset(frame, check_label(frame, label or about.get("label", "")))


def read_csv(file: Path, delimiter: str, missing: Iterable[str], **options: Any) -> pd.DataFrame:
    """Read a CSV file so that numbers keep every digit and only the named texts count as missing."""
    options |= {"sep": delimiter, "na_values": list(missing), "keep_default_na": False, "float_precision": "round_trip"}
    try:
        frame = pd.read_csv(file, encoding="utf-8-sig", **options)
    except UnicodeDecodeError:
        frame = pd.read_csv(file, encoding="cp1252", **options)
    except pd.errors.EmptyDataError:
        fail(f"The file {file.name!r} is empty.")
    except pd.errors.ParserError as error:
        fail(f"The file {file.name!r} is not a table: {error}. Check the delimiter.")
    for name in frame.columns:
        if not is_number(frame[name]):
            frame[name] = frame[name].astype("object").where(frame[name].isna(), frame[name].astype(str))
    return frame


def check_label(frame: pd.DataFrame, label: str) -> str:
    """The label column: the named one, otherwise the last."""
    if not len(frame.columns):
        fail("The dataset has no columns.")
    chosen = label or str(frame.columns[-1])
    if chosen not in frame.columns:
        fail(f"There is no column {chosen!r}. The columns are: {', '.join(map(str, frame.columns))}.")
    return chosen


def labels(dataset: Dataset) -> pd.Series:
    """The label column, whole numbers as such; rows without a label are refused."""
    column = dataset.frame[dataset.label]
    missing = int(column.isna().sum())
    if missing:
        fail(f"The label column {dataset.label!r} has {missing} missing values. Place the step Split data before this "
             "one: it leaves such rows out.")  # fmt: skip
    if is_number(column) and (column == column.round()).all():
        return column.astype("int64")
    return column


def task_of(answers: pd.Series) -> str:
    """What a label asks for: texts and few whole numbers are classes, all else is a number to come close to."""
    if not is_number(answers):
        return CLASSIFICATION
    whole = pd.api.types.is_integer_dtype(answers)
    return CLASSIFICATION if whole and answers.nunique() <= MAX_CLASSES else REGRESSION


def why(answers: pd.Series) -> str:
    """What `task_of` saw, as the rest of a sentence."""
    if not is_number(answers):
        return "texts"
    kind = "whole numbers" if pd.api.types.is_integer_dtype(answers) else "numbers with fractions"
    return f"{answers.nunique()} different {kind}"


def refuse_missing(dataset: Dataset, columns: list[str] | None = None) -> None:
    """End the step if a feature (or one of `columns`) has missing values, naming the columns."""
    counts = dataset.frame[dataset.features if columns is None else columns].isna().sum()
    found = [f"{name!r} ({count})" for name, count in counts.items() if count]
    if found:
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        fail(f"There are missing values in the columns {', '.join(found[:5])}{more}. Place the step Missing values or "
             "Standardize before this one and choose there how to fill them.")  # fmt: skip


def refuse_infinite(dataset: Dataset) -> None:
    """End the step if a number is infinite, naming the column."""
    for name in dataset.numbers:
        if dataset.frame[name].isin([float("inf"), float("-inf")]).any():
            fail(f"The column {name!r} holds infinite numbers. Correct them in the data, or leave the column out.")
