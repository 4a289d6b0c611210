"""Folders, numbers and processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from atelier_core.errors import Forbidden
from atelier_core.names import personal_name
from atelier_core.workload import Role, WorkloadSpec
from atelier_spawner.local.people import People
from atelier_spawner.notebooks.folders import Folders, why_one_person
from atelier_spawner.notebooks.identities import FIRST, Identities
from atelier_spawner.notebooks.process import Process, stop_all, wait_gone


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_one_persons_folders_are_closed(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "data", several=False)
    folders.make()
    assert mode(folders.data_dir) == 0o700
    assert mode(folders.personal("ada")) == mode(folders.project("vision")) == 0o700


def test_a_folder_belongs_to_one_name_whatever_is_in_it(tmp_path: Path) -> None:
    """A hub's users may be called anything; some could once not run a step, and none may get at another's folder."""
    folders = Folders(tmp_path / "data", several=False)
    folders.make()
    plain = ["jane-doe", "a--b", "9lives"]
    odd = ["jane.doe", "Jane-Doe", "jane_doe", "bob@example.com", "../x", "a/b", "", "..", "x" * 200, "é"]
    odd += [folders.personal(name).name for name in odd]
    assert [folders.personal(name).name for name in plain] == plain
    paths = {folders.personal(name) for name in plain + odd}
    assert len(paths) == len(plain + odd)
    assert {path.parent for path in paths} == {tmp_path / "data" / "users"}
    assert folders.project("jane.doe").name == folders.personal("jane.doe").name


@pytest.mark.parametrize("user", ["ada", "jane.doe", "Jane", "zoë"])
def test_in_the_personal_project_both_folders_are_ones_own(user: str, tmp_path: Path) -> None:
    folders = Folders(tmp_path / "data", several=False)
    folders.make()
    role = Role(image="python", command=("true",))
    spec = WorkloadSpec(id="r1-step-1", owner=user, project=personal_name(user), roles=(role,))
    told = People({"people": str(folders.data_dir)}).variables(spec)
    assert told == dict.fromkeys(("ATELIER_USER_DIR", "ATELIER_PROJECT_DIR"), str(folders.personal(user)))


def test_numbers_are_kept_and_never_given_twice(tmp_path: Path) -> None:
    identities = Identities(tmp_path / "identities.sqlite")
    assert [identities.uid("ada"), identities.uid("bob"), identities.gid("ada")] == [FIRST, FIRST + 1, FIRST + 2]
    assert Identities(tmp_path / "identities.sqlite").uid("bob") == FIRST + 1


def test_who_takes_the_name_of_a_deleted_project_gets_another_number(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "data", several=True)
    vision, other = folders.identities.gid("vision"), folders.identities.gid("other")
    for _ in range(2):
        folders.set_aside("vision")
    assert folders.identities.gid("vision") == other + 1 and folders.identities.gid("other") == other != vision


def test_only_the_first_person_is_served(tmp_path: Path) -> None:
    identities = Identities(tmp_path / "identities.sqlite")
    identities.only_person("ada", "no root")
    identities.only_person("ada", "no root")
    with pytest.raises(Forbidden, match=r"Only 'ada' .* no root"):
        identities.only_person("bob", "no root")


def test_without_root_there_is_one_person(tmp_path: Path) -> None:
    root = os.geteuid() == 0
    if root:
        os.seteuid(65_534)
    try:
        assert "needs root" in why_one_person(tmp_path)
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.root
def test_with_root_others_must_get_at_the_data_and_at_what_a_notebook_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        assert "cannot reach what is in" in why_one_person(folder / "data")
        folder.chmod(0o755)
        assert why_one_person(folder / "data") == ""
        package = folder / "tornado"
        package.mkdir(mode=0o755)
        (package / "__init__.py").touch(mode=0o600)
        monkeypatch.syspath_prepend(folder)
        assert "cannot import" in why_one_person(folder / "data")


def test_process_is_more_than_its_number() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as running:
        process = Process.of(running.pid)
        assert process is not None and process.alive() and Process.load(process.save()) == process
        other = Process(process.pid, "1", process.boot)
        assert not other.alive() and not other.signal(signal.SIGKILL)
        assert not Process(process.pid, process.started, "another boot").alive()
        running.kill()
        assert wait_gone([process], 5)  # not waited for yet, and dead all the same


def test_stop_reaches_grandchildren_and_what_ignores_the_signal() -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    parent = (
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {stubborn!r}], start_new_session=True).wait()"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as running:
        assert running.stdout is not None and running.stdout.readline() == b"up\n"
        process = Process.of(running.pid)
        assert process is not None
        (child,) = process.descendants()
        stop_all([process], grace=1)
        assert not process.alive() and not child.alive()


def test_saved_nonsense_is_no_process() -> None:
    for saved in (None, {}, {"pid": "x", "started": "1", "boot": ""}, []):
        assert Process.load(saved) is None
