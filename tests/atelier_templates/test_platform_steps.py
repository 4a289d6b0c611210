"""Steps that ask the control plane: a model is registered and deployed by a pipeline, on real parts."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from atelier_cli.template import fetch
from atelier_sdk import Client
from atelier_templates.demos import demo_pipeline, verify
from atelier_templates.loader import Library
from tests.atelier_hub.tracking.conftest import platform
from tests.atelier_templates.conftest import Demos
from tests.atelier_templates.running import Bench, Warm, step
from tests.harness.control_plane import submit, wait_for
from tests.harness.tracking import Member, Platform

__all__ = ["platform"]
GATE = {"name": "digits", "measure": "r2", "bound": 0.9}


@pytest.fixture(scope="module")
def somebody(platform: Platform) -> Member:
    return platform.person()


@pytest.fixture(scope="module")
def client(platform: Platform, somebody: Member) -> Iterator[Client]:
    with Client(platform.plane.url, somebody.token) as client:
        yield client
    somebody.http.close()


@pytest.fixture(scope="module")
def run(client: Client, somebody: Member, library: Library, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The demo of Deploy service: from the digits to a service, every step an attempt of the local engine."""
    template = library.catalog.find("deploy-service")
    assert template is not None
    folder = tmp_path_factory.mktemp("deploying")
    started = submit(client, somebody.name, folder, demo_pipeline(template, library.catalog))
    ended = wait_for(client, somebody.name, started, 280)
    steps = [(one.name, one.state, one.message) for one in client.steps.list(somebody.name, started)]
    assert ended.state == "done", (steps, failures(client, somebody.name, started))
    return started


def failures(client: Client, project: str, run: str) -> dict[str, str]:
    """What failed steps were ended with."""
    failed = [one.name for one in client.steps.list(project, run) if one.state == "failed"]
    return {name: str(list(client.steps.attempts(project, run, name))[-1].message) for name in failed}


@pytest.mark.parametrize("name", ["model-register", "deploy-service"])
def test_the_demo_leaves_what_verify_asks_for(
    name: str, run: str, client: Client, somebody: Member, library: Library, tmp_path: Path
) -> None:
    template = library.catalog.find(name)
    assert template is not None
    verify(library.folder(template), *fetch(client, somebody.name, run, name, tmp_path / name))


def test_the_version_knows_where_it_comes_from(run: str, somebody: Member) -> None:
    found = somebody.http.get(f"{somebody.base}/models/demo-digits/versions/1").json()
    assert (found["framework"], found["created_by"]) == ("sklearn", somebody.name)
    assert (found["lineage"]["run"], found["lineage"]["step"]) == (run, "logistic-regression")


def test_the_service_reads_digits(run: str, platform: Platform, somebody: Member, demos: Demos) -> None:
    with (demos["standardize"].outputs / "test" / "data.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))[:50]
    names = [name for name in rows[0] if name != "digit"]
    numbers = [[float(row[name]) for name in names] for row in rows]
    key = somebody.http.post(f"{somebody.base}/service-keys", json={"name": "test"}).raise_for_status().json()["secret"]
    body = {"inputs": [{"name": "x", "datatype": "FP64", "shape": [50, len(names)], "data": numbers}]}
    base = f"{platform.gateway_url}/services/atelier-gateway/s/{somebody.name}/demo-digits"
    answer = httpx.post(
        f"{base}/v2/models/demo-digits/infer", json=body, headers={"Authorization": f"Bearer {key}"}, timeout=30
    )
    assert answer.status_code == 200, answer.text
    said = next(one["data"] for one in answer.json()["outputs"] if one["name"] == "predict")
    assert sum(str(one) == row["digit"] for one, row in zip(said, rows, strict=True)) > 45


def test_a_model_that_is_not_good_enough_is_not_registered(
    tmp_path: Path, library: Library, environments: Mapping[str, Path], warm: Warm
) -> None:
    bench = Bench(tmp_path, library, environments, warm=warm)
    ended = bench.run(
        step("in", "dataset-import", {"source": "builtin:diabetes"}),
        step("fit", "linear-regression", {}, train="in.data"),
        step("test", "model-evaluation", {}, data="in.data", model="fit.model"),
        step("gate", "model-register", GATE, model="fit.model", metrics="test.metrics"),
        step("odd", "model-register", {**GATE, "measure": "accuracy"}, model="fit.model", metrics="test.metrics"),
        step("blind", "model-register", GATE, model="fit.model"),
        step("alone", "model-register", {**GATE, "bound": 0.1}, model="fit.model", metrics="test.metrics"),
    )
    assert "linear-regression is not registered: its r2 is 0.5" in ended["gate"].log
    assert "Evaluate did not measure 'accuracy'" in ended["odd"].log
    assert "The input 'metrics' is not connected" in ended["blind"].log
    assert "is as good as 0.1" in ended["alone"].log
    assert "it runs only as a step of a run" in ended["alone"].log
    assert [ended[name].code for name in ("gate", "odd", "blind", "alone")] == [1, 1, 1, 1]
