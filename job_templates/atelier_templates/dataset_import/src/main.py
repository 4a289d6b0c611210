"""Imports a CSV file of the project or of a dataset, or one of scikit-learn's data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import step
import tabular

BUILT_IN = ("digits", "iris", "wine", "breast_cancer")
TABLES = (".csv", ".tsv", ".txt")
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}


def main() -> None:
    """Read, look, store."""
    given = step.parameters()
    source = given["source"].strip()
    if source.startswith("builtin:"):
        frame, label = built_in(source.removeprefix("builtin:"))
    elif source.startswith("dataset:"):
        frame, label = from_file(file_of_dataset(source), source, given), ""
    else:
        frame, label = from_file(file_of_project(source), source, given), ""
    frame = without(frame, given["leave_out"])
    if frame.empty:
        step.fail(f"{source!r} has no rows.")
    dataset = tabular.Dataset(frame, tabular.check_label(frame, given["label"] or label))
    dataset.write(step.output_path("data"))
    step.write_values({"rows": len(frame)})
    show(dataset)


def built_in(name: str) -> tuple[pd.DataFrame, str]:
    """A data set that comes with scikit-learn, with names for its classes where it has them."""
    if name not in BUILT_IN:
        step.fail(f"There is no built-in data set {name!r}. There are: {', '.join(BUILT_IN)}.")
    from sklearn import datasets  # takes a second, which files need not wait for

    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    frame = bunch.data.copy()
    label = "digit" if name == "digits" else "class"
    names = [str(one) for one in bunch.target_names]
    frame[label] = bunch.target if name == "digits" else [names[index] for index in bunch.target]
    return frame, label


def file_of_dataset(source: str) -> Path:
    """The one table of a dataset, which lies in the input of the parameter's name."""
    folder = step.needed("source")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    tables = [path for path in files if path.suffix.lower() in TABLES] or files
    if len(tables) != 1:
        names = ", ".join(path.relative_to(folder).as_posix() for path in tables[:5]) or "none"
        step.fail(f"{source} should hold one CSV file, but it holds {len(tables)}: {names}.")
    return tables[0]


def file_of_project(source: str) -> Path:
    """A file of the pipeline's folder."""
    root = step.code_folder().resolve()
    file = (root / source).resolve()
    if not file.is_relative_to(root):
        step.fail(f"{source!r} is outside the project. Copy the file into the pipeline's folder.")
    if not file.is_file():
        step.fail(f"There is no file {source!r} in the pipeline's folder.")
    return file


def from_file(file: Path, source: str, given: dict[str, Any]) -> pd.DataFrame:
    """A CSV file."""
    delimiter = DELIMITERS.get(given["delimiter"]) or guess_delimiter(file)
    frame = tabular.read_csv(
        file, delimiter, given["missing"], decimal=given["decimal"], dtype_backend="numpy_nullable"
    )
    frame = plain_types(frame)
    frame.columns = [str(name).strip() for name in frame.columns]
    doubled = frame.columns[frame.columns.duplicated()]
    if len(doubled):
        step.fail(f"Two columns of {source!r} are called {doubled[0]!r}. Rename one of them in the file.")
    return frame


def plain_types(frame: pd.DataFrame) -> pd.DataFrame:
    """Numbers as 64-bit numbers (whole ones with gaps as fractions), everything else as text."""
    for name in frame.columns:
        column = frame[name]
        if tabular.is_number(column):
            whole = pd.api.types.is_integer_dtype(column) and not column.isna().any()
            frame[name] = column.astype("int64") if whole else column.astype("float64")
    return frame


def guess_delimiter(file: Path) -> str:
    """The mark that comes most often in the first line, outside of quotes."""
    with file.open(encoding="utf-8-sig", errors="replace") as stream:
        line = stream.readline(1_000_000)
    outside = "".join(line.split('"')[::2])
    return max(DELIMITERS.values(), key=outside.count)


def without(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """The frame without the named columns and without columns that hold nothing."""
    unknown = [name for name in columns if name not in frame.columns]
    if unknown:
        step.fail(f"There is no column {unknown[0]!r} to leave out. There are: {', '.join(frame.columns)}.")
    frame = frame.drop(columns=columns)
    empty = [name for name in frame.columns if len(frame) and frame[name].isna().all()]
    for name in empty:
        print(f"The column {name!r} is empty and is left out.")
    return frame.drop(columns=empty)


def show(dataset: tabular.Dataset) -> None:
    """Say what was read."""
    frame = dataset.frame
    about = pd.DataFrame(
        {
            "column": frame.columns,
            "kind": ["number" if tabular.is_number(frame[name]) else "text" for name in frame.columns],
            "missing": [int(frame[name].isna().sum()) for name in frame.columns],
            "different": [int(frame[name].nunique()) for name in frame.columns],
            "role": ["label" if name == dataset.label else "feature" for name in frame.columns],
        }
    )
    views = step.Views()
    text = f"{len(frame)} rows, {len(dataset.features)} features, label {dataset.label!r}."
    views.text("What was imported", text)
    views.table("Columns", about, "columns.csv")
    views.table("First rows", frame.head(20), "preview.csv")
    views.write()
    print(text)


main()
