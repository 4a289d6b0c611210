"""Backup and restore."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import tarfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from atelier_cli.platform import archive
from atelier_cli.platform.layout import Layout
from atelier_core.errors import Conflict, Invalid
from atelier_hub.crypto import Keyring
from atelier_hub.db import Database
from atelier_hub.features.projects.service import reveal
from atelier_sdk import Client
from tests.atelier_cli.platform.installation import Browser, Installation
from tests.atelier_cli.platform.test_runs import client
from tests.harness.control_plane import pipeline, submit, wait_for
from tests.harness.ports import free_port

KEEP = """
import sqlite3
rows = sqlite3.connect("rows.sqlite")
rows.execute("CREATE TABLE t (x)")
rows.executemany("INSERT INTO t VALUES (?)", [("x" * 500,)] * 100)
rows.execute("DELETE FROM t WHERE rowid % 2")
rows.commit()
print("said")
"""


def test_restored_platform_has_the_same_people_projects_and_files(
    installation: Installation, spare: Installation, tmp_path: Path
) -> None:
    personal = installation.data / "users" / "ada"
    personal.mkdir(exist_ok=True)
    (personal / "notes.txt").write_text("mine")
    (personal / "link").symlink_to("/etc/hostname")
    service = f"{installation.url}/services/atelier/api"
    bearer = {"Authorization": f"Bearer {installation.layout.token.read_text().strip()}"}
    made = httpx.post(f"{service}/projects", json={"name": "kept"}, headers=bearer)
    assert made.status_code in {201, 409}, made.text
    (tmp_path / "code").mkdir()
    (tmp_path / "code/keep.py").write_text(KEEP)
    document = pipeline({"keep": {"file": "keep.py", "image": "python", "outputs_files": ["rows.sqlite"]}})
    with client(installation) as ada:
        ada.secrets.set("kept", "KEY", "hush")
        run = submit(ada, "kept", tmp_path / "code", document)
        assert wait_for(ada, "kept", run).state == "done"
        log, content = left_by(ada, run, tmp_path / "before")
    until(lambda: not uncleaned(installation))  # the log of a step is with the step until then, a second or two
    assert b"said" in log and content.startswith(b"SQLite format 3")
    file = tmp_path / "backup.tar"
    written = installation.json("backup", str(file))
    assert written["bytes"] == file.stat().st_size and file.stat().st_mode & 0o077 == 0

    spare.json("restore", str(file))
    assert (spare.data / "users/ada/notes.txt").read_text() == "mine"
    assert os.readlink(spare.data / "users/ada/link") == "/etc/hostname"
    started = spare.up("--port", str(free_port()), "--no-mlflow")
    assert started["link"] is None
    with Browser(started["url"]) as browser:
        assert browser.sign_in("ada").url.path != "/hub/login"
    bearer = {"Authorization": f"Bearer {spare.layout.token.read_text().strip()}"}
    found = httpx.get(f"{started['url']}/services/atelier/api/projects/kept", headers=bearer)
    assert found.status_code == 200, found.text
    with client(spare) as ada:
        assert ada.runs.get("kept", run).state == "done"
        assert left_by(ada, run, tmp_path / "after") == (log, content)
    db = Database(f"sqlite:///{spare.layout.control_plane}/atelier.sqlite")
    with db.read() as session:
        assert reveal(session, Keyring(spare.layout.control_plane / "secret.key"), "kept", "KEY") == "hush"
    db.close()


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def uncleaned(installation: Installation) -> int:
    """Attempts of which something is left beside what is stored."""
    with closing(sqlite3.connect(installation.layout.control_plane / "atelier.sqlite")) as db:
        return int(db.execute("SELECT count(*) FROM attempts WHERE NOT cleaned").fetchone()[0])


def left_by(client: Client, run: str, file: Path) -> tuple[bytes, bytes]:
    """The log of the run, and what it stored."""
    log = b"".join(client.steps.logs("kept", run, "keep"))
    (artifact,) = client.runs.artifacts("kept", run)
    return log, client.artifacts.download("kept", artifact.id, file).read_bytes()


@pytest.fixture
def platform(tmp_path: Path) -> Layout:
    """A data folder by hand, with a database that is written to."""
    layout = Layout(tmp_path / "data")
    layout.hub.mkdir(parents=True)
    connection = sqlite3.connect(layout.accounts)
    connection.executescript("PRAGMA journal_mode=WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    connection.close()
    store = layout.control_plane / "store"
    store.mkdir(parents=True)
    (store / "broken").write_bytes(b"SQLite format 3\0" + os.urandom(5000))
    (store / "broken-wal").write_bytes(b"no journal")
    (layout.data / "users/ada").mkdir(parents=True)
    for n in range(30):
        (layout.data / f"users/ada/{n:02}.txt").write_text("text")
    return layout


def test_what_looks_like_a_database_is_copied_as_it_lies(platform: Layout, tmp_path: Path) -> None:
    archive.backup(platform, tmp_path / "backup.tar")
    back = Layout(tmp_path / "back")
    archive.restore(back, tmp_path / "backup.tar")
    for name in ("broken", "broken-wal"):
        assert (back.control_plane / "store" / name).read_bytes() == (
            platform.control_plane / "store" / name
        ).read_bytes()
    assert sqlite3.connect(back.accounts).execute("SELECT x FROM t").fetchall() == [(1,)]
    assert not (back.data / archive.END).exists()


def test_a_damaged_database_of_the_platform_is_said(platform: Layout, tmp_path: Path) -> None:
    platform.hub_database.write_bytes(b"SQLite format 3\0" + os.urandom(5000))
    with pytest.raises(Invalid, match=r"jupyterhub\.sqlite cannot be read") as refused:
        archive.backup(platform, tmp_path / "backup.tar")
    assert refused.value.code == "damaged_database" and refused.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_restore_refuses_every_damaged_archive(platform: Layout, tmp_path: Path) -> None:
    """A tar that ends too early, or that has a bad header, is read as a shorter one."""
    file = tmp_path / "backup.tar"
    whole = archive.backup(platform, file)
    content = file.read_bytes()
    with tarfile.open(file) as tar:
        end = tar.getmembers()[-1].offset
    damaged = [content[:cut] for cut in range(512, end, 4096)]
    damaged += [content[:at] + os.urandom(512) + content[at + 512 :] for at in range(0, end, 4096)]
    for number, bad in enumerate(damaged):
        file.write_bytes(bad)
        with pytest.raises(Invalid) as refused:
            archive.restore(Layout(tmp_path / "back"), file)
        assert refused.value.code == "bad_backup" and refused.value.hint, number
        assert not (tmp_path / "back").exists()
    file.write_bytes(content)
    assert archive.restore(Layout(tmp_path / "back"), file)["entries"] == whole["entries"]


def test_an_archive_of_an_earlier_version_is_restored_with_a_note(tmp_path: Path) -> None:
    file = tmp_path / "old.tar"
    with tarfile.open(file, "w") as tar:
        archive._add_text(tar, archive.MANIFEST, json.dumps({"format": 1}))
        archive._add_text(tar, "kept", "text")
    installed = Installation(tmp_path / "data")
    assert "does not say whether it is whole" in installed.run("restore", str(file)).stdout
    assert [path.name for path in installed.data.iterdir()] == ["kept"]


def test_restore_refuses_a_folder_that_is_not_empty(installation: Installation, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar"
    installation.run("backup", str(file), "--no-files")
    target = tmp_path / "full"
    target.mkdir()
    (target / "precious").touch()
    with pytest.raises(Conflict, match="not empty") as refused:
        archive.restore(Layout(target), file)
    assert "--data" in refused.value.hint
    assert [path.name for path in target.iterdir()] == ["precious"]


def test_backup_without_files_leaves_people_out(installation: Installation, tmp_path: Path) -> None:
    (installation.data / "users" / "ada").mkdir(exist_ok=True)
    installation.run("backup", str(tmp_path / "backup.tar"), "--no-files")
    with tarfile.open(tmp_path / "backup.tar") as tar:
        names = {name.partition("/")[0] for name in tar.getnames()}
    assert "users" not in names and {"hub", "control-plane", "secrets"} <= names


@pytest.mark.parametrize("name", ["../outside", "/absolute", "link/behind"])
def test_restore_refuses_what_would_leave_the_folder(tmp_path: Path, name: str) -> None:
    file = tmp_path / "evil.tar"
    with tarfile.open(file, "w") as tar:
        manifest = json.dumps({"format": 1}).encode()
        info = tarfile.TarInfo(archive.MANIFEST)
        info.size = len(manifest)
        tar.addfile(info, io.BytesIO(manifest))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        tar.addfile(link)
        tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(Invalid, match="outside"):
        archive.restore(Layout(tmp_path / "data"), file)
    assert not (tmp_path / "data").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.tar"]


def test_restore_refuses_what_is_no_backup(tmp_path: Path) -> None:
    file = tmp_path / "other.tar"
    with tarfile.open(file, "w") as tar:
        tar.addfile(tarfile.TarInfo("something"), io.BytesIO())
    with pytest.raises(Invalid, match="not written by"):
        archive.restore(Layout(tmp_path / "data"), file)
    with tarfile.open(file, "w") as tar:
        archive._add_text(tar, archive.MANIFEST, "[]")
    with pytest.raises(Invalid, match="not written by"):
        archive.restore(Layout(tmp_path / "data"), file)
    file.write_bytes(b"no tar at all")
    with pytest.raises(Invalid, match="not a whole backup"):
        archive.restore(Layout(tmp_path / "data"), file)
