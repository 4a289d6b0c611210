"""Imports a table: of the project, of a dataset, of the web, of a database, or one that comes along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import database
import files
import made_up
import pandas as pd
import step
import tabular
import web

BUILT_IN = ("digits", "iris", "wine", "breast_cancer", "diabetes")
MADE_UP = {"shoppers": (made_up.shoppers, "bought")}
TABLES = (".csv", ".tsv", ".txt", ".gz")


def main() -> None:
    """Read, look, store."""
    given = step.parameters()
    source = given["source"].strip()
    frame, label = table_of(source, given)
    frame = without(checked(frame, source), given["leave_out"])
    if frame.empty:
        step.fail(f"{source!r} has no rows.")
    dataset = tabular.Dataset(frame, tabular.check_label(frame, given["label"] or label))
    dataset.write(step.output_path("data"))
    step.write_values({"rows": len(frame)})
    show(dataset)


def table_of(source: str, given: dict[str, Any]) -> tuple[pd.DataFrame, str]:
    """The rows, and the label where the source has one."""
    if source.startswith("builtin:"):
        return built_in(source.removeprefix("builtin:"))
    if source.startswith("dataset:"):
        return files.read(file_of_dataset(source), given), ""
    if source.lower().startswith(web.SCHEMES):
        return files.read(web.fetch(source), given), ""
    if source.lower().startswith("sqlite:///"):
        return database.read_file(file_of_project(source[len("sqlite:///") :]), given), ""
    if database.is_address(source):
        return database.read(source, given), ""
    return files.read(file_of_project(source), given), ""


def checked(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """The frame with trimmed names of columns, which must differ."""
    frame.columns = [str(name).strip() for name in frame.columns]
    doubled = frame.columns[frame.columns.duplicated()]
    if len(doubled):
        step.fail(f"Two columns of {source!r} are called {doubled[0]!r}. Rename one of them there.")
    return frame


def built_in(name: str) -> tuple[pd.DataFrame, str]:
    """A data set that needs no file, with names for its classes where it has them."""
    if name in MADE_UP:
        make, label = MADE_UP[name]
        return files.plain_types(make().convert_dtypes()), label
    if name not in BUILT_IN:
        step.fail(f"There is no built-in data set {name!r}. There are: {', '.join((*BUILT_IN, *MADE_UP))}.")
    from sklearn import datasets  # takes a second, which files need not wait for

    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    frame = bunch.data.copy()
    if name == "diabetes":
        frame["progression"] = bunch.target
        return frame, "progression"
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
