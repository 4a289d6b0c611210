"""Templates on data that people have: gaps, texts, odd files; and a sentence for what cannot work."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from atelier_core.results import read_folder
from atelier_templates.loader import Library
from tests.atelier_core.documents import node
from tests.atelier_templates.running import Bench, Warm, step

HEADER = "age;income;city;note;bought\n"
ROWS = [
    ("34", "3.100,5", "Köln", "", "yes"), ("", "2.000,0", "Bonn", "", "no"), ("51", "", "Köln", "", "yes"),
    ("29", "1.500,0", "", "", "no"), ("45", "2.750,0", "Bonn", "", "yes"), ("38", "1.900,0", "Köln", "", ""),
    ("61", "4.000,0", "Bonn", "", "yes"), ("23", "1.200,0", "Köln", "", "no"),
]  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a CSV file as a spreadsheet writes it: German numbers, gaps, spaces in its name."""
    folder = tmp_path / "project"
    (folder / "my data").mkdir(parents=True)
    lines = "".join(";".join(one).replace(".", "") + "\n" for one in ROWS * 6)
    (folder / "my data" / "who buys (final).csv").write_text("\ufeff" + HEADER + lines, "utf-8")
    return folder


@pytest.fixture
def bench(tmp_path: Path, library: Library, environments: Mapping[str, Path], warm: Warm, project: Path) -> Bench:
    return Bench(tmp_path / "steps", library, environments, project, warm=warm)


def chain(source: dict[str, Any], standardize: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        step("in", "dataset-import", source),
        step("split", "data-split", {}, data="in.data"),
        step("scale", "standardize", standardize, train="split.train", test="split.test"),
        step("forest", "random-forest", {"trees": 10}, train="scale.train"),
        step("linear", "logistic-regression", {"balanced": True}, train="scale.train"),
        step("test", "model-evaluation", {}, data="scale.test", model="forest.model", other="linear.model"),
    ]


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "data.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


GERMAN = {"source": "my data/who buys (final).csv", "label": "bought", "decimal": ","}


def test_a_file_with_gaps_texts_and_spaces_in_its_name(bench: Bench) -> None:
    ended = bench.run(*chain(GERMAN, {}))
    for one in ended.values():
        assert one.code == 0, one.log
    assert len(ended) == 6
    assert "'note' is empty" in ended["in"].log
    assert "6 rows have no value in the label column 'bought'" in ended["split"].log
    rows = rows_of(ended["scale"].outputs / "train") + rows_of(ended["scale"].outputs / "test")
    assert len(rows) == 42
    assert {row["bought"] for row in rows} == {"yes", "no"}
    assert {row["city"] for row in rows} == {"Köln", "Bonn"}
    assert all(row["age"] and row["income"] for row in rows)
    about = json.loads((ended["forest"].outputs / "model" / "model.json").read_text())
    assert (about["numbers"], about["texts"], about["classes"]) == (["age", "income"], ["city"], ["no", "yes"])
    assert ended["test"].values["accuracy"] > 0.8
    assert read_folder(ended["test"].results).problems == ()


def test_gaps_may_be_dropped(bench: Bench) -> None:
    ended = bench.run(*chain(GERMAN, {"missing": "drop", "method": "min-max"})[:3])["scale"]
    rows = rows_of(ended.outputs / "train") + rows_of(ended.outputs / "test")
    assert len(rows) == 24
    ages = [float(row["age"]) for row in rows_of(ended.outputs / "train")]
    assert (min(ages), max(ages)) == (0.0, 1.0)


def test_gaps_may_be_refused_and_trainers_refuse_them(bench: Bench) -> None:
    nodes = chain(GERMAN, {"missing": "refuse"})[:3]
    nodes.append(step("forest", "random-forest", {}, train="split.train"))
    ended = bench.run(*nodes)
    for name in ("scale", "forest"):
        assert ended[name].code == 1
        assert "missing values in the columns 'age' (" in ended[name].log
        assert "'income'" in ended[name].log
        assert "Traceback" not in ended[name].log


def test_numbers_keep_every_digit(bench: Bench) -> None:
    numbers = ["0.1", "1e-300", "123456789.123456789", "3.0000000000000004", "-0.30000000000000004"]
    ended = bench.imported("x,y\n" + "".join(f"{one},{index}\n" for index, one in enumerate(numbers)))
    assert [float(row["x"]) for row in rows_of(ended.outputs / "data")] == [float(one) for one in numbers]


