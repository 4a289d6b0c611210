"""Other engines, each in an environment of its own, made once from a hashed lock; nothing reaches the network later."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).parent
_ANSWER_SECONDS = 600


class PeerFailed(Exception):
    """A peer could not be installed, or did not do what it was asked; the text ends with its own last words."""


def environment(name: str) -> Path:
    """The Python of a peer's environment, installed by uv from `<name>.lock` the first time."""
    lock = HERE / f"{name}.lock"
    key = hashlib.sha256(f"{sys.version} {lock.read_text()}".encode()).hexdigest()[:12]
    folder = Path.home() / ".cache" / "atelier" / "bench" / f"{name}-{key}"
    python, complete = folder / "bin" / "python", folder / ".complete"
    if not complete.exists():
        print(f"installing {name} into {folder}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        _uv("venv", "--quiet", "--python", sys.executable, str(folder))
        _uv("pip", "install", "--quiet", "--python", str(python), "--require-hashes", "-r", str(lock))
        complete.touch()
    return python


def _uv(*arguments: str) -> None:
    command = [str(Path(sys.executable).with_name("uv")), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerFailed(f"uv could not be run: {error}") from None
    if done.returncode:
        raise PeerFailed(f"uv {arguments[0]} failed: {done.stderr.strip()[-400:]}")


def version(name: str) -> str:
    """The pinned version, for the table."""
    lines = (HERE / f"{name}.in").read_text().splitlines()
    return next(line.partition("==")[2] for line in lines if line.startswith(f"{name}=="))


class Peer:
    """A program of this folder, started once and asked again and again: one line in, one line of JSON out.

    Whatever else it prints, libraries included, goes to `<folder>/<program>.log`.
    """

    def __init__(self, python: Path, program: str, folder: Path, settings: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / f"{program}.log"
        receive, send = os.pipe()
        self._answers: IO[str] = os.fdopen(receive)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(python), str(HERE / f"{program}.py"), str(send)],
                env={
                    "PATH": os.environ.get("PATH", os.defpath),
                    "HOME": str(folder),
                    "PYTHONPATH": str(HERE),
                    **settings,
                },
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=folder,
                pass_fds=(send,),
                start_new_session=True,
                text=True,
            )
        os.close(send)
        self._await()  # it says that it is ready

    def ask(self, what: str) -> float:
        """Let it run `what`; the seconds that its own client waited for the success."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return float(self._await()["seconds"])

    def _await(self) -> dict[str, Any]:
        signal.alarm(_ANSWER_SECONDS)  # a peer that hangs ends the benchmark, not the reader's patience
        line = self._answers.readline()
        signal.alarm(0)
        answer: dict[str, Any] = json.loads(line) if line else {"problem": "it ended"}
        if "problem" in answer:
            raise PeerFailed(f"{self._log.stem}: {answer['problem']}\n{self._log.read_text(errors='replace')[-1500:]}")
        return answer

    def close(self) -> None:
        """End it and everything that it started."""
        try:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
        except ProcessLookupError:
            self._process.wait(10)
        self._answers.close()
