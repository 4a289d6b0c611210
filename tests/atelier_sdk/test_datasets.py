"""Datasets through the client against a real control plane, which is killed on the way."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from atelier_sdk import AtelierError, Client
from atelier_sdk.datasets import local_files
from tests.harness.control_plane import ControlPlane
from tests.harness.hub import TestHub

MB = 1024**2


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory, hub: TestHub) -> Iterator[ControlPlane]:
    plane = ControlPlane(tmp_path_factory.mktemp("datasets"), hub)
    plane.start()
    yield plane
    plane.stop()


@pytest.fixture
def client(plane: ControlPlane) -> Iterator[Client]:
    with plane.client("data-client") as connected:
        yield connected


PROJECT = "data-client"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three data files, and what stays on this machine."""
    made = tmp_path / "data"
    for path, content in {
        "train/a.csv": b"x\n1\n", "train/b.csv": b"x\n2\n", "same.csv": b"x\n1\n",
        ".hidden": b"x", ".git/config": b"x", "key.pem": b"x", "empty.txt": b"",
    }.items():  # fmt: skip
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_bytes(content)
    return made


def test_a_folder_there_and_back(client: Client, folder: Path, tmp_path: Path) -> None:
    client.datasets.create(PROJECT, "folder", description="Some rows", tags=["demo"])
    seen: list[tuple[int, int]] = []
    first = client.datasets.add(PROJECT, "folder", folder, note="first", progress=lambda *at: seen.append(at))
    assert (first.number, first.kind, first.files) == (1, "folder", 4) and seen[-1] == (8, 8)
    paths = [one.path for one in client.datasets.files(PROJECT, "folder")]
    assert paths == ["empty.txt", "same.csv", "train/a.csv", "train/b.csv"]
    back = client.datasets.download(PROJECT, "folder", None, tmp_path / "back")
    assert {one.path: (back / one.path).read_bytes() for one in local_files(folder)} == {
        one.path: one.file.read_bytes() for one in local_files(folder)
    }
    assert client.datasets.add(PROJECT, "folder", folder).number == 1, "nothing changed"
    (folder / "train/a.csv").write_text("x\n3\n")
    assert client.datasets.add(PROJECT, "folder", folder).number == 2
    assert [one.number for one in client.datasets.versions(PROJECT, "folder")] == [2, 1]
    assert client.datasets.preview(PROJECT, "folder", 1, path="train/a.csv").rows == [[1]]


def test_describe_find_and_remove(client: Client, folder: Path) -> None:
    client.datasets.create(PROJECT, "temporary", tags=["gone"])
    client.datasets.add(PROJECT, "temporary", folder / "same.csv")
    changed = client.datasets.update(PROJECT, "temporary", description="About to go")
    assert changed.description == "About to go" and changed.newest is not None and changed.newest.kind == "file"
    assert [one.name for one in client.datasets.list(PROJECT, search="about", tag="gone")] == ["temporary"]
    assert client.datasets.register(PROJECT, "temporary", "s3://bucket/x").kind == "uri"
    client.datasets.delete_version(PROJECT, "temporary", 2)
    assert client.datasets.get(PROJECT, "temporary").newest.number == 1  # type: ignore[union-attr]
    client.datasets.delete(PROJECT, "temporary")
    assert not list(client.datasets.list(PROJECT, tag="gone"))


def test_what_cannot_be_a_dataset(client: Client, folder: Path, tmp_path: Path) -> None:
    client.datasets.create(PROJECT, "refused")
    with pytest.raises(AtelierError, match="no file or folder"):
        client.datasets.add(PROJECT, "refused", tmp_path / "missing")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(AtelierError, match="has no files"):
        client.datasets.add(PROJECT, "refused", tmp_path / "nothing")
    (folder / "out.csv").symlink_to("/etc/hostname")
    with pytest.raises(AtelierError, match="outside the folder"):
        client.datasets.add(PROJECT, "refused", folder)


def test_an_upload_survives_kills_of_the_control_plane(client: Client, plane: ControlPlane, tmp_path: Path) -> None:
    """120 MB while the control plane is killed four times at random moments; what was there is not sent again."""
    file = tmp_path / "large.bin"
    file.write_bytes(os.urandom(120 * MB))
    client.datasets.create(PROJECT, "large")
    positions: list[int] = []
    strikes = 0
    stop = threading.Event()

    def strike() -> None:
        nonlocal strikes
        while strikes < 4 and not stop.wait(random.uniform(0.15, 0.5)):
            plane.kill()
            plane.start()
            strikes += 1

    killer = threading.Thread(target=strike)

    def progress(done: int, total: int) -> None:
        positions.append(done)
        if not killer.is_alive() and strikes == 0:
            killer.start()
        time.sleep(0.1)  # a line that is slow enough to be struck

    made = client.datasets.add(PROJECT, "large", file, progress=progress)
    stop.set()
    killer.join(60)
    assert strikes >= 2 and made.size == 120 * MB
    assert positions == sorted(positions), "it never began again"
    back = client.datasets.download(PROJECT, "large", None, tmp_path / "back")
    assert (back / "large.bin").read_bytes() == file.read_bytes()


def test_a_client_that_died_goes_on(plane: ControlPlane, tmp_path: Path) -> None:
    file = tmp_path / "half.bin"
    file.write_bytes(os.urandom(40 * MB))

    class Died(Exception):
        pass

    def die(done: int, total: int) -> None:
        if done >= 16 * MB:
            raise Died

    with plane.client(PROJECT) as first:
        first.datasets.create(PROJECT, "half")
        with pytest.raises(Died):
            first.datasets.add(PROJECT, "half", file, progress=die)
    seen: list[int] = []
    with plane.client(PROJECT) as second:
        made = second.datasets.add(PROJECT, "half", file, progress=lambda done, total: seen.append(done))
    assert made.size == 40 * MB and seen[0] > 16 * MB


def test_a_file_that_changes_while_it_is_sent(plane: ControlPlane, tmp_path: Path) -> None:
    file = tmp_path / "moving.bin"
    file.write_bytes(os.urandom(20 * MB))

    def change(done: int, total: int) -> None:
        file.write_bytes(os.urandom(20 * MB))

    with plane.client(PROJECT) as client:
        client.datasets.create(PROJECT, "moving")
        with pytest.raises(AtelierError, match="not what the digest says"):
            client.datasets.add(PROJECT, "moving", file, progress=change)
        file.write_bytes(os.urandom(20 * MB))
        with pytest.raises(AtelierError, match="became shorter"):
            client.datasets.add(PROJECT, "moving", file, progress=lambda *_: file.write_bytes(b"short"))
