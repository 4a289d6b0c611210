"""Every template folder: run for real, checked by its verify.py, which must notice when something is broken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from atelier_core.results import ViewKind, read_folder
from atelier_templates.demos import demo_pipeline, verify
from atelier_templates.loader import ROOT, Library, load
from tests.atelier_templates.conftest import Demos

ALL = sorted(manifest.parent for manifest in ROOT.glob("*/template.yaml"))
# Those that ask the control plane run on a real one: test_platform_steps.py.
FOLDERS = [one for one in ALL if "control_plane" not in load(one).shared]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_demo_run_leaves_what_verify_asks_for(folder: Path, demos: Demos) -> None:
    template = load(folder)
    ended = demos[template.name]
    assert ended.code == 0, ended.log
    verify(folder, ended.outputs, ended.results)
    for name, port in template.outputs.items():
        if not port.required:
            continue
        left = ended.values if port.type == "value" else [one.name for one in ended.outputs.iterdir()]
        assert name in left, f"the declared output {name!r} is missing"
    shown = read_folder(ended.results)
    assert shown.views or template.category == "Basics"
    assert shown.problems == ()


def test_every_template_has_a_demo(library: Library) -> None:
    assert len(ALL) == len({one.name for one in library.catalog})
    for one in library.catalog:
        assert one.demo.parameters or one.demo.inputs, f"{one.name} has no demo"


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def drop_last_row(file: Path) -> None:
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))


BREAKS: list[tuple[str, str, Callable[[Path], None]]] = [
    ("dataset_import", "1796 rows", lambda at: drop_last_row(at / "outputs/data/data.csv")),
    ("dataset_import", "label", lambda at: edit(at / "outputs/data/dataset.json", '"label": "digit"', '"label": "x"')),
    ("dataset_import", "value `rows`", lambda at: edit(at / "outputs/outputs.json", "1797", "1")),
    ("data_split", "rows instead", lambda at: drop_last_row(at / "outputs/test/data.csv")),
    ("data_split", "classes", lambda at: (at / "results/classes.csv").unlink()),
    ("data_split", "rows instead of", lambda at: drop_last_row(at / "outputs/train/data.csv")),
    ("standardize", "mean of", lambda at: drop_last_row(at / "outputs/train/data.csv")),
    ("standardize", "by itself", lambda at: shutil.copy(at / "outputs/train/data.csv", at / "outputs/test/data.csv")),
    ("logistic_regression", "empty", lambda at: (at / "outputs/model/model.pkl").write_bytes(b"")),
    ("logistic_regression", "algorithm", lambda at: edit(at / "outputs/model/model.json", "logistic", "linear")),
    ("random_forest", "accuracy", lambda at: (at / "outputs/outputs.json").write_text('{"train_score": 0.5}')),
    ("random_forest", "differ", lambda at: (at / "outputs/outputs.json").write_text('{"train_score": 0.99}')),
    ("missing_values", "has gaps", lambda at: edit(at / "outputs/train/data.csv", ",missing,", ",,")),
    ("encoding", "rows are basic", lambda at: edit(at / "outputs/encoder", '"basic": 0.', '"basic": 0.0')),
    ("linear_regression", "R2", lambda at: (at / "outputs/outputs.json").write_text('{"train_score": 0.99}')),
    ("k_means", "10", lambda at: edit(at / "outputs/groups/data.csv", ",9\n", ",10\n")),
    ("xgboost", "empty", lambda at: (at / "outputs/model/model.ubj").write_bytes(b"")),
    ("lightgbm", "task", lambda at: edit(at / "outputs/model/model.json", '"classification"', '"regression"')),
    ("offline_predict", "450", lambda at: drop_last_row(at / "outputs/predictions/data.csv")),
    ("model_convert_onnx", "agree", lambda at: (at / "outputs/outputs.json").write_text('{"agreement": 0.5}')),
    ("python_step", "rows instead", lambda at: drop_last_row(at / "outputs/data")),
    ("shell_step", "lines instead", lambda at: (at / "outputs/data").write_text("7\n")),
    ("r_step", "mean of 0", lambda at: edit(at / "outputs/data", "2.10", "2.11")),
    ("custom_image", "lines instead", lambda at: drop_last_row(at / "outputs/data")),
    ("model_evaluation", "count every row", lambda at: edit(at / "results/confusion-1.csv", "\n0,45", "\n0,44")),
    ("model_evaluation", "picture", lambda at: (at / "results/confusion-2.png").write_bytes(b"no")),
    ("model_evaluation", "best model", lambda at: edit(at / "outputs/outputs.json", '"best": "', '"best": "un')),
]


@pytest.mark.parametrize(("name", "says", "spoil"), BREAKS, ids=[f"{name}-{says}" for name, says, _ in BREAKS])
def test_verify_notices(name: str, says: str, spoil: Callable[[Path], None], demos: Demos, tmp_path: Path) -> None:
    folder = ROOT / name
    at = tmp_path / "step"
    shutil.copytree(demos[load(folder).name].folder, at)
    verify(folder, at / "outputs", at / "results")
    spoil(at)
    with pytest.raises(AssertionError, match=says):
        verify(folder, at / "outputs", at / "results")


def test_evaluation_shows_every_kind(demos: Demos) -> None:
    kinds = {view.kind for view in read_folder(demos["model-evaluation"].results).views}
    assert kinds == {ViewKind.TEXT, ViewKind.TABLE, ViewKind.METRICS, ViewKind.IMAGE, ViewKind.ECHARTS}


def test_a_demo_runs_only_what_it_needs(library: Library) -> None:
    split = library.catalog.find("data-split")
    assert split is not None
    nodes = demo_pipeline(split, library.catalog)["pipelines"][0]["nodes"]
    assert [one["id"] for one in nodes] == ["dataset-import", "data-split"]
    assert json.dumps(nodes)
