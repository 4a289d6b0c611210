"""The self-contained runtime, run where there is nothing else: an empty root folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from atelier_spawner.kubernetes.runtime_image import RUNTIME, build_image_root, command, write_image

PROBE = """
import ctypes, fcntl, hashlib, http.client, json, os, select, socket, ssl, struct, subprocess, sys, tarfile, zlib
ssl.create_default_context()
"höst.example".encode("idna")
print(json.dumps({"environment": dict(os.environ), "path": sys.path, "encoding": sys.getfilesystemencoding()}))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_image_root(tmp_path_factory.mktemp("runtime") / "root")


def inside(root: Path, words: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run with `root` as the whole file system, as an unknown user."""
    chroot = [str(shutil.which("chroot")), "--userspec=54321:54321", str(root)]
    return subprocess.run([*chroot, *words], env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.root
def test_it_runs_in_an_empty_root_and_leaves_the_environment_alone(root: Path) -> None:
    environment = {"FOO": "bar", "PYTHONHOME": "/nonsense", "PYTHONPATH": "/nonsense", "LD_LIBRARY_PATH": "/nonsense"}
    words = [*command()[: command().index("-m")], "-c", PROBE]
    answer = inside(root, words, **environment)
    assert answer.returncode == 0, answer.stderr
    seen = json.loads(answer.stdout)
    assert seen["environment"] == environment
    assert all(entry.startswith(RUNTIME) for entry in seen["path"])
    assert seen["encoding"] == "utf-8"


@pytest.mark.root
def test_the_shim_starts_from_any_place(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / RUNTIME.strip("/"), tmp_path / "else" / "where")
    tmp_path.chmod(0o755)
    answer = inside(tmp_path, command("--help", runtime="/else/where"))
    assert answer.returncode == 0, answer.stderr
    assert "sidecar" in answer.stdout


def test_it_is_small_and_the_same_every_time(root: Path, tmp_path: Path) -> None:
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    assert size < 30 * 1024**2
    first = write_image(root, tmp_path / "one.tar", "atelier/runtime:1")
    again = write_image(build_image_root(tmp_path / "again"), tmp_path / "two.tar", "atelier/runtime:1")
    assert first == again
    with tarfile.open(tmp_path / "one.tar") as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        assert set(archive.getnames()) == {"manifest.json", manifest["Config"], *manifest["Layers"]}
    assert manifest["RepoTags"] == ["atelier/runtime:1"]


def test_everything_may_be_read_by_any_user(root: Path) -> None:
    for path in root.rglob("*"):
        wanted = 0o5 if path.is_dir() else 0o4
        assert path.stat().st_mode & wanted == wanted, path
    assert os.access(root / RUNTIME.strip("/") / "lib" / "ld.so", os.X_OK)
