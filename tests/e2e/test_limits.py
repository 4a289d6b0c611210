"""What is too large is refused with a sentence or cut with a line, and nothing else suffers for it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import LOCAL, NewPerson, Person
from tests.harness.control_plane import ControlPlane
from tests.harness.hub import TestHub

BIG = """
import os
from pathlib import Path
place = Path(os.environ["ATELIER_OUTPUTS"])
(place / "small").write_text("fits")
(place / "big").write_bytes(os.urandom(2_000_000))
"""
FOLDER = BIG.replace('(place / "big")', '(place / "big").mkdir(); (place / "big" / "inner")')
TALK = 'for number in range(3000): print(f"line {number:5}")\n'


@pytest.fixture(scope="module")
def small_plane(tmp_path_factory: pytest.TempPathFactory, hub: TestHub) -> Iterator[ControlPlane]:
    """A control plane that keeps little."""
    limits = {"max_output_bytes": 1_000_000, "max_log_bytes": 10_000}
    plane = ControlPlane(tmp_path_factory.mktemp("small"), hub, backends=LOCAL, **limits)
    plane.start()
    yield plane
    plane.stop()


@pytest.fixture
def bob(small_plane: ControlPlane, new_person: NewPerson) -> Person:
    """Somebody who works there."""
    return new_person(small_plane)


@pytest.mark.parametrize("source", [BIG, FOLDER], ids=["file", "folder"])
def test_an_output_that_is_too_large(bob: Person, small_plane: ControlPlane, source: str) -> None:
    outputs = {"small": "any", "big": "any"}
    run = bob.submit({"big.py": source}, {"big": {"file": "big.py", "outputs": outputs}})
    assert bob.wait(run).state == "failed"
    step = bob.steps(run)["big"]
    assert step.reason == "OutputMissing" and len(bob.attempts(run, "big")) == 1  # trying again would not help
    assert "The output 'big' is larger than" in step.message and "max_output_bytes" in step.message
    assert bob.download(run, "big", "small") == b"fits"
    store = small_plane.folder / "data/store"
    assert list((store / "tmp").iterdir()) == []
    assert max(path.stat().st_size for path in (store / "sha256").rglob("*") if path.is_file()) < 1_000_000


def test_a_log_that_is_too_long_is_cut_and_fails_nobody(bob: Person) -> None:
    steps = {"talk": {"file": "talk.py"}, "next": {"file": "next.py", "needs": ["talk"]}}
    run = bob.submit({"talk.py": TALK, "next.py": "print('short')"}, steps)
    assert bob.wait(run).state == "done"
    until = time.monotonic() + 20
    while "[Atelier" not in (log := bob.log(run, "talk")):  # it comes from the engine until all of it is kept
        assert time.monotonic() < until, log[-200:]
        time.sleep(0.1)
    assert log.startswith("line     0\n") and log.endswith("]\n") and "have reached 10,000 bytes" in log
    assert len(log) < 10_200
    assert bob.log(run, "next", follow=True) == "short\n"


def test_the_log_of_a_step_that_removes_its_folder_ends_too(bob: Person) -> None:
    source = "import os, shutil\nprint('here')\nshutil.rmtree(os.path.dirname(os.environ['TMPDIR']))"
    run = bob.submit({"remove.py": source}, {"remove": {"file": "remove.py"}})
    assert bob.wait(run).state == "failed"
    step = bob.steps(run)["remove"]
    assert step.reason == "OutputMissing" and "removed the folder" in step.message
    assert len(bob.attempts(run, "remove")) == 1
    bob.log(run, "remove", follow=True)
