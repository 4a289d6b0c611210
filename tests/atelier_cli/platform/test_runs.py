"""Runs while the platform goes down and comes up: they go on, unless they are to be stopped."""

from __future__ import annotations

import os
from pathlib import Path

from atelier_sdk import Client
from tests.atelier_cli.platform.installation import Installation, wait_for
from tests.harness import control_plane
from tests.harness.ports import free_port

HOLD = """
import os, time
from pathlib import Path
mark = Path(os.environ["ATELIER_PROJECT_DIR"], "pid")
mark.with_suffix(".new").write_text(str(os.getpid()))
mark.with_suffix(".new").replace(mark)
time.sleep(600)
"""


def client(installation: Installation) -> Client:
    return Client(f"{installation.url}/services/atelier", installation.layout.token.read_text().strip())


def test_runs_go_on_until_they_are_to_be_stopped(spare: Installation, tmp_path: Path) -> None:
    spare.sharing().up("--port", str(free_port()), "--admin", "ada", "--no-mlflow")
    (tmp_path / "code").mkdir()
    (tmp_path / "code/hold.py").write_text(HOLD)
    document = control_plane.pipeline({"hold": {"file": "hold.py", "image": "python"}})
    with client(spare) as ada:
        run = control_plane.submit(ada, "ada", tmp_path / "code", document)
    mark = spare.data / "users/ada/pid"
    pid = int(wait_for(lambda: mark.exists() and mark.read_text(), 60))

    spare.run("down")
    assert Path(f"/proc/{pid}").exists()
    refused = spare.run("down", "--stop-runs", check=False)
    assert refused.returncode and "atelier up" in refused.stderr
    spare.up()
    with client(spare) as ada:
        assert ada.runs.get("ada", run).state == "running"

    stopped = spare.json("down", "--stop-runs")
    assert stopped["cancelled_runs"] == 1 and "control-plane" in stopped["stopped"]
    assert not Path(f"/proc/{pid}").exists()
    assert os.listdir(spare.layout.workloads / "attempts") == []
    assert not [text for text in spare.processes().values() if "pytest" not in text]
    spare.up()
    with client(spare) as ada:
        found = ada.runs.get("ada", run)
        assert (found.state, found.reason) == ("stopped", "Cancelled"), found
