"""A control plane that dies: who waits goes on waiting, who watches goes on watching, what was asked for comes once."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from atelier_sdk import pack
from tests.e2e.conftest import LOCAL, Person, person_on
from tests.harness.control_plane import ControlPlane, pipeline, wait_for
from tests.harness.hub import TestHub


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory, hub: TestHub) -> Iterator[ControlPlane]:
    """A control plane that these tests kill; each leaves it running."""
    plane = ControlPlane(tmp_path_factory.mktemp("mortal"), hub, backends=LOCAL)
    plane.start()
    yield plane
    plane.stop()


@pytest.fixture
def ben(mortal: ControlPlane, tmp_path: Path) -> Iterator[Person]:
    person = person_on(mortal, tmp_path)
    yield person
    person.close()


def again(plane: ControlPlane, seconds: float = 0.0) -> None:
    """Killed, away for a while, and back."""
    plane.kill()
    time.sleep(seconds)
    plane.start()


def test_a_run_that_was_asked_for_around_a_crash_is_made_once(ben: Person) -> None:
    folder = ben.folder({"a.py": "print('once')"})
    document = pipeline({"only": {"file": "a.py", "image": "python"}})
    with pack(folder) as snapshot:
        ben.client.snapshots.upload(ben.name, snapshot)
        again(ben.plane)
        assert not ben.client.snapshots.upload(ben.name, snapshot), "it has it already"
    revision = ben.client.revisions.create(ben.name, path="a.pipeline", document=document, snapshot=snapshot.digest)
    body = {"revision": revision.id, "idempotency_key": "around the crash"}
    ben.plane.kill()
    made: list[str] = []
    asking = threading.Thread(target=lambda: made.append(ben.client.runs.create(ben.name, **body).id))
    asking.start()  # the client waits for the platform to come back
    time.sleep(0.5)
    ben.plane.start()
    asking.join(60)
    again(ben.plane)  # the answer may have been lost
    made.append(ben.client.runs.create(ben.name, **body).id)
    assert len(made) == 2
    assert len(set(made)) == 1
    assert wait_for(ben.client, ben.name, made[0]).state == "done"
    assert [run.id for run in ben.client.runs.list(ben.name)] == made[:1]
    assert len(ben.attempts(made[0], "only")) == 1


COUNT = """\
import os, time
from pathlib import Path
for number in range(1, 100_000):
    print("tick", number, flush=True)
    if Path(os.environ["MARKS"], "enough").exists():
        break
    time.sleep(0.02)
print("last", number, flush=True)
"""


def test_watching_and_following_survive_a_crash(ben: Person, marks: Path) -> None:
    folder = ben.folder({"count.py": COUNT, "end.py": "print('the end')"})
    steps = {
        "count": {"file": "count.py", "image": "python", "env": {"MARKS": str(marks)}},
        "end": {"file": "end.py", "image": "python", "needs": ["count"]},
    }
    (folder / "my.pipeline").write_text(json.dumps(pipeline(steps)))
    told = ben.command("pipeline", "run", str(folder / "my.pipeline"), "--no-watch")
    assert told.returncode == 0, told.stderr
    run = told.stdout.split()[-1]
    watching = ben.start("pipeline", "watch", run)
    following = ben.start("pipeline", "logs", run, "count", "--follow")
    assert watching.stdout is not None
    assert following.stdout is not None
    seen = [following.stdout.readline() for _ in range(20)]
    while "running" not in watching.stdout.readline():
        assert watching.poll() is None

    again(ben.plane, 1.0)
    seen += [following.stdout.readline() for _ in range(50)]
    again(ben.plane)
    (marks / "enough").touch()
    lines = "".join(seen) + following.stdout.read()
    assert following.wait(60) == 0
    ticks = [int(number) for number in re.findall(r"^tick (\d+)$", lines, re.MULTILINE)]
    assert ticks == list(range(1, len(ticks) + 1)), "each line once and in order"
    assert lines.endswith(f"last {len(ticks)}\n")
    out = watching.stdout.read()
    assert watching.wait(60) == 0, out
    assert f"Run {run} is done" in out
    assert "Traceback" not in _problems(watching) + _problems(following)
    assert len(ben.attempts(run, "count")) == 1
    assert ben.log(run, "count") == lines


def _problems(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.read()


def test_events_go_on_where_they_stopped(ben: Person) -> None:
    seen: list[int] = []
    ended = threading.Event()

    def listen() -> None:
        for event in ben.client.events.follow(project=ben.name, after=0):
            seen.append(int(event.id))
            if event.subject_kind == "run" and event.data.get("state") == "done":
                ended.set()
                return

    first = ben.submit({"a.py": "import time; time.sleep(2)"}, {"only": {"file": "a.py"}})
    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    again(ben.plane)
    assert ben.wait(first).state == "done"
    assert ended.wait(60), f"seen: {seen}"
    assert seen == sorted(set(seen))
    answer = ben.client.events.follow(project=ben.name, after=0)
    assert [int(next(answer).id) for _ in seen] == seen
