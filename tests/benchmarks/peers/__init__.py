"""Other engines, each in an environment of its own, made once from a hashed lock; nothing reaches the network later."""

from __future__ import annotations

import hashlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
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
        try:
            self._await()  # it says that it is ready
        except PeerFailed:
            self.close()
            raise

    def ask(self, what: str) -> float:
        """Let it run `what`; the seconds that its own client waited for the success."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return float(self._await()["seconds"])

    def _await(self) -> dict[str, Any]:
        ready, _, _ = select.select([self._answers], [], [], _ANSWER_SECONDS)
        line = self._answers.readline() if ready else ""
        silence = "it ended" if ready else f"no answer for {_ANSWER_SECONDS} s"
        answer: dict[str, Any] = json.loads(line) if line else {"problem": silence}
        if "problem" in answer:
            raise PeerFailed(f"{self._log.stem}: {answer['problem']}\n{self._log.read_text(errors='replace')[-1500:]}")
        return answer

    def close(self) -> None:
        """End it and everything that it started: servers of its own may take their time."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
        self._answers.close()
