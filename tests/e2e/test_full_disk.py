"""The disk under the platform's data is full: it says so, survives, loses nothing, and goes on when there is room."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atelier_sdk import AtelierError, pack
from tests.e2e.conftest import LOCAL, Person, person_on
from tests.harness.control_plane import ControlPlane, pipeline
from tests.harness.hub import TestHub

pytestmark = pytest.mark.root


@pytest.fixture
def ben(tmp_path: Path, hub: TestHub) -> Iterator[Person]:
    """Somebody whose platform has 24 MB for everything that it keeps."""
    plane = ControlPlane(tmp_path / "plane", hub, backends=LOCAL)
    data = plane.folder / "data"
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0711", "tmpfs", str(data)], check=True)
    try:
        plane.start()
        person = person_on(plane, tmp_path)
        yield person
        person.close()
    finally:
        plane.stop()
        subprocess.run(["umount", "--lazy", str(data)], check=True)


def fill(person: Person) -> Path:
    """Leave no byte free."""
    filler = person.plane.folder / "data" / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1024**2, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    return filler


# One step says and leaves nothing, the other wants to write.
HOLD = """\
import os, time
from pathlib import Path
marks = Path(os.environ["MARKS"])
(marks / os.environ["ATELIER_STEP"]).touch()
if os.environ["ATELIER_STEP"] == "again" and os.environ["ATELIER_ATTEMPT"].endswith("-1"):
    raise SystemExit("its second attempt is to start when the disk is full")
while not (marks / "go").exists():
    time.sleep(0.05)
if os.environ["ATELIER_STEP"] == "writer":
    print("going")
    Path(os.environ["ATELIER_OUTPUTS"], "data").write_bytes(b"x" * 300_000)
with open(marks / "starts", "a") as file:
    file.write(os.environ["ATELIER_ATTEMPT"] + "\\n")
"""


def test_a_full_disk_is_told_and_outlived(ben: Person, marks: Path) -> None:
    kept = ben.submit(
        {"a.py": "import os; open(os.environ['ATELIER_OUTPUTS'] + '/data', 'w').write('kept'); print('kept')"},
        {"only": {"file": "a.py", "outputs": {"data": "any"}}},
    )
    assert ben.wait(kept).state == "done"
    hold = {"file": "hold.py", "env": {"MARKS": str(marks)}}
    steps = {"writer": {**hold, "outputs": {"data": "any"}}, "quiet": hold, "after": {**hold, "needs": ["quiet"]}}
    steps["again"] = {**hold, "retry": {"limit": 1, "causes": ["user"], "delay": 4}}
    held = ben.submit({"hold.py": HOLD}, steps)
    wait_until(lambda: {path.name for path in marks.iterdir()} == {"writer", "quiet", "again"})
    time.sleep(2.5)  # what is cleaned up behind the first run makes no room later

    filler = fill(ben)
    more = _refused_while_full(ben, ben.client.runs.get(ben.name, kept).revision)
    (marks / "go").touch()
    wait_until((marks / "starts").exists)
    time.sleep(1)
    assert ben.plane.process is not None
    assert ben.plane.process.poll() is None, "the control plane has died"
    assert ben.client.health()
    _nothing_is_lost(ben, kept)
    assert not ben.client.runs.get(ben.name, held).final

    filler.unlink()
    assert ben.wait(held, 60).state == "failed"
    found = ben.steps(held)
    assert "no room left on the disk" in found["writer"].message
    assert {name: (step.state, step.attempt) for name, step in found.items()} == {
        "writer": ("failed", 1),
        "quiet": ("done", 1),
        "after": ("done", 1),
        "again": ("done", 2),
    }
    assert sorted(Counter((marks / "starts").read_text().split()).values()) == [1, 1, 1], "each once"
    fresh = ben.submit({"b.py": "print('again')"}, {"only": {"file": "b.py"}})
    for run in (*more, fresh):
        assert ben.wait(run, 60).state == "done"
    ben.plane.kill()
    ben.plane.start()
    assert {run.id for run in ben.client.runs.list(ben.name)} == {kept, held, fresh, *more}
    _nothing_is_lost(ben, kept)


def _nothing_is_lost(ben: Person, run: str) -> None:
    assert ben.client.runs.get(ben.name, run).state == "done"
    assert ben.download(run, "only", "data") == b"kept"
    assert ben.log(run, "only") == "kept\n"


def _refused_while_full(ben: Person, revision: str) -> list[str]:
    """Whatever needs room is refused with 507 and what to do; returns the runs that were accepted before that."""
    folder = ben.folder({"data.bin": os.urandom(200_000), "a.py": ""}, "too much")
    (folder / "my.pipeline").write_text(json.dumps(pipeline({"only": {"file": "a.py"}})))
    with pack(folder) as snapshot, pytest.raises(AtelierError, match="no room left") as told:
        ben.client.snapshots.upload(ben.name, snapshot)
    assert told.value.status == 507
    assert "Remove what is not needed" in told.value.hint
    shell = ben.command("pipeline", "run", str(folder / "my.pipeline"))
    assert shell.returncode == 1
    assert "no room left" in shell.stderr
    assert "Remove what is not needed" in shell.stderr
    assert "Traceback" not in shell.stderr
    accepted: list[str] = []
    while len(accepted) < 50:  # the database has some pages left to write into
        answer = ben.http("POST", "runs", json={"revision": revision})
        if answer.status_code != 201:
            break
        accepted.append(answer.json()["id"])
    assert answer.status_code == 507, answer.text
    assert "Remove what is not needed" in answer.json()["hint"]
    return accepted


def wait_until(condition: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
