"""Fills gaps or leaves out what has them: learnt from the train part, applied to both."""

from __future__ import annotations

from typing import Any

import pandas as pd
import parts
import preprocessing
import step


def main() -> None:
    """Learn, apply, store."""
    given = step.parameters()
    both = parts.read()
    done = preprocessing.begin(both["train"])
    train = both["train"]
    share = train.frame[train.features].isna().mean()
    dropped = [str(name) for name in share.index[share > given["most_missing"]]]
    ways = dict.fromkeys(train.numbers, given["numbers"]) | dict.fromkeys(train.texts, given["texts"])
    ways = {name: way for name, way in ways.items() if name not in dropped}
    if not ways:
        step.fail(f"All {len(dropped)} features would be left out. Allow a larger share of gaps.")
    strict = [name for name, way in ways.items() if way == "drop"]
    if strict:
        both = {name: parts.without_gaps(dataset, name, strict, done) for name, dataset in both.items()}
    learnt = {name: learn(train.frame[name], ways[name], given, name in train.numbers) for name in ways}
    clash = [name for name, rule in learnt.items() if rule["mark"] in train.frame.columns]
    if clash:
        step.fail(f"There is a column {learnt[clash[0]]['mark']!r} already. Rename it, or switch the marking off.")
    parts.write(both, lambda frame: apply(frame, learnt, dropped))
    step.write_json(step.output_path("filler"), {"columns": learnt, "left_out": dropped})
    write_down(done, learnt, dropped)
    show(learnt, dropped)


def write_down(done: preprocessing.Preprocessing, learnt: dict[str, dict[str, Any]], dropped: list[str]) -> None:
    """Leave it for trainers."""
    done.leave_out(dropped)
    done.mark({name: rule["mark"] for name, rule in learnt.items() if rule["mark"]})
    done.fill({name: rule["fill"] for name, rule in learnt.items() if rule["fill"] is not None})
    done.write()


def learn(column: pd.Series, way: str, given: dict[str, Any], number: bool) -> dict[str, Any]:
    """What fills the gaps of a column, and the name of the column that marks them."""
    missing = int(column.isna().sum())
    fill: Any = None
    if way == "constant":
        fill = float(given["number"]) if number else given["text"]
    elif way == "commonest":
        fill = parts.commonest(column)
    elif way in ("median", "mean"):
        parts.refuse_empty(column)
        fill = float(column.median() if way == "median" else column.mean())
    mark = f"{column.name}_missing" if given["mark"] and missing else ""
    return {"kind": "number" if number else "text", "missing": missing, "way": way, "fill": fill, "mark": mark}


def apply(frame: pd.DataFrame, learnt: dict[str, dict[str, Any]], dropped: list[str]) -> pd.DataFrame:
    """The rows with gaps filled, columns left out and gaps marked."""
    columns: dict[str, pd.Series] = {}
    for name in frame.columns:
        rule = learnt.get(name)
        if rule is None:
            columns[name] = frame[name]
            continue
        columns[name] = frame[name] if rule["fill"] is None else frame[name].fillna(rule["fill"])
        if rule["mark"]:
            columns[rule["mark"]] = frame[name].isna().astype("int64")
    return pd.DataFrame({name: column for name, column in columns.items() if name not in dropped})


def show(learnt: dict[str, dict[str, Any]], dropped: list[str]) -> None:
    """Say what was done with each column."""
    views = step.Views()
    table = pd.DataFrame(learnt).T.rename_axis("column").reset_index()
    views.table("What was learnt from the train part", table, "filler.csv")
    views.write()
    gaps = sum(rule["missing"] for rule in learnt.values())
    print(f"{len(learnt)} columns, {gaps} gaps in the train part.")
    if dropped:
        print(f"Left out, for they are too empty: {', '.join(dropped)}.")


main()
