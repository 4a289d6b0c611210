"""Other people's clients, each in a process of its own: Triton's with its defaults, and MLServer's."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from tests.atelier_serve import environments
from tests.atelier_serve.model_server import MODEL, ModelServer

HERE = Path(__file__).parent


def run(program: str, *arguments: str) -> Any:
    """What a client's program prints, as JSON."""
    command = [str(environments.tools("clients")), str(HERE / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_triton(digits: ModelServer, mixed: ModelServer, expected: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "given.json").write_text(json.dumps({"digits": expected["digits"], "mixed": expected["mixed"]}))
    found = run("client_triton.py", digits.url[7:], mixed.url[7:], MODEL, str(tmp_path / "given.json"))
    right = expected["digits"]["outputs"]
    assert found["digit"] == right["digit"]
    assert found["digit_json"] == right["digit"]
    assert found["digit_gzip"] == right["digit"]
    np.testing.assert_allclose(found["predict_proba"], right["predict_proba"])
    assert found["colours"] == expected["mixed"]["outputs"]["predict"]
    assert found["live"] is True
    assert found["ready"] is True
    assert found["model_ready"] is True
    assert found["other_ready"] is False
    assert found["inputs"] == 64
    assert found["config"] == [MODEL, "TYPE_FP64"]
    assert found["index"] == [MODEL, "READY"]
    assert found["succeeded"] >= 3
    assert "[-1, 64]" in found["refused"]
    assert "one model" in found["load_refused"]


def test_mlserver(digits: ModelServer, mixed: ModelServer, expected: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "given.json").write_text(json.dumps({"digits": expected["digits"], "mixed": expected["mixed"]}))
    found = run("client_mlserver.py", digits.url, mixed.url, MODEL, str(tmp_path / "given.json"))
    assert found["numpy"] == expected["digits"]["outputs"]["digit"]
    assert found["pandas"] == expected["mixed"]["outputs"]["predict"]
    assert found["metadata"] == ["size", "price", "colour"]


def test_mlserver_infer(digits: ModelServer, expected: dict[str, Any], tmp_path: Path) -> None:
    """Its command for many requests from a file."""
    right = expected["digits"]
    lines = [
        json.dumps({"inputs": [{"name": "rows", "shape": [1, 64], "datatype": "FP64", "data": row}]})
        for row in right["rows"]
    ]
    (tmp_path / "in.txt").write_text("\n".join(lines))
    program = environments.tools("clients").with_name("mlserver")
    command = [str(program), "infer", "-u", digits.url[7:], "-m", MODEL, "-w", "2"]
    command += ["-i", str(tmp_path / "in.txt"), "-o", str(tmp_path / "out.txt")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    answers = [json.loads(line) for line in (tmp_path / "out.txt").read_text().splitlines()]
    answers.sort(key=lambda one: one["parameters"]["batch_index"])
    found = [next(o for o in one["outputs"] if o["name"] == "digit")["data"][0] for one in answers]
    assert found == right["outputs"]["digit"]
