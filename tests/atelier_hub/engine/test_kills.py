"""The control plane is killed while steps that take next to no time follow on each other.

So most strikes hit between the end of one attempt and the start of the next, which is one transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.faults.campaign import Campaign, leftovers, query
from tests.harness.control_plane import ControlPlane, environment_cache, pipeline, submit, wait_for
from tests.harness.hub import TestHub

LENGTH = 25


@dataclass
class Chains(Campaign):
    """Chains of short steps instead of the pipeline of the other campaigns."""

    light: bool = True

    def start_run(self, **extras: Any) -> None:
        self.submitted += 1
        env = {"COUNT_FILE": str(self.count_file), "STEP_SECONDS": "0"}
        names = [f"s{n}" for n in range(LENGTH)]
        steps = {
            name: {
                "file": "step.py",
                "needs": names[:n][-1:],
                "env": env,
                "image": "python",
                "light": self.light,
                **extras,
            }
            for n, name in enumerate(names)
        }
        key = f"chains-{self.submitted}"
        self.runs.append(
            submit(self.client, self.project, self.folder, pipeline(steps), on=self.on, idempotency_key=key)
        )


@pytest.mark.parametrize("light", [True, False], ids=["warm", "process"])
def test_a_chain_of_short_steps_survives_kills(
    tmp_path: Path, hub: TestHub, kills: int, light: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    local = {"type": "local", "cache_dir": str(environment_cache()), "cpu": 16}
    plane = ControlPlane(tmp_path / "plane", hub, backends={"local": local})
    plane.start()
    campaign = Chains(plane, plane.client("kim"), "kim", tmp_path / "folder", on="local", instances=2, light=light)
    campaign.prepare()

    def strike() -> None:
        plane.kill()
        plane.start()

    try:
        campaign.hit(kills, strike, seed=3, longest=0.5)
        campaign.finish()
        with capsys.disabled():
            print(f"\ncontrol plane killed under chains of short steps: {campaign.report()}")
        assert set(campaign.states()) == {"done"}
        assert max(campaign.starts().values()) == 1
        assert len(campaign.starts()) == LENGTH * len(campaign.runs)
        assert campaign.second_attempts() == []
    finally:
        plane.stop()


SAY = """\
import os, time
print("begun", flush=True)
open(os.path.join(os.environ["MARKS"], os.environ["ATELIER_STEP"]), "w").close()
time.sleep(1)
print("end")
"""
FORGETFUL = """
from atelier_hub.engine import driving, starting
driving.GLANCE_SECONDS = starting.SAVE_SECONDS = 1000
"""


def test_the_log_of_a_step_that_ended_meanwhile_is_kept(tmp_path: Path, hub: TestHub) -> None:
    """Even if the control plane died before it saved anything but that the step was to start."""
    local = {"type": "local", "cache_dir": str(environment_cache()), "cpu": 16}
    plane = ControlPlane(tmp_path / "plane", hub, backends={"local": local})
    with (tmp_path / "plane" / "control-plane.py").open("a") as file:
        file.write(FORGETFUL)
    plane.start()
    try:
        client, code = plane.client("kim"), tmp_path / "code"
        code.mkdir()
        (code / "say.py").write_text(SAY)
        step = {"file": "say.py", "image": "python", "env": {"MARKS": str(tmp_path)}}
        run = submit(client, "kim", code, pipeline({"a": step, "b": {**step, "needs": ["a"]}}))
        _until((tmp_path / "b").exists)
        rows = query(plane, f"SELECT state, handle FROM attempts WHERE id = '{run}-b-1'")
        plane.kill()
        assert rows[0][0] == "starting"
        assert "stage" not in rows[0][1] or '"stage": ""' in rows[0][1]
        time.sleep(1.5)
        plane.start()
        assert wait_for(client, "kim", run).state == "done"
        _until(lambda: not leftovers(plane))
        assert b"".join(client.steps.logs("kim", run, "b")) == b"begun\nend\n"
    finally:
        plane.stop()


def _until(what: Callable[[], Any], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)
