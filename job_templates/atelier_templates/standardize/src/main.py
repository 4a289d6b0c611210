"""Fills gaps and standardizes numbers: learnt from the train part, applied to both."""

from __future__ import annotations

from typing import Any

import pandas as pd
import parts
import preprocessing
import step
import tabular


def main() -> None:
    """Learn, apply, store."""
    given = step.parameters()
    both = parts.read()
    done = preprocessing.begin(both["train"])
    for name, dataset in both.items():
        if given["missing"] == "refuse":
            tabular.refuse_missing(dataset)
        elif given["missing"] == "drop":
            both[name] = parts.without_gaps(dataset, name, dataset.features, done)
    train = both["train"]
    learnt = {name: learn_number(train.frame[name], given) for name in train.numbers}
    learnt |= {name: learn_text(train.frame[name]) for name in train.texts}
    parts.write(both, lambda frame: apply(frame, learnt))
    step.write_json(step.output_path("scaler"), {"method": given["method"], "columns": learnt})
    write_down(done, learnt, given)
    show(learnt)


def write_down(done: preprocessing.Preprocessing, learnt: dict[str, dict[str, Any]], given: dict[str, Any]) -> None:
    """Leave it for trainers; where rows with gaps were not taken, the model does not take them either."""
    if given["missing"] in ("median", "mean"):
        done.fill({name: rule["fill"] for name, rule in learnt.items()})
    numbers = {name: rule for name, rule in learnt.items() if rule["kind"] == "number"}
    if given["method"] != "none":
        middles = {name: rule["middle"] for name, rule in numbers.items()}
        done.scale(middles, {name: rule["width"] for name, rule in numbers.items()})
    done.write()


def learn_number(column: pd.Series, given: dict[str, Any]) -> dict[str, Any]:
    """What fills a gap, and the middle and width by which the column is scaled."""
    parts.refuse_empty(column)
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
    """What fills a gap."""
    return {"kind": "text", "missing": int(column.isna().sum()), "fill": parts.commonest(column)}


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
