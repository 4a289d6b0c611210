"""What steps before a trainer did to the rows: written down column by column, so that a model can take it in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import step
import tabular

FORMAT = 1
INPUT = OUTPUT = "preprocessing"
SAMPLE_ROWS = 1000
FILL, SCALE, MARK, ENCODE = "fill", "scale", "mark", "encode"
NUMBER, TEXT = "number", "text"
_ABOUT, _SAMPLE = "preprocessing.json", "sample.csv"
_SAID = "Connect train and preprocessing of one step with each other."


@dataclass
class Group:
    """What became of one raw column: the columns `names`, by operations that follow each other.

    Operations: fill {values}, scale {middles, widths}, mark {}, encode {categories, weights}, where a row of `weights`
    is one new column with a number for each category.
    """

    raw: str
    kind: str
    names: list[str]
    operations: list[dict[str, Any]] = field(default_factory=list)

    @property
    def steps(self) -> tuple[str, ...]:
        """The kinds of the operations."""
        return tuple(str(one["kind"]) for one in self.operations)

    @property
    def number(self) -> bool:
        """Whether it holds numbers in the end."""
        return self.kind == NUMBER or bool({ENCODE, MARK} & set(self.steps))

    def then(self, kind: str, **values: Any) -> None:
        """One more operation."""
        self.operations.append({"kind": kind, **values})


@dataclass
class Preprocessing:
    """All columns in their present order; raw rows to try it on, and where in the train part they lie now."""

    groups: list[Group]
    sample: pd.DataFrame
    rows: list[int]

    @property
    def numbers(self) -> list[str]:
        """The raw columns that hold numbers."""
        return [name for name in self.sample.columns if tabular.is_number(self.sample[name])]

    @property
    def texts(self) -> list[str]:
        """The raw columns that hold text."""
        return [name for name in self.sample.columns if not tabular.is_number(self.sample[name])]

    @property
    def filled(self) -> list[str]:
        """The raw columns that may have gaps: all that becomes of them is filled, or says that there was a gap."""
        open_ = {one.raw for one in self.groups if one.steps[:1] not in ((FILL,), (MARK,))}
        return [name for name in self.sample.columns if name not in open_]

    def of(self, name: str) -> Group:
        """What made a column."""
        return next(one for one in self.groups if name in one.names)

    def keep_rows(self, kept: Iterable[int]) -> None:
        """Only these rows of the train part are left, by where they lay."""
        now = {int(old): new for new, old in enumerate(kept)}
        left = [at for at, row in enumerate(self.rows) if row in now]
        self.sample = self.sample.iloc[left].reset_index(drop=True)
        self.rows = [now[self.rows[at]] for at in left]

    def fill(self, values: dict[str, Any]) -> None:
        """Gaps of these columns get a value."""
        self._each(values, lambda one, names: one.then(FILL, values=[values[name] for name in names]))

    def scale(self, middles: dict[str, float], widths: dict[str, float]) -> None:
        """These columns lose their middle and are divided by their width."""

        def add(one: Group, names: list[str]) -> None:
            one.then(SCALE, middles=[middles[name] for name in names], widths=[widths[name] for name in names])

        self._each(middles, add)

    def mark(self, marks: dict[str, str]) -> None:
        """A new column of 0 and 1 behind each of these says where it has gaps."""
        for name, new in marks.items():
            group = self.of(name)
            self.groups.insert(self.groups.index(group) + 1, Group(group.raw, group.kind, [new], [{"kind": MARK}]))

    def encode(self, name: str, categories: list[Any], names: list[str], weights: list[list[float]]) -> None:
        """A column becomes `names`: a number for each category, 0 for what is in none."""
        group = self.of(name)
        if ENCODE in group.steps:
            step.fail(f"The column {name!r} is encoded already. Encode it once only.")
        group.names = names
        group.then(ENCODE, categories=categories, weights=weights)

    def leave_out(self, names: Iterable[str]) -> None:
        """These columns are no more."""
        gone = set(names)
        self.groups = [one for one in self.groups if not gone & set(one.names)]
        used = {one.raw for one in self.groups}
        self.sample = self.sample[[name for name in self.sample.columns if name in used]]

    def write(self) -> None:
        """Leave it for the steps behind this one."""
        folder = step.output_path(OUTPUT)
        folder.mkdir(parents=True, exist_ok=True)
        about = {"format": FORMAT, "texts": self.texts, "groups": [asdict(one) for one in self.groups]}
        step.write_json(folder / _ABOUT, about | {"rows": self.rows})
        self.sample.to_csv(folder / _SAMPLE, index=False, lineterminator="\n")

    def _each(self, wanted: Iterable[str], add: Callable[[Group, list[str]], None]) -> None:
        """An operation for each group with these columns; those of one group are treated together."""
        for one in self.groups:
            if set(one.names) <= set(wanted):
                add(one, one.names)


def begin(train: tabular.Dataset) -> Preprocessing:
    """What was done before: what the input says, otherwise nothing. `train` is the train part as it came in."""
    before = given(train)
    if before is not None:
        return before
    frame = train.frame[train.features]
    sample = frame if len(frame) <= SAMPLE_ROWS else frame.sample(SAMPLE_ROWS, random_state=0).sort_index()
    groups = [Group(name, NUMBER if name in train.numbers else TEXT, [name]) for name in train.features]
    return Preprocessing(groups, sample.reset_index(drop=True), [int(row) for row in sample.index])


def given(train: tabular.Dataset) -> Preprocessing | None:
    """The input, which must fit the train part; None if it is not connected."""
    folder = step.input_path(INPUT)
    if folder is None:
        return None
    before = _read(folder)
    columns = [name for one in before.groups for name in one.names]
    if columns != train.features or max(before.rows, default=0) >= len(train.frame):
        step.fail(f"The input preprocessing tells of other data than the input train. {_SAID}")
    return before


def _read(folder: Path) -> Preprocessing:
    if not (folder / _ABOUT).is_file():
        step.fail("The input preprocessing is not what a step such as Standardize leaves. Connect its output of that "
                  "name.")  # fmt: skip
    about = json.loads((folder / _ABOUT).read_text("utf-8"))
    if about["format"] != FORMAT:
        step.fail(f"The input preprocessing is of the format {about['format']}; known is {FORMAT}. Run the step that "
                  "made it again.")  # fmt: skip
    sample = tabular.read_csv(folder / _SAMPLE, ",", [""], dtype=dict.fromkeys(about["texts"], str))
    return Preprocessing([Group(**one) for one in about["groups"]], sample, about["rows"])
