"""Drift, for real: a trained model behind the gateway, requests that move, and what is said of them."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atelier_sdk import AtelierError
from atelier_sdk.services import Drift
from tests.atelier_hub.serving.platform import Platform, answerer, new_name
from tests.harness.control_plane import pipeline, submit, wait_for

pytestmark = pytest.mark.parametrize("platform", ["sqlite"], indirect=True, scope="session")

TRAIN = """
import json, os, pickle
from pathlib import Path
import numpy as np, pandas as pd, yaml
from sklearn.linear_model import LinearRegression
numbers = np.random.default_rng(0)
rows = pd.DataFrame({"a": numbers.normal(size=1000), "b": numbers.normal(size=1000), "c": numbers.integers(0, 5, 1000)})
columns = [{"name": name, "type": "long" if name == "c" else "double", "required": True} for name in rows]
flavors = {"sklearn": {"pickled_model": "model.pkl", "serialization_format": "pickle"},
           "python_function": {"loader_module": "mlflow.sklearn", "model_path": "model.pkl"}}
signature = {"inputs": json.dumps(columns), "outputs": json.dumps([{"name": "y", "type": "double", "required": True}])}
for name in ("model", "bare"):
    folder = Path(os.environ["ATELIER_OUTPUTS"], name)
    folder.mkdir()
    (folder / "model.pkl").write_bytes(pickle.dumps(LinearRegression().fit(rows, rows["a"])))
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors, "signature": signature}))
rows.to_csv(Path(os.environ["ATELIER_OUTPUTS"], "model", "training_sample.csv"), index=False)
"""
KEPT = {"sample": 1, "bodies": True}


@pytest.fixture(scope="module")
def run(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run that has left a model with its training sample, and one without."""
    folder: Path = tmp_path_factory.mktemp("drift")
    (folder / "train.py").write_text(TRAIN)
    outputs = {"model": "model", "bare": "model"}
    document = pipeline({"train": {"file": "train.py", "image": "ml", "outputs": outputs}})
    started = submit(platform.client(), "kim", folder, document)
    assert wait_for(platform.client(), "kim", started, 200).state == "done"
    return started


@pytest.fixture(scope="module")
def served(platform: Platform, run: str) -> Iterator[str]:
    """The model with its sample, every request kept."""
    name = new_name("drift")
    with platform.served(_definition(name, run, log=KEPT)):
        yield name


def _definition(name: str, run: str, output: str = "model", **fields: Any) -> dict[str, Any]:
    return {"name": name, "output": {"run": run, "step": "train", "output": output}, "grace": 5, **fields}


def _drift(platform: Platform, name: str, **options: Any) -> Drift:
    return platform.client().services.drift("kim", name, **options)


def _rows(size: int, seed: int, shift: float = 0) -> list[tuple[float, float, int]]:
    numbers = random.Random(seed)
    return [(numbers.gauss(shift, 1), numbers.gauss(0, 1), numbers.randrange(5)) for _ in range(size)]


def _json(rows: list[tuple[float, float, int]]) -> dict[str, Any]:
    """A tensor for each column."""
    kinds = {"a": "FP64", "b": "FP64", "c": "INT64"}
    return {
        "inputs": [
            {"name": name, "shape": [len(rows), 1], "datatype": kind, "data": [row[at] for row in rows]}
            for at, (name, kind) in enumerate(kinds.items())
        ]
    }


