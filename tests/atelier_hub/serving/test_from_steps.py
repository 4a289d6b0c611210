"""Services that a running step deploys: in the name of whoever runs it, as long as that person may."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.atelier_hub.serving.platform import Platform, answerer, new_name
from tests.harness.control_plane import pipeline, submit, wait_for

pytestmark = pytest.mark.parametrize("platform", ["sqlite"], indirect=True, scope="session")

# Deploys each time the test says so, and tells what came of it.
STEP = """
import json, os, pathlib, time, urllib.error, urllib.request
folder, definition = pathlib.Path({folder!r}), {definition!r}
for turn in ("first", "second"):
    while not (folder / turn).exists():
        time.sleep(0.05)
    request = urllib.request.Request(os.environ["ATELIER_ATTEMPT_URL"] + "/services", method="POST",
        data=json.dumps({{"definition": definition}}).encode(),
        headers={{"Authorization": "Bearer " + os.environ["ATELIER_ATTEMPT_TOKEN"],
            "Content-Type": "application/json"}})
    try:
        with urllib.request.urlopen(request) as answer:
            said = str(answer.status)
    except urllib.error.HTTPError as error:
        said = str(error.code) + " " + json.loads(error.read())["message"]
    (folder / "saying").write_text(said)
    (folder / "saying").rename(folder / (turn + "-said"))
"""


def test_who_left_the_project_deploys_nothing_by_a_step_that_still_runs(platform: Platform, tmp_path: Path) -> None:
    """The step's owner is a member by a group of the hub, which is asked again each time."""
    name, hub, kim = new_name(), platform.plane.hub, platform.client()
    hub.add_to_group("kim", f"{name}-builders")
    kim.members.set("kim", f"{name}-builders", "member", kind="group")
    with platform.plane.client("kim-s-friend") as friend:
        hub.add_to_group("kim-s-friend", f"{name}-builders")
        signals, code = tmp_path / "signals", tmp_path / "code"
        signals.mkdir()
        code.mkdir()
        (code / "deploy.py").write_text(STEP.format(folder=str(signals), definition=answerer(name)))
        run = submit(friend, "kim", code, pipeline({"deploy": {"file": "deploy.py"}}))
        (signals / "first").touch()
        platform.until((signals / "first-said").exists)
        hub.remove_from_group("kim-s-friend", f"{name}-builders")
        (signals / "second").touch()
        platform.until((signals / "second-said").exists)
    assert (signals / "first-said").read_text() == "201"
    assert (signals / "second-said").read_text().startswith("403 kim-s-friend may not deploy in the project 'kim'")
    assert wait_for(kim, "kim", run).state == "done"
    assert platform.get(name).newest == 1
    platform.remove(name)
