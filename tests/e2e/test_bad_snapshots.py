"""Folders that are refused, by the command and by a platform that trusts no client; and what cannot start at all."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Person
from tests.harness.control_plane import ControlPlane, pipeline, submit, wait_for
from tests.harness.hub import TestHub


def archive(*members: tarfile.TarInfo, more: bytes = b"") -> bytes:
    """A tar.gz of these members, each regular one with nothing in it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"\0" * member.size))
    return out.getvalue() + more


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


GOOD = member("a.py")
BAD = {
    "above": (archive(GOOD, member("../evil.py")), "'../evil.py'"),
    "above-inside": (archive(GOOD, member("x/../../evil.py")), "'x/../../evil.py'"),
    "absolute": (archive(GOOD, member("/etc/cron.d/evil")), "'/etc/cron.d/evil'"),
    "device": (archive(GOOD, member("null", tarfile.CHRTYPE)), "'null'"),
    "pipe": (archive(GOOD, member("pipe", tarfile.FIFOTYPE)), "'pipe'"),
    "hard-link": (archive(GOOD, member("shadow", tarfile.LNKTYPE, "/etc/shadow")), "'shadow'"),
    "link-absolute": (archive(GOOD, member("shadow", tarfile.SYMTYPE, "/etc/shadow")), "'shadow'"),
    "link-above": (archive(GOOD, member("up", tarfile.SYMTYPE, "../../other")), "'up'"),
    "link-above-deep": (archive(GOOD, member("x/up", tarfile.SYMTYPE, "../../other")), "'x/up'"),
    "through-a-link": (
        archive(GOOD, member("x", tarfile.SYMTYPE, "y"), member("y", tarfile.SYMTYPE, "..")),
        "'y'",
    ),
    "no-archive": (b"this is not a tar", "tar.gz"),
    "cut-short": (archive(GOOD, member("b.py"))[:-40], "tar.gz"),
    "nothing": (b"", "tar.gz"),
    "plain-gzip": (gzip.compress(b"hello" * 1000), "tar.gz"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_snapshot_that_could_leave_its_folder_is_refused(anna: Person, name: str) -> None:
    content, said = BAD[name]
    answer = put(anna, content)
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["message"]
    assert answer.json()["hint"]
    assert not anna.client.snapshots.exists(anna.name, digest_of(content))


def put(person: Person, content: bytes, digest: str = "") -> httpx.Response:
    """Send a snapshot as no client of ours would."""
    return person.http("PUT", f"snapshots/{digest or digest_of(content)}", content=content)


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_links_inside_the_folder_are_welcome(anna: Person) -> None:
    content = archive(GOOD, member("lib/b.py"), member("lib/c.py", tarfile.SYMTYPE, "../a.py"))
    answer = put(anna, content)
    assert answer.status_code == 200, answer.text
    assert answer.json()["files"] == 3


def test_a_digest_must_be_that_of_the_content(anna: Person) -> None:
    good, other = archive(GOOD), digest_of(b"other")
    answer = put(anna, good, other)
    assert (answer.status_code, answer.json()["code"]) == (422, "digest_mismatch")
    assert "Send the file" in answer.json()["hint"]
    assert put(anna, good, "sha256:abc").status_code == 422
    assert put(anna, good, "../../etc").status_code in (404, 405, 422)
    assert not anna.client.snapshots.exists(anna.name, other)
    body = {"path": "my.pipeline", "document": pipeline({"only": {"file": "a.py"}}), "snapshot": other}
    refused = anna.http("POST", "revisions", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_snapshot")
    assert "Upload the pipeline's folder first" in refused.json()["hint"]


def test_a_snapshot_that_is_too_large_is_refused_before_it_fills_the_disk(anna: Person) -> None:
    piece = os.urandom(1024**2)
    sent = 0

    def pieces():
        nonlocal sent
        for _ in range(400):
            sent += 1
            yield piece

    answer = anna.http("PUT", f"snapshots/{digest_of(b'')}", content=pieces())
    assert answer.status_code == 413, answer.text
    assert "larger" in answer.json()["message"]
    assert answer.json()["hint"]
    temporary = anna.plane.folder / "data" / "store" / "tmp"
    assert [path.name for path in temporary.iterdir()] == []


def test_a_small_archive_with_a_huge_content_is_refused(anna: Person) -> None:
    sizes = [member(f"zeros{number}") for number in range(3)]
    for one in sizes:
        one.size = 8 * 1024**3
    heads = b"".join(one.tobuf(tarfile.PAX_FORMAT) for one in sizes)
    answer = put(anna, gzip.compress(heads + bytes(1024)))
    assert answer.status_code == 413, answer.text
    assert answer.json()["hint"]
    name = member("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    name.size = 8 * 1024**3
    answer = put(anna, gzip.compress(name.tobuf(tarfile.GNU_FORMAT) + bytes(4096)))
    assert answer.status_code == 422, answer.text


SHELL: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "large": (lambda folder: os.truncate(_new(folder / "data.bin"), 201 * 1024**2), "data.bin", ".atelierignore"),
    "link-outside": (lambda folder: (folder / "up").symlink_to("/etc/hostname"), "outside the pipeline's", "Copy"),
    "link-to-nothing": (lambda folder: (folder / "gone").symlink_to("nowhere"), "link to nothing", ".atelierignore"),
    "link-to-folder": (lambda folder: (folder / "again").symlink_to("."), "link to a folder", ".atelierignore"),
}  # fmt: skip


def _new(path: Path) -> Path:
    path.touch()
    return path


@pytest.mark.parametrize("name", SHELL)
def test_the_command_says_what_is_wrong_with_a_folder(anna: Person, name: str) -> None:
    spoil, said, hint = SHELL[name]
    folder = anna.folder({"a.py": "", "my.pipeline": "{}"})
    spoil(folder)
    told = anna.command("pipeline", "run", str(folder / "my.pipeline"))
    assert told.returncode == 2, told.stdout + told.stderr
    assert said in told.stderr
    assert hint in told.stderr
    assert "Traceback" not in told.stderr


def test_a_port_in_use_is_named(tmp_path: Path, hub: TestHub) -> None:
    plane = ControlPlane(tmp_path / "plane", hub)
    with socket.create_server(("127.0.0.1", plane.port)):
        command = [sys.executable, "-m", "atelier_hub", "--config", str(plane.folder / "control-plane.py")]
        told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 1
    assert f"127.0.0.1:{plane.port} is in use by another program" in told.stderr
    assert "Stop the other program" in told.stderr
    assert "Traceback" not in told.stderr
    plane.start()  # the port is free again: nothing was spoilt
    try:
        client = plane.client("portia")
        folder = tmp_path / "folder"
        folder.mkdir()
        (folder / "a.py").write_text("")
        run = submit(client, "portia", folder, pipeline({"only": {"file": "a.py", "image": "python"}}))
        assert wait_for(client, "portia", run).state == "done"
        client.close()
    finally:
        plane.stop()
