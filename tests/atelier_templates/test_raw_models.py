"""Models that took the preprocessing in: they take rows as they came, and say what they said of prepared ones."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from atelier_templates.loader import Library
from tests.atelier_templates.running import Bench, Ended, Warm, step

TRAINERS = ("adaboost", "knn", "naive-bayes")  # one that scales inside, two that do not
SPLIT = (
    step("in", "dataset-import", {"source": "builtin:shoppers"}),
    step("split", "data-split", {}, data="in.data"),
)


@pytest.fixture
def bench(tmp_path: Path, library: Library, environments: Mapping[str, Path], warm: Warm) -> Bench:
    return Bench(tmp_path / "steps", library, environments, warm=warm)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "data.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def ran(bench: Bench, *nodes: dict[str, Any]) -> dict[str, Ended]:
    ended = bench.run(*nodes)
    for one in ended.values():
        assert one.code == 0, one.log
    assert len(ended) == len(nodes)
    return ended


def pair(name: str, template: str, prepared: str, given: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """A trainer twice, with and without the preprocessing in it, and what each says of its own kind of rows."""
    asked = {"keep": False}
    return [
        step(f"{name}1", template, given or {}, train=f"{prepared}.train"),
        step(f"{name}2", template, given or {}, train=f"{prepared}.train", preprocessing=f"{prepared}.preprocessing"),
        step(f"{name}-told1", "offline-predict", asked, data=f"{prepared}.test", model=f"{name}1.model"),
        step(f"{name}-told2", "offline-predict", asked, data="split.test", model=f"{name}2.model"),
    ]


def same(ended: dict[str, Ended], name: str) -> None:
    prepared, raw = (rows_of(ended[f"{name}-told{at}"].outputs / "predictions") for at in (1, 2))
    assert len(prepared) == len(raw) > 50
    for one, other in zip(prepared, raw, strict=True):
        assert one["prediction"] == other["prediction"]
        for share in one.keys() - {"prediction"}:
            assert float(one[share]) == pytest.approx(float(other[share]), abs=1e-9)


def test_trainers_take_standardize_in(bench: Bench) -> None:
    """Numbers and texts, both with gaps; what is encoded and scaled inside the trainer stays there."""
    scale = step("scale", "standardize", {}, train="split.train", test="split.test")
    ended = ran(bench, *SPLIT, scale, *(one for name in TRAINERS for one in pair(name, name, "scale")))
    for name in TRAINERS:
        same(ended, name)
    about = json.loads((ended["knn2"].outputs / "model" / "model.json").read_text())
    assert (about["numbers"], about["texts"]) == (["age", "income", "visits"], ["city", "plan"])
    assert set(about["gaps"]) == {"age", "income", "visits", "city", "plan"}
    signature = json.loads(yaml.safe_load((ended["knn2"].outputs / "model/MLmodel").read_text())["signature"]["inputs"])
    assert [(one["name"], one["required"]) for one in signature] == [
        ("age", False), ("income", False), ("visits", True), ("city", False), ("plan", True),
    ]  # fmt: skip
    with (ended["knn2"].outputs / "model/training_sample.csv").open(newline="") as stream:
        ages = [float(row["age"]) for row in csv.DictReader(stream) if row["age"]]
    assert min(ages) > 10, "the sample is not of raw rows"


@pytest.mark.parametrize("method", ["one-hot", "ordinal", "frequency"])
def test_a_chain_of_three_is_taken_in(bench: Bench, method: str) -> None:
    both = {"train": "split.train", "test": "split.test"}
    ended = ran(
        bench,
        *SPLIT,
        step("fill", "missing-values", {"mark": True, "texts": "constant"}, **both),
        step("code", "encoding", {"method": method, "min_rows": 30}, train="fill.train", test="fill.test",
             preprocessing="fill.preprocessing"),
        step("scale", "standardize", {"method": "min-max"}, train="code.train", test="code.test",
             preprocessing="code.preprocessing"),
        *pair("linear", "logistic-regression", "scale"),
    )  # fmt: skip
    same(ended, "linear")
    assert "other" in (ended["code"].outputs / "encoder").read_text(), "no text was rare"


def test_dropped_rows_and_columns_and_kept_gaps(bench: Bench) -> None:
    given = {"numbers": "keep", "texts": "drop", "most_missing": 0.06}
    ended = ran(
        bench,
        *SPLIT,
        step("fill", "missing-values", given, train="split.train", test="split.test"),
        step("trees", "gbdt", {"method": "histogram"}, train="fill.train", preprocessing="fill.preprocessing"),
        step("test", "model-evaluation", {}, data="fill.test", model="trees.model"),
    )
    assert ended["test"].values["accuracy"] > 0.6
    about = json.loads((ended["trees"].outputs / "model" / "model.json").read_text())
    assert "city" not in about["gaps"]


def test_groups_of_raw_rows(bench: Bench) -> None:
    scale = step("scale", "standardize", {}, train="split.train", test="split.test")
    grouping = step("groups", "k-means", {}, train="scale.train", preprocessing="scale.preprocessing")
    ended = ran(
        bench, *SPLIT, scale, grouping, step("test", "model-evaluation", {}, data="split.test", model="groups.model")
    )
    assert ended["test"].values["silhouette"] > 0


def test_what_does_not_belong_together_is_found_out(bench: Bench) -> None:
    scale = step("scale", "standardize", {}, train="split.train")
    raw = step("raw", "knn", {}, train="split.train", preprocessing="scale.preprocessing")
    fill = step("fill", "missing-values", {}, train="split.train")
    filled = step("filled", "knn", {}, train="fill.train", preprocessing="scale.preprocessing")
    other = step("other", "knn", {}, train="fill.train", preprocessing="fill.filler")
    marks = step("marks", "missing-values", {"mark": True}, train="split.train")
    marked = step("marked", "knn", {}, train="marks.train", preprocessing="scale.preprocessing")
    ended = bench.run(*SPLIT, scale, raw, fill, filled, other, marks, marked)
    said = {
        "raw": "missing values",
        "filled": "something else was done to them",
        "other": "is not what a step such as Standardize leaves",
        "marked": "tells of other data",
    }
    for name, sentence in said.items():
        assert ended[name].code == 1
        assert sentence in ended[name].log
        assert "Traceback" not in ended[name].log


def test_onnx_converts_the_whole_pipeline_or_says_that_it_cannot(bench: Bench) -> None:
    ended = bench.run(
        step("numbers", "dataset-import", {"source": "builtin:digits"}),
        step("part", "data-split", {}, data="numbers.data"),
        step("scale", "standardize", {}, train="part.train", test="part.test"),
        step("trees", "random-forest", {"trees": 20}, train="scale.train", preprocessing="scale.preprocessing"),
        step("graph", "model-convert-onnx", {}, model="trees.model"),
        *SPLIT,
        step("fill", "missing-values", {"mark": True}, train="split.train", test="split.test"),
        step("code", "encoding", {}, train="fill.train", test="fill.test", preprocessing="fill.preprocessing"),
        step("linear", "logistic-regression", {}, train="code.train", preprocessing="code.preprocessing"),
        step("no-graph", "model-convert-onnx", {}, model="linear.model"),
    )
    assert ended["graph"].code == 0, ended["graph"].log
    assert ended["graph"].values["agreement"] > 0.99
    sample = (ended["graph"].outputs / "model/training_sample.csv").read_text().splitlines()
    assert max(float(one) for one in sample[5].split(",")) > 5, "the graph takes other rows than raw ones"
    assert ended["no-graph"].code == 1
    assert "cannot be converted to ONNX" in ended["no-graph"].log
    assert "Traceback" not in ended["no-graph"].log


def test_the_model_server_needs_nothing_of_ours_to_load_it(bench: Bench, environments: Mapping[str, Path]) -> None:
    """In the image that serves: a table with gaps, and None for a text that is not there."""
    scale = step("scale", "standardize", {}, train="split.train")
    ended = ran(bench, *SPLIT, scale, step("knn", "knn", {}, train="scale.train", preprocessing="scale.preprocessing"))
    program = (
        "import pickle, sys, warnings, pathlib, pandas as pd\n"
        "model = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())\nwarnings.simplefilter('error')\n"
        "row = {'age': [float('nan')], 'income': [2000.0], 'visits': [3.0], 'city': [None], 'plan': ['basic']}\n"
        "print(model.predict(pd.DataFrame(row))[0])"
    )
    python = environments["serve-sklearn"] / "bin" / "python"
    command = [str(python), "-c", program, str(ended["knn"].outputs / "model" / "model.pkl")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() in ("yes", "no"), done.stderr
