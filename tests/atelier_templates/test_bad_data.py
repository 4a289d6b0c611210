"""Data from which nothing can be learnt: one sentence for each, whatever the family."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from atelier_templates.loader import Library
from tests.atelier_core.documents import node
from tests.atelier_templates.running import Bench, Ended, Warm, on, step

TABLES = {
    "gaps": "x,t,y\n1,a,no\n,b,yes\n3,,no\n4,a,yes\n",
    "one-class": "x,z,y\n1,2,a\n2,3,a\n3,4,a\n",
    "constant": "x,z,y\n7,1,a\n7,1,b\n7,1,a\n",
    "few": "x,z,y\n1,2,a\n2,3,b\n",
    "infinite": "x,z,y\n1,2,a\ninf,3,b\n2,4,a\n",
    "fractions": "x,z,y\n1,2,0.5\n2,3,0.25\n3,4,0.75\n",
    "texts": "x,t,y\n1,a,1\n2,b,2\n3,a,3\n4,b,4\n",
    "negative": "x,z,y\n-1,2,a\n2,3,b\n3,4,a\n",
    "odd-name": "a[1],z,y\n1,2,a\n2,3,b\n3,4,a\n",
    "marked": "x,x_missing,y\n1,2,a\n,3,b\n3,4,a\n",
    "empty": "x,z,y\n,2,a\n,3,b\n,4,a\n",
    "group": "x,group,y\n1,2,a\n2,3,b\n9,4,a\n",
}
CLASSES = {"task": "classification"}
NUMBERS = {"task": "regression"}
CASES: list[tuple[str, str, dict[str, Any], str]] = [
    ("decision-tree", "gaps", {}, "missing values in the columns 'x' (1), 't' (1)"),
    ("gbdt", "gaps", {}, "missing values in the columns 't' (1)"),
    ("gbdt", "gaps", {"method": "exact"}, "missing values in the columns 'x' (1), 't' (1)"),
    ("xgboost", "gaps", {}, "'t' (1)"),
    ("naive-bayes", "one-class", {}, "has one value only"),
    ("lightgbm", "one-class", {}, "has one value only"),
    ("linear-regression", "one-class", {}, "has one value only"),
    ("adaboost", "constant", {}, "Every feature has one value only"),
    ("xgboost", "constant", {}, "Every feature has one value only"),
    ("k-means", "constant", {}, "Every feature has one value only"),
    ("knn", "few", {}, "There are 2 rows; with these settings knn needs 5 at least"),
    ("k-means", "few", {"groups": 2}, "There are 2 different rows, too few for 2 groups"),
    ("logistic-regression", "infinite", {}, "'x' holds infinite numbers"),
    ("lightgbm", "infinite", {}, "'x' holds infinite numbers"),
    ("random-forest", "fractions", CLASSES, "holds fractions; a classifier needs classes"),
    ("naive-bayes", "fractions", {}, "holds fractions; a classifier needs classes"),
    ("decision-tree", "negative", NUMBERS, "holds texts; a regression needs numbers"),
    ("linear-regression", "negative", {}, "holds texts; a regression needs numbers"),
    ("xgboost", "texts", {}, "The column 't' holds texts, which this algorithm does not take. Place the step Encode"),
    ("naive-bayes", "negative", {"kind": "multinomial"}, "naive-bayes cannot learn from these 3 rows: Negative values"),
    ("xgboost", "odd-name", {}, "xgboost cannot learn from these 3 rows"),
    ("missing-values", "marked", {"mark": True}, "a column 'x_missing' already"),
    ("missing-values", "empty", {}, "'x' has no values in the train part"),
    ("missing-values", "gaps", {"most_missing": 0, "numbers": "drop"}, "All 2 features would be left out"),
    ("encoding", "gaps", {}, "missing values in the columns 't' (1)"),
    ("encoding", "texts", {"columns": ["z"]}, "no column 'z' to encode"),
    ("encoding", "texts", {"columns": ["y"]}, "'y' is the label"),
    ("encoding", "texts", {"most": 1}, "'t' holds 2 different texts; at most 1"),
    ("k-means", "group", {"groups": 2}, "a column 'group' already"),
]


@pytest.fixture(scope="module")
def ended(
    library: Library, environments: Mapping[str, Path], warm: Warm, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Ended]:
    """All of them as one pipeline: tables that a script leaves, and a step for each case."""
    bench = Bench(tmp_path_factory.mktemp("bad"), library, environments, warm=warm)
    lines = ["import os", "out = os.environ['ATELIER_OUTPUTS']"]
    lines += [f"open(f'{{out}}/{name}', 'w').write({text!r})" for name, text in TABLES.items()]
    (bench.project / "write.py").write_text("\n".join(lines))
    given = {"filename": "write.py", "runtime_image": "python"}
    tables = node("tables", "execute-python-node", given, outputs=dict.fromkeys(TABLES, "dataset"))
    steps = [step(f"s{at}", name, given, train=f"tables.{table}") for at, (name, table, given, _) in enumerate(CASES)]
    return bench.run(tables, *steps)


@pytest.mark.parametrize("at", range(len(CASES)), ids=[f"{name}-{table}" for name, table, _, _ in CASES])
def test_it_gets_a_sentence(at: int, ended: dict[str, Ended]) -> None:
    one = ended[f"s{at}"]
    assert one.code == 1, one.log
    assert CASES[at][3] in one.log
    assert "Traceback" not in one.log


@pytest.fixture(scope="module")
def models(
    library: Library, environments: Mapping[str, Path], warm: Warm, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Ended]:
    """Models of every kind, tested and asked in their own images and in wrong ones."""
    bench = Bench(tmp_path_factory.mktemp("models"), library, environments, warm=warm)
    return bench.run(
        step("iris", "dataset-import", {"source": "builtin:iris"}),
        step("numbers", "dataset-import", {"source": "builtin:diabetes"}),
        step("groups", "k-means", {"groups": 3}, train="iris.data"),
        step("boost", "xgboost", {"rounds": 10}, train="iris.data"),
        step("light", "lightgbm", {"rounds": 10}, train="iris.data"),
        step("line", "linear-regression", {"penalty": "l2"}, train="numbers.data"),
        step("tree", "decision-tree", {}, train="numbers.data"),
        step("convert", "model-convert-onnx", {}, model="boost.model"),
        step("twice", "model-convert-onnx", {}, model="convert.model"),
        step("test-groups", "model-evaluation", {}, data="iris.data", model="groups.model"),
        step("test-numbers", "model-evaluation", {}, data="numbers.data", model="line.model", other="tree.model"),
        on(step("test-boost", "model-evaluation", {}, data="iris.data", model="boost.model", other="light.model"),
           image="boosting"),
        on(step("test-onnx", "model-evaluation", {}, data="iris.data", model="convert.model"), image="onnx"),
        on(step("ask", "offline-predict", {"keep": False}, data="iris.data", model="light.model"), image="boosting"),
        step("wrong-image", "model-evaluation", {}, data="iris.data", model="boost.model"),
        step("wrong-data", "offline-predict", {}, data="numbers.data", model="groups.model"),
        step("wrong-pair", "model-evaluation", {}, data="iris.data", model="groups.model", other="line.model"),
        step("wrong-measure", "model-evaluation", {"decide_by": "rmse"}, data="iris.data", model="groups.model"),
        step("taken", "offline-predict", {"name": "class"}, data="iris.data", model="groups.model"),
    )  # fmt: skip


def test_models_of_every_kind_are_tested(models: dict[str, Ended]) -> None:
    for name in ("test-groups", "test-numbers", "test-boost", "test-onnx", "ask"):
        assert models[name].code == 0, models[name].log
    assert models["test-groups"].values["silhouette"] > 0.4
    assert models["test-groups"].values["adjusted_rand"] > 0.5
    assert models["test-numbers"].values["best"] == "decision-tree"
    assert 0.4 < models["test-numbers"].values["r2"] < 0.9
    assert models["test-boost"].values["accuracy"] > 0.95
    assert models["test-onnx"].values["accuracy"] > 0.95
    lines = (models["ask"].outputs / "predictions" / "data.csv").read_text().splitlines()
    assert lines[0] == "prediction,probability setosa,probability versicolor,probability virginica"
    assert lines[1].startswith("setosa,0.")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("twice", "The model is ONNX already"),
        ("wrong-image", "has no xgboost, which the model needs. Choose the image boosting for this step"),
        ("wrong-data", "The data have no column 'sepal length (cm)'"),
        ("wrong-pair", "cannot be compared: clustering and regression"),
        ("wrong-measure", "'rmse' does not say how good such models are"),
        ("taken", "a column 'class' already"),
    ],
)
def test_what_does_not_fit_together_gets_a_sentence(models: dict[str, Ended], name: str, says: str) -> None:
    assert models[name].code == 1, models[name].log
    assert says in models[name].log
    assert "Traceback" not in models[name].log
