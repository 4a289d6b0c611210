"""The images that serve: each holds the server's packages, and the versions with which the trainers write models."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from atelier_templates.images import ROOT, load_images

SERVE = Path(__file__).parents[2] / "hub" / "serve" / "pyproject.toml"
FRAMEWORKS = {
    "sklearn": "scikit-learn",
    "xgboost": "xgboost-cpu",
    "lightgbm": "lightgbm",
    "onnx": "onnxruntime",
    "pytorch": "torch",
    "tensorflow": "tensorflow",
}
# What a pickle must find again as it was.
SAME = {"cloudpickle", "joblib", "lightgbm", "numpy", "pandas", "scikit-learn", "scipy", "xgboost", "xgboost-cpu"}


def _pins(image: str) -> dict[str, str]:
    return dict(
        re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", (ROOT / image / "requirements.lock").read_text(), re.MULTILINE)
    )


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_image_holds_the_server_and_its_framework(framework: str) -> None:
    image = load_images()[f"serve-{framework}"]
    assert image.lock is not None
    pins = _pins(image.name)
    needed = tomllib.loads(SERVE.read_text())["project"]["dependencies"]
    assert {re.split("[>=]", one)[0] for one in needed} | {FRAMEWORKS[framework], "uvloop"} <= set(pins)


@pytest.mark.parametrize("trainer", ["ml", "boosting"])
@pytest.mark.parametrize("framework", ["sklearn", "xgboost", "lightgbm"])
def test_what_trains_and_what_serves_are_of_one_version(trainer: str, framework: str) -> None:
    wrote, reads = _pins(trainer), _pins(f"serve-{framework}")
    different = {
        name: (wrote[name], reads[name]) for name in SAME & set(wrote) & set(reads) if wrote[name] != reads[name]
    }
    assert not different, f"Lock serve-{framework} again with `-c {trainer}/requirements.lock`."
