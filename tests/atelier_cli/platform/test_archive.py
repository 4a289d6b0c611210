"""Backup and restore."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import httpx
import pytest

from atelier_cli.platform import archive
from atelier_cli.platform.layout import Layout
from atelier_core.errors import Conflict, Invalid
from tests.atelier_cli.platform.installation import Browser, Installation
from tests.harness.ports import free_port


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
    file.write_bytes(b"no tar at all")
    with pytest.raises(Invalid, match="not a whole backup"):
        archive.restore(Layout(tmp_path / "data"), file)
