"""One process of the platform: how it starts, whether it lives, how it ends. Nobody has to be its parent."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from atelier_cli.platform.layout import Layout
from atelier_spawner.notebooks.process import Process, stop_only

LOG_LIMIT = 20 * 1024 * 1024


@dataclass(frozen=True)
class Command:
    """What one process of the platform runs. Secrets go into the environment, which only its own user can read."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    reads: tuple[Path, ...] = ()
    """Files whose change means that it has to start anew."""
    grace: float = 15.0

    @property
    def fingerprint(self) -> str:
        """Tells whether a running process is this command as it is now."""
        digest = hashlib.sha256(json.dumps([self.argv, sorted(self.env.items()), sys.version]).encode())
        for path in self.reads:
            digest.update(path.read_bytes() if path.exists() else b"-")
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Running:
    """A living process with the command that it was started with."""

    process: Process
    fingerprint: str


def running(layout: Layout, name: str) -> Running | None:
    """The living process called `name`, whoever started it."""
    try:
        saved = json.loads(layout.record(name).read_text())
    except (FileNotFoundError, ValueError):
        return None
    process = Process.load(saved)
    return Running(process, str(saved.get("fingerprint"))) if process and process.alive() else None


def start(layout: Layout, command: Command) -> subprocess.Popen[bytes]:
    """Start it in a session of its own. It outlives its starter, and says itself who it is."""
    layout.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    launch = (sys.executable, "-m", "atelier_cli.platform.launch", str(layout.record(command.name)))
    with open_log(layout.log(command.name)) as log:
        return subprocess.Popen(
            [*launch, command.fingerprint, *command.argv],
            env={**os.environ, **command.env},
            cwd=layout.data,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            umask=0o077,
        )


def stop(layout: Layout, name: str, grace: float) -> bool:
    """End it, by force after `grace` seconds, and not what it started (a hub's notebooks); whether it ran."""
    found = running(layout, name)
    if found is None:
        return False
    stop_only(found.process, grace)
    return True


def open_log(path: Path) -> BinaryIO:
    """Append to the log; one that grew large is put aside once."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(".log.1"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def tail(path: Path, lines: int = 12) -> str:
    """The end of a log, for somebody who has to find out why a process does not start."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 16_384))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