def test_text_that_looks_like_nothing_is_kept_where_it_is_said(bench: Bench) -> None:
    ended = bench.imported("answer,y\nNone,1\nNA,2\nyes,3\n", missing=["NA"])
    assert [row["answer"] for row in rows_of(ended.outputs / "data")] == ["None", "", "yes"]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a,b\n1,2\n", ["a", "b"]),
        ("a\tb\n1\t2\n", ["a", "b"]),
        ("a|b\n1|2\n", ["a", "b"]),
        ('"a;b";c\n1;2\n', ["a;b", "c"]),
        ("only\n1\n", ["only"]),
    ],
)
def test_the_delimiter_is_found(bench: Bench, text: str, columns: list[str]) -> None:
    assert list(rows_of(bench.imported(text).outputs / "data")[0]) == columns


@pytest.mark.parametrize(
    ("text", "given", "says"),
    [
        ("", {}, "'data.csv' is empty"),
        ("a,b\n", {}, "has no rows"),
        ("a,a \n1,2\n", {}, "Two columns of 'data.csv' are called 'a'"),
        ("a,b\n1,2\n", {"label": "c"}, "no column 'c'. The columns are: a, b"),
        ("a,b\n1,2\n", {"leave_out": ["z"]}, "no column 'z' to leave out"),
        ("a,b\n1,2\n1,2,3,4\n", {}, "is not a table"),
        ("a,b\n1,2\n", {"source": "builtin:nothing"}, "no built-in data set 'nothing'"),
    ],
)
def test_what_cannot_be_imported_gets_a_sentence(bench: Bench, text: str, given: dict[str, Any], says: str) -> None:
    ended = bench.imported(text, **given)
    assert ended.code == 1
    assert says in ended.log
    assert "Traceback" not in ended.log


@pytest.mark.parametrize(
    ("text", "nodes", "says"),
    [
        ("x,y\n1,a\n2,a\n3,b\n", [step("end", "data-split", {}, data="in.data")], "'b' comes only once"),
        ("x,y\n1,a\n2,a\n", [step("end", "random-forest", {}, train="in.data")], "has one value only"),
        ("x,y\n1,0.5\n2,0.7\n", [step("end", "logistic-regression", {}, train="in.data")], "'y' holds fractions"),
        ("y\na\nb\n", [step("end", "logistic-regression", {}, train="in.data")], "There are no features"),
        (
            "t,y\n" + "".join(f"text{number},{number % 2}\n" for number in range(120)),
            [step("end", "random-forest", {}, train="in.data")], "'t' holds 120 different texts",
        ),
        ("x,y\n1,\n2,a\n3,b\n", [step("end", "random-forest", {}, train="in.data")], "label column 'y' has 1 missing"),
        (
            "x,y\n1,\n2,\n3,a\n", [step("end", "data-split", {"missing_label": "refuse"}, data="in.data")],
            "has 2 missing",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_learnt_gets_a_sentence(bench: Bench, text: str, nodes: list[dict[str, Any]], says: str) -> None:
    ended = bench.run(written(bench, text), *nodes)["end"]
    assert ended.code == 1
    assert says in ended.log
    assert "Traceback" not in ended.log


def test_a_file_of_a_script_goes_straight_into_a_template(bench: Bench) -> None:
    script = written(bench, "x,y\n" + "1,a\n2,b\n" * 10)
    ended = bench.run(script, step("split", "data-split", {}, data="in.data"))["split"]
    assert ended.code == 0, ended.log
    assert len(rows_of(ended.outputs / "train")) == 15


def written(bench: Bench, text: str) -> dict[str, Any]:
    """A script step that leaves `text` as a CSV file."""
    script = f"import os\nopen(os.environ['ATELIER_OUTPUTS'] + '/data', 'w').write({text!r})\n"
    (bench.project / "write.py").write_text(script)
    given = {"filename": "write.py", "runtime_image": "python"}
    return node("in", "execute-python-node", given, outputs={"data": "dataset"})


def test_two_models_of_one_kind_and_one_alone(bench: Bench) -> None:
    nodes = [
        step("in", "dataset-import", {"source": "builtin:iris"}),
        step("split", "data-split", {}, data="in.data"),
        step("a", "random-forest", {"trees": 5}, train="split.train"),
        step("b", "random-forest", {"trees": 9}, train="split.train"),
        step("both", "model-evaluation", {}, data="split.test", model="a.model", other="b.model"),
        step("one", "model-evaluation", {"curves": False}, data="split.test", model="a.model"),
    ]
    ended = bench.run(*nodes)
    assert ended["both"].values["best"] in ("random-forest (model)", "random-forest (other)")
    assert ended["one"].values["best"] == "random-forest"
    assert not any("ROC" in view.title for view in read_folder(ended["one"].results).views)
