"""Environments of the tests: images by their locks, clients and makers of models by theirs; made once for each lock."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from atelier_templates.images import ROOT as IMAGES
from tests.harness.control_plane import environment_cache

HERE = Path(__file__).parent


def image(name: str) -> Path:
    """The Python of an image, for example `serve-onnx`."""
    return environment(IMAGES / name / "requirements.lock", name)


def tools(name: str) -> Path:
    """The Python of `clients` or `makers`."""
    return environment(HERE / f"{name}.lock", f"serve-{name}")


def environment(lock: Path, name: str) -> Path:
    """The Python of an environment with what the lock names; whole or not at all."""
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = environment_cache() / f"{name}-{digest}"
    if not folder.is_dir():
        fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
        uv = str(Path(sys.executable).with_name("uv"))
        _run(uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(fresh))
        install = (uv, "pip", "install", "--quiet", "--python", str(fresh / "bin/python"), "--no-deps")
        _run(*install, "--require-hashes", "-r", str(lock))
        try:
            fresh.rename(folder)
        except OSError:  # another run was quicker
            shutil.rmtree(fresh)
    return folder / "bin/python"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500, check=False)
    if done.returncode:
        raise RuntimeError(f"{command} failed: {done.stderr[-3000:]}")


def models() -> Path:
    """The folder that `make_models.py` leaves; made once for each version of it and of the makers."""
    program = HERE / "make_models.py"
    digest = hashlib.sha256(program.read_bytes() + (HERE / "makers.lock").read_bytes() + sys.version.encode())
    folder = environment_cache() / f"serve-models-{digest.hexdigest()[:12]}"
    if not folder.is_dir():
        fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
        fresh.mkdir()
        _run(str(tools("makers")), str(program), str(fresh))
        try:
            fresh.rename(folder)
        except OSError:
            shutil.rmtree(fresh)
    return folder
