"""Python environments for images: pip runs on the host, for the same Python as in the image.

Much faster than pip in a chroot, and the host's settings (certificates, mirrors) apply. What comes out
is laid out as a virtual environment of the image's own /usr/bin/python3, so `sys.prefix` is right.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from .layers import pack_tree
from .settings import IMAGES, CannotRun
from .shell import run, succeeds

VERSION = "3.11"
PREFIX = "opt/env"
PIP = IMAGES / f"pip-{VERSION}"


def install_lock(lock: Path, tar: Path) -> None:
    """Install a fully hashed requirements file and pack the result as a layer."""
    stage = tar.parent / "root"
    target = stage / PREFIX
    target.mkdir(parents=True)
    python = _python_with_pip()
    run(
        python, "-m", "pip", "install", "--require-hashes", "--ignore-installed", "--no-compile", "--quiet",
        "--no-warn-script-location", "--prefix", target, "-r", lock.absolute(), timeout=3600, cwd=tar.parent,
    )  # fmt: skip
    _make_virtual(target)
    _fix_scripts(target / "bin", str(python))
    # Bytecode checked by nothing: times are zeroed in a layer, and a pod may not write its own.
    # A file of a package may be a template that does not compile: no reason to fail.
    succeeds(
        python, "-m", "compileall", "-q", "-j", os.cpu_count() or 1, "--invalidation-mode", "unchecked-hash",
        "-s", stage, "-p", "/", target / "lib", timeout=1800,
    )  # fmt: skip
    pack_tree(stage, tar)


def _make_virtual(target: Path) -> None:
    (target / "bin").mkdir(exist_ok=True)
    for name in ("python", "python3", f"python{VERSION}"):
        (target / "bin" / name).symlink_to("/usr/bin/python3")
    (target / "pyvenv.cfg").write_text(f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {VERSION}\n")


def _fix_scripts(folder: Path, python: str) -> None:
    """pip wrote the host's interpreter into the scripts."""
    for script in folder.iterdir():
        if script.is_symlink() or not script.is_file():
            continue
        data = script.read_bytes()
        if data.startswith(b"#!"):
            head, separator, rest = data.partition(b"\n")
            head = head.replace(python.encode(), f"/{PREFIX}/bin/python3".encode())
            script.write_bytes(head + separator + rest)


def _python_with_pip() -> Path:
    """A pip of our own, so that neither the tests' environment nor the system's needs one."""
    python = PIP / "bin" / "python"
    if not succeeds(python, "-m", "pip", "--version"):
        shutil.rmtree(PIP, ignore_errors=True)
        if not any(succeeds(candidate, "-m", "venv", PIP, timeout=300) for candidate in _candidates()):
            raise CannotRun(f"images with a lock need a Python {VERSION} with venv on this machine")
    return python


def _candidates() -> Iterator[str]:
    found = [sys.executable, getattr(sys, "_base_executable", ""), shutil.which(f"python{VERSION}"), "/usr/bin/python3"]
    for candidate in dict.fromkeys(path for path in found if path):
        if succeeds(candidate, "-c", f"import sys; assert sys.version.startswith('{VERSION}.')"):
            yield candidate
