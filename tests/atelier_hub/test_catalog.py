"""What the panels read of the operator's offer: templates, images, flavors, back ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atelier_hub.app import AtelierHub, StartError
from atelier_hub.http import openapi
from tests.atelier_hub.conftest import Person


def test_palette_and_form(person: Callable[..., Person]) -> None:
    http = person().http
    found = {one["name"]: one for one in http.get("/templates").json()["items"]}
    split = found["data-split"]
    assert split["label"] and split["inputs"]["data"]["type"] == "dataset" and "parameters" not in split
    body = http.get("/templates/data-split").json()
    assert {name: body[name] for name in split} == split
    assert body["parameters"]["type"] == "object" and body["readme"].startswith("#") and body["demo"]["inputs"]
    missing = http.get("/templates/data-splat")
    assert missing.status_code == 404 and "data-split" in missing.json()["hint"]


def test_documentation_comes_in_the_language_of_the_reader(person: Callable[..., Person]) -> None:
    http = person().http
    english, chinese, german = (
        http.get("/templates/data-split", params={"language": language}).json()["readme"]
        for language in ("", "zh_CN", "de")
    )
    assert english.startswith("# Split data\n") and chinese.startswith("# 拆分数据\n") and german == english
    assert http.get("/templates/data-split", params={"language": "../../x"}).status_code == 422


def test_images_flavors_and_back_ends(person: Callable[..., Person]) -> None:
    http = person().http
    images = {one["name"]: one for one in http.get("/images").json()["items"]}
    assert images["ml"]["cluster_only"] is False and images["ml"]["reference"] and images["ml"]["python"]
    flavors = http.get("/flavors").json()["items"]
    assert [one["name"] for one in flavors] == ["small", "medium", "large"] and flavors[0]["memory"] == 1024**3
    (backend,) = http.get("/backends").json()["items"]
    assert (
        backend["name"] == backend["kind"] == "local"
        and backend["default"]
        and isinstance(backend["capabilities"], list)
    )


def test_operations_are_named_by_their_functions() -> None:
    operations = [one for path in openapi.document()["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in operations]
    assert len(names) == len(set(names)) and {"list_runs", "get_template", "list_flavors"} <= set(names)


GOOD = {"name": "big", "cpu": 8, "memory": "64Gi"}


@pytest.mark.parametrize(
    ("flavors", "said"),
    [
        ([{**GOOD, "cpu": -1}], r"flavors\[0\].*cpu"),
        ([GOOD, GOOD], "another of this name"),
        ([{**GOOD, "cluster": "nowhere"}], "no back end 'nowhere'"),
    ],
)
def test_flavors_that_stop_the_start(tmp_path: Path, flavors: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(StartError, match=said):
        AtelierHub(data_dir=str(tmp_path), flavors=flavors).settings()


def test_flavors_of_the_operator(tmp_path: Path) -> None:
    gpu = {
        "name": "gpu",
        "cpu": 4,
        "memory": "16Gi",
        "accelerator": "nvidia.com/gpu",
        "accelerators": 1,
        "cluster": "local",
    }
    settings = AtelierHub(data_dir=str(tmp_path), flavors=[GOOD, gpu]).settings()
    assert [one.name for one in settings.flavors] == ["big", "gpu"]
