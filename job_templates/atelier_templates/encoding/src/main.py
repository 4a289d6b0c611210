"""Turns texts into numbers: learnt from the train part, applied to both."""

from __future__ import annotations

from typing import Any

import pandas as pd
import parts
import preprocessing
import step
import tabular

OTHER = "other"


def main() -> None:
    """Learn, apply, store."""
    given = step.parameters()
    both = parts.read()
    train = both["train"]
    columns = chosen(train, given["columns"])
    for dataset in both.values():
        tabular.refuse_missing(dataset, columns)
    learnt = {name: learn(train.frame[name], given) for name in columns}
    check_names(train, learnt, given["method"])
    parts.write(both, lambda frame: apply(frame, learnt, given["method"]))
    step.write_json(step.output_path("encoder"), {"method": given["method"], "columns": learnt})
    write_down(preprocessing.begin(train), train, learnt, given["method"])
    show(learnt, given["method"])


def chosen(train: tabular.Dataset, wanted: list[str]) -> list[str]:
    """The columns to encode."""
    for name in wanted:
        if name == train.label:
            step.fail(f"{name!r} is the label; classifiers take texts there, so it stays as it is.")
        if name not in train.frame.columns:
            step.fail(f"There is no column {name!r} to encode. There are: {', '.join(train.features)}.")
    found = list(dict.fromkeys(wanted)) or train.texts
    if not found:
        print("No column holds texts; everything stays as it is.")
    return found


def learn(column: pd.Series, given: dict[str, Any]) -> dict[str, Any]:
    """The categories of a column with their shares, rare ones together as `other`."""
    counts = as_text(column).value_counts()
    rare = counts.index[counts < given["min_rows"]]
    kept = counts.drop(rare)
    if len(rare):
        kept[OTHER] = int(counts[rare].sum()) + int(kept.get(OTHER, 0))
    if len(kept) > given["most"]:
        step.fail(f"The column {column.name!r} holds {len(kept)} different texts; at most {given['most']} are taken "
                  "for categories. Leave it out when importing, or put rare ones together.")  # fmt: skip
    shares = {str(name): float(kept[name] / len(column)) for name in sorted(kept.index)}
    return {"categories": shares, "other": sorted(map(str, rare))}


def write_down(
    done: preprocessing.Preprocessing, train: tabular.Dataset, learnt: dict[str, dict[str, Any]], method: str
) -> None:
    """Leave it for trainers: every text with its number in each new column."""
    for name, rule in learnt.items():
        number = tabular.is_number(train.frame[name])
        kept = list(rule["categories"])
        known = dict.fromkeys([*(one for one in kept if one != OTHER or not rule["other"]), *rule["other"]])
        texts = sorted(known, key=float if number else str)
        become = [OTHER if one in rule["other"] else one for one in texts]
        categories: list[Any] = [float(one) for one in texts] if number else texts
        if method == "one-hot":
            weights = [[float(one == new) for one in become] for new in kept]
            done.encode(name, categories, [f"{name}={new}" for new in kept], weights)
        elif method == "frequency":
            done.encode(name, categories, [name], [[rule["categories"][one] for one in become]])
        else:  # what is in no category is -1
            done.encode(name, categories, [name], [[kept.index(one) + 1.0 for one in become]])
            done.scale({name: 1.0}, {name: 1.0})
    done.write()


def as_text(column: pd.Series) -> pd.Series:
    """Whole numbers without a fraction, everything else as it is written."""
    if tabular.is_number(column) and (column == column.round()).all():
        column = column.astype("int64")
    return column.astype(str)


def check_names(train: tabular.Dataset, learnt: dict[str, dict[str, Any]], method: str) -> None:
    """New columns must not be called as others are."""
    if method != "one-hot":
        return
    new = [f"{name}={one}" for name, rule in learnt.items() for one in rule["categories"]]
    clash = set(new) & set(train.frame.columns)
    if clash:
        step.fail(f"There is a column {sorted(clash)[0]!r} already. Rename it in the data.")


def apply(frame: pd.DataFrame, learnt: dict[str, dict[str, Any]], method: str) -> pd.DataFrame:
    """The rows with numbers in place of texts."""
    columns: dict[str, pd.Series] = {}
    for name in frame.columns:
        rule = learnt.get(name)
        if rule is None:
            columns[name] = frame[name]
            continue
        values = as_text(frame[name])
        values = values.where(~values.isin(rule["other"]), OTHER)
        if method == "one-hot":
            columns |= {f"{name}={one}": (values == one).astype("int64") for one in rule["categories"]}
        elif method == "ordinal":
            numbers = {one: number for number, one in enumerate(rule["categories"])}
            columns[name] = values.map(numbers).fillna(-1).astype("int64")
        else:
            columns[name] = values.map(rule["categories"]).fillna(0.0).astype("float64")
    return pd.DataFrame(columns)


def show(learnt: dict[str, dict[str, Any]], method: str) -> None:
    """Say which categories there are."""
    rows = [
        {"column": name, "category": one, "share": share, "number": number}
        for name, rule in learnt.items()
        for number, (one, share) in enumerate(rule["categories"].items())
    ]
    views = step.Views()
    table = pd.DataFrame(rows, columns=["column", "category", "share", "number"])
    views.table("Categories of the train part", table, "categories.csv")
    views.write()
    print(f"{len(learnt)} columns with {len(rows)} categories, {method}.")


main()
