"""Logs of 100 MB and outputs of 1 GB go through the control plane in constant memory."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psutil
import pytest

from tests.e2e.conftest import NewPerson, Person
from tests.e2e.documents import document, template
from tests.harness.cluster import images
from tests.harness.cluster.fixtures import Cluster
from tests.harness.control_plane import ControlPlane, submit

LINES = 1_048_576
LINE = 100  # bytes
GROWTH = 192 * 1024**2  # what a control plane may need for it

TALK = """\
import sys
for block in range(0, 1048576, 8192):
    sys.stdout.write("".join(f"{number:09d} " + "x" * 89 + "\\n" for number in range(block, block + 8192)))
"""

MAKE = """\
import hashlib, os
block = bytearray(os.urandom(1024**2))
digest = hashlib.sha256()
with open(os.path.join(os.environ["ATELIER_OUTPUTS"], "big"), "wb") as file:
    for number in range(1024):
        block[:4] = number.to_bytes(4, "big")
        digest.update(block)
        file.write(block)
print(digest.hexdigest())
"""
CHECK = """\
import hashlib, os
with open(os.path.join(os.environ["ATELIER_INPUTS"], "big"), "rb") as file:
    print(hashlib.file_digest(file, "sha256").hexdigest())
"""

# In an image without Python and without our packages; whoever runs it.
POOR_MAKE = """\
id -u
command -v python3 || echo no Python
dd if=/dev/zero of=$ATELIER_OUTPUTS/data bs=1M count=1023
dd if=/dev/urandom of=$ATELIER_OUTPUTS/data bs=1M count=1 seek=1023
sha256sum < $ATELIER_OUTPUTS/data
"""


class Memory:
    """The most memory that a process had."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.before = self.most = self._process.memory_info().rss
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self.most = max(self.most, self._process.memory_info().rss)

    @property
    def growth(self) -> int:
        """By how much it grew."""
        return self.most - self.before

    @classmethod
    @contextmanager
    def of(cls, person: Person) -> Iterator[Memory]:
        """Watch the control plane during the block."""
        assert person.plane.process is not None
        memory = cls(person.plane.process.pid)
        memory._thread.start()
        yield memory
        memory._over.set()
        memory._thread.join()


def line(number: int) -> bytes:
    return f"{number:09d} ".encode() + b"x" * (LINE - 11) + b"\n"


def test_a_log_of_100_megabytes_is_followed_and_read_from_anywhere(anna: Person) -> None:
    expected = hashlib.sha256()
    for number in range(LINES):
        expected.update(line(number))
    run = anna.submit({"talk.py": TALK}, {"talk": {"file": "talk.py"}})
    with Memory.of(anna) as memory:
        followed, size = hashlib.sha256(), 0
        for block in anna.client.steps.logs(anna.name, run, "talk", follow=True):
            followed.update(block)
            size += len(block)
        assert anna.wait(run).state == "done"
        assert (size, followed.hexdigest()) == (LINES * LINE, expected.hexdigest())
        for number in (1, LINES // 2, LINES - 3):
            reader = anna.client.steps.logs(anna.name, run, "talk", offset=number * LINE)
            assert next(iter(reader)).startswith(line(number)[:50])
        end = b"".join(anna.client.steps.logs(anna.name, run, "talk", offset=LINES * LINE - 150))
        assert end == line(LINES - 2)[50:] + line(LINES - 1)
        assert list(anna.client.steps.logs(anna.name, run, "talk", offset=LINES * LINE)) == []
        assert list(anna.client.steps.logs(anna.name, run, "talk", offset=LINES * LINE + 999)) == []
    assert memory.growth < GROWTH, f"{memory.growth / 1e6:.0f} MB"


def test_an_output_of_a_gigabyte_passes_in_constant_memory(anna: Person) -> None:
    steps = {
        "make": {"file": "make.py", "outputs": {"big": "any"}},
        "check": {"file": "check.py", "needs": ["make"], "inputs": {"big": {"node": "make", "output": "big"}}},
    }
    with Memory.of(anna) as memory:
        run = anna.submit({"make.py": MAKE, "check.py": CHECK}, steps)
        assert anna.wait(run, 200).state == "done", anna.steps(run)
        written = anna.log(run, "make").strip()
        assert anna.log(run, "check").strip() == written
        artifact = anna.artifact(run, "make", "big")
        assert (artifact.size, artifact.digest) == (1024**3, f"sha256:{written}")
        assert _digest_of(anna, artifact.id) == written
    assert memory.growth < GROWTH, f"{memory.growth / 1e6:.0f} MB"


@pytest.mark.cluster
def test_a_gigabyte_of_an_image_without_python_passes_through_pods(
    new_person: NewPerson, cluster_plane: ControlPlane, cluster: Cluster
) -> None:
    person = new_person(cluster_plane, "cluster")
    image = cluster.publish(images.busybox())
    make = template("make", "custom-image", image=image, command=POOR_MAKE)
    check = template(
        "check",
        "custom-image",
        image=image,
        command="sha256sum < $ATELIER_INPUTS/data",
        inputs={"data": ("make", "data")},
    )
    with Memory.of(person) as memory:
        run = submit(person.client, person.name, person.folder({}), document(make, check), on="cluster")
        assert person.wait(run, 240).state == "done", person.steps(run)
    user, python, digest = [line.split()[0] for line in person.log(run, "make").splitlines() if "records" not in line]
    assert (int(user) >= 1_000_000_000, python) == (True, "no")
    assert person.log(run, "check").split()[0] == digest
    artifact = person.artifact(run, "make", "data")
    assert (artifact.size, artifact.digest) == (1024**3, f"sha256:{digest}")
    assert memory.growth < GROWTH, f"{memory.growth / 1e6:.0f} MB"


def _digest_of(person: Person, artifact: str) -> str:
    digest = hashlib.sha256()
    url = f"{person.plane.url}/api/projects/{person.name}/artifacts/{artifact}/content"
    with httpx.stream("GET", url, headers={"Authorization": f"Bearer {person.token}"}, timeout=60) as answer:
        assert answer.status_code == 200
        for block in answer.iter_bytes():
            digest.update(block)
    return digest.hexdigest()