def _send(platform: Platform, name: str, key: dict[str, str], rows: list[tuple[float, float, int]]) -> None:
    """The rows, in each of the ways in which a model may be asked."""
    quarter = len(rows) // 4
    columns, matrix, binary, old = (rows[at * quarter : (at + 1) * quarter] for at in range(4))
    url = f"{platform.get(name).model_url}/infer"
    flat = [value for row in matrix for value in row]
    one = {"inputs": [{"name": "input", "shape": [len(matrix), 3], "datatype": "FP64", "data": flat}]}
    packed = struct.pack(f"<{3 * len(binary)}d", *(value for row in binary for value in row))
    head = {"name": "x", "shape": [len(binary), 3], "datatype": "FP64", "parameters": {"binary_data_size": len(packed)}}
    start = json.dumps({"inputs": [head]}).encode()
    length = {"Inference-Header-Content-Length": str(len(start))}
    instances = {"instances": [dict(zip("abc", row, strict=True)) for row in old]}
    answers = [
        platform.http.post(url, json=_json(columns), headers=key),
        platform.http.post(url, json=one, headers=key),
        platform.http.post(url, content=start + packed, headers=key | length),
        platform.http.post(url.replace("/v2/", "/v1/").replace("/infer", ":predict"), json=instances, headers=key),
    ]
    assert [one.status_code for one in answers] == [200] * 4, [one.text for one in answers]


def test_shifted_requests_are_major_drift_of_the_shifted_column(platform: Platform, served: str) -> None:
    key = platform.key(served)
    platform.until(lambda: platform.call(served, key, "/v2/health/ready").status_code == 200)
    nothing = _drift(platform, served)
    assert (nothing.state, nothing.requests, nothing.needed) == ("no_requests", 0, 100)

    _send(platform, served, key, _rows(40, seed=1))
    few = _drift(platform, served)
    assert (few.state, few.requests, few.rows) == ("few_rows", 4, 40)
    assert {one.level for one in few.inputs} == {"unknown"} and "takes 100" in few.message

    _send(platform, served, key, _rows(1000, seed=2))
    calm = _drift(platform, served)
    assert (calm.state, calm.rows, calm.trained_rows, calm.unread) == ("measured", 1040, 1000, 0)
    assert {one.name: one.level for one in calm.inputs} == dict.fromkeys("abc", "stable")

    for seed in range(3, 6):
        _send(platform, served, key, _rows(1000, seed=seed, shift=3))
    moved = {one.name: one for one in _drift(platform, served).inputs}
    assert moved["a"].psi is not None and moved["a"].psi > 0.25 and moved["a"].level == "major"
    for calm_one in (moved["b"], moved["c"]):
        assert calm_one.psi is not None and calm_one.psi < 0.1
    assert sum(one.seen for one in moved["a"].bins) == pytest.approx(1)
    assert moved["a"].bins[-1].seen > 0.5 > moved["a"].bins[-1].trained


def test_what_cannot_be_compared_is_counted(platform: Platform, served: str) -> None:
    before = _drift(platform, served)
    key = platform.key(served)
    platform.until(lambda: platform.call(served, key, "/v2/health/ready").status_code == 200)
    url = f"{platform.get(served).model_url}/infer"
    assert platform.http.post(url, json={"inputs": []}, headers=key).status_code == 400
    assert platform.http.post(url, json=_json(_rows(4000, seed=9)), headers=key).status_code == 200
    after = _drift(platform, served)
    assert (after.requests, after.unread) == (before.requests, before.unread + 1), "what was refused does not count"


def test_empty_states_say_why(platform: Platform, run: str) -> None:
    off, bare, image = new_name("drift"), new_name("drift"), new_name("drift")
    definitions = [_definition(off, run, log={"sample": 1}), _definition(bare, run, "bare"), answerer(image)]
    try:
        for definition in definitions:
            platform.deploy(definition, wait=False)
        found = [_drift(platform, name) for name in (off, bare, image)]
        assert [one.state for one in found] == ["sampling_off", "no_sample", "no_model"]
        assert "bodies: true" in found[0].message and "training_sample.csv" in found[1].message
        assert all(one.inputs == [] for one in found)
        with pytest.raises(AtelierError) as refusal:
            _drift(platform, off, revision=7)
        assert (refusal.value.status, refusal.value.code) == (404, "no_revision")
    finally:
        for definition in definitions:
            platform.remove(definition["name"])
