"""One platform run by root for several people, shared by the tests of this folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.atelier_cli.platform.installation import Browser, Installation
from tests.harness.ports import free_port


def python_for_all(place: Path) -> str:
    """A Python with our packages that other accounts can start: this one, or this environment on the system's."""
    if _everybody_can(sys.executable):
        return sys.executable
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    environment = place / "python"
    for folder in ("bin", f"lib/{version}"):
        (environment / folder).mkdir(parents=True)
    (environment / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (environment / "bin/python").symlink_to(f"/usr/bin/{version}")
    (environment / "bin/uv").symlink_to(Path(sys.prefix) / "bin/uv")
    for shared_part in ("etc", "share", f"lib/{version}/site-packages"):
        (environment / shared_part).symlink_to(Path(sys.prefix) / shared_part)
    program = str(environment / "bin/python")
    if not _everybody_can(program):
        pytest.fail(f"Other accounts can start neither {sys.executable} nor /usr/bin/{version} (apt-get install it).")
    return program


def _everybody_can(program: str) -> bool:
    probe = [program, "-c", "import jupyterhub.singleuser, atelier_spawner"]
    try:
        done = subprocess.run(
            probe, user=59_998, group=59_998, extra_groups=[], cwd="/", env={}, capture_output=True, check=False
        )
    except OSError:
        return False
    return done.returncode == 0


@pytest.fixture(scope="session")
def shared() -> Iterator[Installation]:
    """A platform run by root, with accounts of ada and bob."""
    if os.geteuid() != 0:
        pytest.fail("These tests need root, as the platform does that serves several people.")
    top = Path(tempfile.mkdtemp(prefix="atelier-"))  # pytest's own folders are closed to other accounts
    top.chmod(0o711)
    installed = Installation(top / "data", python=python_for_all(top))
    try:
        started = installed.up("--port", str(free_port()), "--admin", "ada", "--no-mlflow")
        links = [started["link"], installed.json("user", "add", "bob")["link"]]
        for link in links:
            with Browser(started["url"]) as browser:
                assert browser.choose_password(link).url.path == "/hub/home"
        yield installed
    finally:
        installed.run("down", check=False)
        shutil.rmtree(top)
