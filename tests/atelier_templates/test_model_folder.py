"""A real MLflow reads the model folders of the trainers, and infers the signatures that they wrote."""

from __future__ import annotations

import asyncio
import csv
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from atelier_core.image import Image
from atelier_spawner.local.environments import Environments
from atelier_templates.loader import Library
from tests.atelier_templates.conftest import Demos
from tests.atelier_templates.running import Bench, Warm, step

READER = Path(__file__).parent / "reader"


@pytest.fixture(scope="module")
def folders(
    demos: Demos,
    library: Library,
    environments: Mapping[str, Path],
    warm: Warm,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    """Models of each flavor: of classes and of numbers, on numbers and on texts."""
    bench = Bench(tmp_path_factory.mktemp("folders"), library, environments, warm=warm)
    ended = bench.run(
        step("in", "dataset-import", {"source": "builtin:shoppers", "leave_out": ["city"]}),
        step("split", "data-split", {}, data="in.data"),
        step("fill", "missing-values", {}, train="split.train"),
        step("forest", "random-forest", {"trees": 5}, train="fill.train"),
        step("numbers", "dataset-import", {"source": "builtin:diabetes"}),
        step("light", "lightgbm", {"rounds": 5}, train="numbers.data"),
        step("boost", "xgboost", {"rounds": 5}, train="numbers.data"),
    )
    for one in ended.values():
        assert one.code == 0, one.log
    found = {name: ended[name].outputs / "model" for name in ("forest", "light", "boost")}
    wanted = ("logistic-regression", "linear-regression", "k-means", "gbdt", "xgboost", "lightgbm")
    return found | {name: demos[name].outputs / "model" for name in wanted}


@pytest.fixture(scope="module")
def reports(folders: dict[str, Path]) -> dict[str, dict[str, Any]]:
    """What MLflow says of each, in an environment of its own."""
    image = Image(name="reader", reference="reader", other_pythons=("3.12", "3.13"), lock=READER / "requirements.lock")
    made = Environments(Path.home() / ".cache" / "atelier" / "envs", {"reader": image})
    python = asyncio.run(made.ready("reader")) / "bin" / "python"
    command = [str(python), str(READER / "read.py"), *map(str, folders.values())]
    done = subprocess.run(command, timeout=240, check=False, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return dict(zip(folders, json.loads(done.stdout.splitlines()[-1]), strict=True))


def test_mlflow_reads_them_both_ways(reports: dict[str, dict[str, Any]]) -> None:
    packages = {name: (one["flavor"], one["package"]) for name, one in reports.items()}
    sklearn = dict.fromkeys(("forest", "logistic-regression", "linear-regression", "k-means", "gbdt"))
    assert packages == {
        **dict.fromkeys(sklearn, ("sklearn", "sklearn")),
        "boost": ("xgboost", "xgboost"), "xgboost": ("xgboost", "xgboost"),
        "light": ("lightgbm", "lightgbm"), "lightgbm": ("lightgbm", "lightgbm"),
    }  # fmt: skip


def test_the_signature_is_what_mlflow_infers(reports: dict[str, dict[str, Any]]) -> None:
    for name, one in reports.items():
        assert one["inputs"] == one["inferred inputs"], name
        assert one["outputs"] == one["inferred outputs"], name
    assert [kind for _, kind, _ in reports["forest"]["inputs"]] == [
        "DataType.double",
        "DataType.double",
        "DataType.long",
        "DataType.string",
    ]


def test_the_answers_are_right(reports: dict[str, dict[str, Any]], folders: dict[str, Path]) -> None:
    assert set(reports["forest"]["answers"]) == {"yes", "no"}
    assert set(reports["logistic-regression"]["answers"]) <= set(range(10))
    assert len(set(reports["logistic-regression"]["answers"])) > 3
    assert all(len(shares) == 10 and abs(sum(shares) - 1) < 1e-6 for shares in reports["lightgbm"]["answers"])
    likeliest = [shares.index(max(shares)) for shares in reports["lightgbm"]["answers"]]
    same = [one == other for one, other in zip(reports["xgboost"]["answers"], likeliest, strict=True)]
    assert sum(same) >= 17
    assert all(25 < number < 350 for name in ("light", "boost") for number in reports[name]["answers"])


def test_what_else_is_in_it(folders: dict[str, Path]) -> None:
    for name, folder in folders.items():
        files = {one.name for one in folder.iterdir()}
        assert {"MLmodel", "model.json", "requirements.txt", "training_sample.csv", "python_env.yaml"} < files, name
        about = json.loads((folder / "model.json").read_text())
        with (folder / "training_sample.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert list(rows[0]) == about["numbers"] + about["texts"], "the sample has other columns than the model"
        assert len(rows) <= 1000
        manifest = yaml.safe_load((folder / "MLmodel").read_text())
        assert manifest["model_size_bytes"] > 0
        pins = (folder / "requirements.txt").read_text().splitlines()
        assert all("==" in pin for pin in pins)
    sample = (folders["logistic-regression"] / "training_sample.csv").read_text()
    assert len(sample.splitlines()) == 1001
