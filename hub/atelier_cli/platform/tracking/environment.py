"""MLflow's own environment: made from the lock beside this file, once for every platform of this person."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atelier_core.errors import AtelierError, BackendUnavailable

LOCK = Path(__file__).with_name("mlflow.lock")
SERVER = Path(__file__).with_name("server.py")
_DONE = ".complete"
_LAST_LINES = 6


class NoUv(AtelierError):
    """There is nothing to install MLflow with."""

    code = "no_uv"


def default_cache() -> Path:
    """Outside the data folder: what can be made anew is in no backup."""
    return Path.home() / ".cache" / "atelier"


def folder(cache: Path) -> Path:
    """Where the environment is or will be: another lock or another Python is another one."""
    content = LOCK.read_bytes() + f"{sys.version_info[0]}.{sys.version_info[1]}".encode()
    return cache / f"mlflow-{hashlib.sha256(content).hexdigest()[:16]}"


def find(cache: Path) -> Path | None:
    """The Python of the environment, if it is there."""
    target = folder(cache)
    return target / "bin" / "python" if (target / _DONE).exists() else None


def make(cache: Path) -> Path:
    """The Python of the environment; installs it where it is missing, which takes minutes the first time.

    It is made beside its place and moved there whole: an interrupted installation leaves nothing that looks finished.
    """
    target = folder(cache)
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(target.with_suffix(".lock")):
        if not (target / _DONE).exists():
            for left in cache.glob(f".{target.name}-*"):
                shutil.rmtree(left, ignore_errors=True)
            work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=cache))
            try:
                _install(work / "env")
                shutil.rmtree(target, ignore_errors=True)
                (work / "env").rename(target)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return target / "bin" / "python"


def _install(place: Path) -> None:
    program = _uv_program()
    _run(program, "venv", "--quiet", "--no-project", "--relocatable", "--python", sys.executable, str(place))
    python = str(place / "bin" / "python")
    exact = ("--require-hashes", "--only-binary", ":all:", "-r", str(LOCK))
    _run(program, "pip", "install", "--quiet", "--python", python, *exact)
    (place / _DONE).touch()


def _uv_program() -> str:
    own = Path(sys.executable).with_name("uv")
    found = str(own) if own.exists() else shutil.which("uv")
    if found is None:
        raise NoUv("MLflow is installed with uv, which is neither beside Python nor on PATH.", hint="pip install uv")
    return found


def _run(*command: str) -> None:
    """Run it gently: people wait for what else this machine does."""
    gentle = ["nice", "-n", "10"] if shutil.which("nice") else []
    done = subprocess.run([*gentle, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-_LAST_LINES:])
        raise BackendUnavailable(
            f"MLflow could not be installed: {last}",
            code="no_mlflow",
            hint="It is tried again; check the connection to the package index and the room on the disk.",
        )


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One installation at a time; the lock goes with the process that holds it."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
