"""PyTorch and TensorFlow, in their images: gigabytes of downloads, so `make test-heavy` only."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.atelier_serve import environments
from tests.atelier_serve.conftest import Start
from tests.atelier_serve.model_server import MODEL, matrix, outputs, refusal, tensor

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1800)]
# The first import of one of these reads a gigabyte.
START_SECONDS = 300
ROWS = [[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0]]
SIGNATURE = {
    "inputs": json.dumps([{"type": "tensor", "name": "x", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}}]),
    "outputs": json.dumps([{"type": "tensor", "name": "y", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}]),
}
TORCH = """
import sys, pathlib, torch
root = pathlib.Path(sys.argv[1])
torch.manual_seed(0)
module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2)).eval()
rows = torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0]])
for name in ("script", "mlflow/data", "exported/data", "weights"):
    (root / name).mkdir(parents=True)
torch.jit.script(module).save(root / "script" / "model.pt")
torch.save(module, root / "mlflow" / "data" / "model.pth")
dynamic = {"input": {0: torch.export.Dim("rows")}}
program = torch.export.export(module, (rows,), dynamic_shapes=dynamic)
torch.export.save(program, root / "exported" / "data" / "model.pt2")
torch.save(module.state_dict(), root / "weights" / "model.pt")
print(module(rows).tolist())
"""
TENSORFLOW = """
import sys, pathlib, tensorflow as tf
root = pathlib.Path(sys.argv[1])
class Line(tf.Module):
    def __init__(self):
        self.w = tf.Variable([[1.0, 0.5], [2.0, 0.5], [3.0, 0.5], [4.0, 0.5]])
    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
    def __call__(self, x):
        return {"y": x @ self.w}
line = Line()
tf.saved_model.save(line, root / "saved", signatures=line.__call__)
model = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(2)])
(root / "mlflow").mkdir()
model.export(root / "mlflow" / "tf2model")
rows = tf.constant([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0]])
import json
print(json.dumps({"saved": line(rows)["y"].numpy().tolist(), "keras": model(rows).numpy().tolist()}))
"""


def _made(image: str, program: str, folder: Path) -> Any:
    """Models are made in the environment that serves them."""
    command = [str(environments.image(image)), "-c", program, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def _flavor(folder: Path, name: str, **flavor: str) -> None:
    (folder / "MLmodel").write_text(json.dumps({"flavors": {name: flavor}, "signature": SIGNATURE}))


def _values(answer: httpx.Response, name: str) -> np.ndarray:
    found = outputs(answer)[name]
    return np.array(found["data"]).reshape(found["shape"])


def test_pytorch(server: Start, tmp_path: Path) -> None:
    right = _made("serve-pytorch", TORCH, tmp_path)
    _flavor(tmp_path / "mlflow", "pytorch", model_data="data")
    _flavor(tmp_path / "exported", "pytorch", model_data="data")
    for name, output in (("script", "output"), ("mlflow", "y"), ("exported", "y")):
        own = server("serve-pytorch", tmp_path / name)
        own.start(START_SECONDS)
        given = tensor("x", "FP32", [2, 4], ROWS)
        np.testing.assert_allclose(_values(own.ask(given), output), right, rtol=1e-4)
        wrong = refusal(own.ask(tensor("x", "FP32", [2, 3], [row[:3] for row in ROWS])))
        assert wrong["code"] == ("input_refused" if name == "script" else "bad_shape")
        own.kill()
    weights = server("serve-pytorch", tmp_path / "weights")
    weights.launch()
    assert weights.wait(START_SECONDS) == 3
    assert "holds weights without the module" in weights.log()


def test_tensorflow(server: Start, tmp_path: Path) -> None:
    right = _made("serve-tensorflow", TENSORFLOW, tmp_path)
    saved = server("serve-tensorflow", tmp_path / "saved")
    saved.start(START_SECONDS)
    described = httpx.get(f"{saved.url}/v2/models/{MODEL}").json()
    assert described["platform"] == "tensorflow_savedmodel"
    assert described["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    np.testing.assert_allclose(_values(saved.ask(matrix(ROWS, "x")), "y"), right["saved"], rtol=1e-4)
    assert refusal(saved.ask(matrix([[1.0]], "x")))["code"] == "bad_shape"
    saved.kill()
    (tmp_path / "mlflow" / "MLmodel").write_text(
        json.dumps({"flavors": {"tensorflow": {"saved_model_dir": "tf2model", "model_type": "tf2-module"}}})
    )
    keras = server("serve-tensorflow", tmp_path / "mlflow")
    keras.start(START_SECONDS)
    only = httpx.get(f"{keras.url}/v2/models/{MODEL}").json()
    name, output = only["inputs"][0]["name"], only["outputs"][0]["name"]
    np.testing.assert_allclose(_values(keras.ask(matrix(ROWS, name)), output), right["keras"], rtol=1e-4)
