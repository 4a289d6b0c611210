"""What a step of a run left is served by the model server, in the image that its framework chooses."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from atelier_sdk import AtelierError
from atelier_sdk.services import DeploymentFailed
from tests.atelier_gateway.gateway import BASE
from tests.atelier_hub.serving.platform import Platform, new_name
from tests.harness.control_plane import pipeline, submit, wait_for

pytestmark = pytest.mark.parametrize("platform", ["sqlite"], indirect=True, scope="session")

TRAIN = """
import json, os, pickle
from pathlib import Path
import pandas as pd, yaml
from sklearn.linear_model import LinearRegression
rows = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0, 0.0]})
model = LinearRegression().fit(rows, 2 * rows["a"] - rows["b"])
folder = Path(os.environ["ATELIER_OUTPUTS"], "model")
folder.mkdir()
(folder / "model.pkl").write_bytes(pickle.dumps(model))
columns = [{"name": name, "type": "double", "required": True} for name in rows]
flavors = {"sklearn": {"pickled_model": "model.pkl", "serialization_format": "pickle"},
           "python_function": {"loader_module": "mlflow.sklearn", "model_path": "model.pkl"}}
signature = {"inputs": json.dumps(columns), "outputs": json.dumps([{"name": "y", "type": "double", "required": True}])}
(folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors, "signature": signature}))
broken = Path(os.environ["ATELIER_OUTPUTS"], "broken")
broken.mkdir()
(broken / "MLmodel").write_text((folder / "MLmodel").read_text())
(broken / "model.pkl").write_bytes(b"this is no pickle")
strange = Path(os.environ["ATELIER_OUTPUTS"], "strange")
strange.mkdir()
(strange / "notes.md").write_text("nothing that anybody could serve")
"""


@pytest.fixture(scope="module")
def run(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run whose step has left a model, a broken one, and something else."""
    folder: Path = tmp_path_factory.mktemp("train")
    (folder / "train.py").write_text(TRAIN)
    outputs = {"model": "model", "broken": "model", "strange": "any"}
    document = pipeline({"train": {"file": "train.py", "image": "ml", "outputs": outputs}})
    started = submit(platform.client(), "kim", folder, document)
    assert wait_for(platform.client(), "kim", started, 200).state == "done"
    return started


def _definition(name: str, run: str, output: str = "model", **fields: Any) -> dict[str, Any]:
    return {"name": name, "output": {"run": run, "step": "train", "output": output}, "grace": 5, **fields}


def test_a_trained_model_answers_behind_the_gateway(platform: Platform, run: str) -> None:
    name = new_name("model")
    definition = _definition(name, run)
    services = platform.client().services
    found = services.deploy("kim", definition)
    try:
        found = services.wait("kim", name, found.newest, seconds=200)
        assert found.model_url == f"{platform.gateway.url}{BASE}/s/kim/{name}/v2/models/{name}"
        revision = next(services.revisions("kim", name))
        assert (revision.image, revision.source) == ("serve-sklearn", f"run:{run}/train/model")
        key = platform.key(name)
        platform.until(lambda: platform.call(name, key, "/v2/health/ready").status_code == 200)
        body = {
            "inputs": [
                {"name": "a", "shape": [2, 1], "datatype": "FP64", "data": [1.0, 10.0]},
                {"name": "b", "shape": [2, 1], "datatype": "FP64", "data": [1.0, 0.0]},
            ]
        }
        answer = platform.http.post(f"{found.model_url}/infer", json=body, headers=key)
        assert answer.status_code == 200, answer.text
        assert answer.json()["model_name"] == name
        assert answer.json()["outputs"][0]["data"] == pytest.approx([1.0, 20.0])
        wrong = platform.http.post(f"{found.model_url}/infer", json={"inputs": []}, headers=key)
        assert wrong.status_code == 400
        assert found.batch_url == f"{platform.gateway.url}{BASE}/batch/kim/{name}"
        lines = b"".join(services.predict_file(found, io.BytesIO(b"row,a,b\n1,1,1\n2,10,0\n3,x,0\n"))).splitlines()
        assert lines[0] == b"row,a,b,y,error" and b"which is no number." in lines[3]
        assert [float(line.split(b",")[3]) for line in lines[1:3]] == pytest.approx([1.0, 20.0])
    finally:
        platform.remove(name)


def test_a_model_that_does_not_load_is_a_clear_sentence(platform: Platform, run: str) -> None:
    name = new_name("model")
    services = platform.client().services
    found = services.deploy("kim", _definition(name, run, "broken"))
    try:
        with pytest.raises(DeploymentFailed) as refusal:
            services.wait("kim", name, found.newest, seconds=200)
        assert "exit code" in refusal.value.message
        assert "model" in refusal.value.message.partition("Its last lines:")[2]
        platform.until(lambda: platform.get(name).state == "failed")
    finally:
        platform.remove(name)


def test_what_is_no_model_is_refused_at_once(platform: Platform, run: str) -> None:
    with pytest.raises(AtelierError) as refusal:
        platform.client().services.deploy("kim", _definition(new_name("model"), run, "strange"))
    assert refusal.value.code == "unknown_framework"


def test_an_image_with_a_command_gets_the_model_as_well(platform: Platform, run: str) -> None:
    name = new_name("model")
    source = (
        "import http.server, os, sys\n"
        "os.chdir(sys.argv[1])\n"
        "http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['ATELIER_PORT_HTTP'])),"
        " http.server.SimpleHTTPRequestHandler).serve_forever()\n"
    )
    command = ["python", "-c", source, "${ATELIER_INPUTS}/model"]
    with platform.served(_definition(name, run, image="python", command=command)):
        key = platform.key(name)
        platform.until(lambda: platform.call(name, key, "/MLmodel").status_code == 200)
        assert "sklearn" in platform.call(name, key, "/MLmodel").text
