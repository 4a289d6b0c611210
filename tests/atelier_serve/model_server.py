"""A model server in a process of its own, in the environment of its image, with nothing but that on its path."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx

from tests.atelier_serve import environments
from tests.harness.ports import free_port

CODE = Path(__file__).parents[2] / "hub" / "serve"
START_SECONDS = 120
MODEL = "model"


class ModelServer:
    """Serves `folder` as `model`. What it says goes to `log`."""

    def __init__(self, image: str, folder: Path, log: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.infer_url = f"{self.url}/v2/models/{MODEL}/infer"
        self.python = environments.image(image)
        self._log = log
        self._options = options
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start the process, as the local engine does: the port by environment, the code by path."""
        settings = {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": str(CODE),
            "ATELIER_PORT_HTTP": str(self.port),
            "OMP_NUM_THREADS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "2",
        }
        command = [str(self.python), "-m", "atelier_serve", str(self.folder), "--name", MODEL, *self._options]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, env=settings, stdout=log, stderr=log, cwd=self._log.parent)

    def start(self, seconds: float = START_SECONDS) -> None:
        """Until it is ready."""
        self.launch()
        self.wait_ready(seconds)

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """The same for one that was launched."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.running:
            if self.ready() == 200:
                return
            time.sleep(0.05)
        raise RuntimeError(f"The model server did not start:\n{self.log()[-3000:]}")

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    def ready(self) -> int:
        """The status of its readiness; 0 if nothing answers."""
        try:
            return httpx.get(f"{self.url}/v2/health/ready", timeout=2).status_code
        except httpx.HTTPError:
            return 0

    def wait(self, seconds: float = START_SECONDS) -> int:
        """The code with which it ends by itself."""
        assert self.process is not None
        return self.process.wait(seconds)

    def stop(self) -> int:
        """Tell it to stop; the code with which it ends."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.wait(45)

    def kill(self) -> None:
        """Whatever happened."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    def log(self) -> str:
        """What it said."""
        return self._log.read_text(errors="replace")

    def ask(self, *inputs: dict[str, Any], **more: Any) -> httpx.Response:
        """One inference request."""
        return httpx.post(self.infer_url, json={"inputs": list(inputs), **more}, timeout=30)


def tensor(name: str, datatype: str, shape: list[int], data: list[Any], **more: Any) -> dict[str, Any]:
    """An input as JSON."""
    return {"name": name, "datatype": datatype, "shape": shape, "data": data, **more}


def matrix(rows: list[list[float]], name: str = "rows") -> dict[str, Any]:
    """Rows of numbers as one input."""
    return tensor(name, "FP64", [len(rows), len(rows[0])], rows)


def outputs(answer: httpx.Response) -> dict[str, dict[str, Any]]:
    """The outputs of an answer by name."""
    assert answer.status_code == 200, answer.text
    return {one["name"]: one for one in answer.json()["outputs"]}


def refusal(answer: httpx.Response, status: int = 400) -> dict[str, str]:
    """What a request was refused with; every refusal has the same form."""
    assert answer.status_code == status, f"{answer.status_code} {answer.text[:500]}"
    document: dict[str, str] = json.loads(answer.content)
    assert set(document) == {"error", "message", "code", "hint"}
    assert document["error"] == document["message"]
    assert document["message"].endswith((".", "?")) or ":" in document["message"]
    return document
