"""The data folder: who may enter what. One person: all of it 0700. Several: passages 0711, own folders 0700."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from atelier_core.names import label
from atelier_spawner.notebooks.identities import Identities

# A number outside the allocated range, to try whether another account can start what a notebook needs.
_STRANGER = 59_998
# What a notebook imports. That another account can read them is asked; to import them all would take a second.
_NEEDED = (
    "jupyterhub",
    "jupyter_server",
    "jupyterlab",
    "tornado",
    "zmq",
    "traitlets",
    "atelier_server",
    "atelier_runtime",
)
_PROBE = """
import os, sys
from importlib.util import find_spec
sys.path[:] = sys.argv[3:]
for name in sys.argv[2].split():
    open(find_spec(name).origin, "rb").close()
sys.exit(0 if os.access(sys.argv[1], os.X_OK) else 3)
"""
PASSAGES = ("users", "projects", "workloads", "cache")
PRIVATE = ("hub", "control-plane", "gateway", "mlflow", "run", "logs", "secrets")


def why_one_person(data_dir: Path) -> str:
    """Why this machine can serve one person only; empty if each person can have an account number of their own."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "keeping people's files apart needs root. Run the platform as root, or one platform per person."
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE, str(data_dir.parent), " ".join(_NEEDED), *sys.path],
            user=_STRANGER, group=_STRANGER, extra_groups=[], cwd="/", env={},
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
    except OSError as error:
        program = f"other accounts cannot run {sys.executable} ({error.strerror})."
        return f"{program} Install Atelier with a Python that everybody can reach, for example below /opt."
    if done.returncode == 3:
        where = f"other accounts cannot reach what is in {data_dir.parent}."
        return f"{where} Choose a folder below /var/lib or /srv with --data."
    if done.returncode:
        return "other accounts cannot import what a notebook needs. Install Atelier where everybody can read it."
    return ""


def identities_file(data_dir: Path) -> Path:
    """The table of account numbers."""
    return data_dir / "hub" / "identities.sqlite"


@dataclass(frozen=True)
class Folders:
    """The folders of people and projects below `data_dir`; `several` as `why_one_person` found."""

    data_dir: Path
    several: bool
    table: Path | None = None
    """Their numbers, where that file is not in the hub's own folder."""

    @cached_property
    def identities(self) -> Identities:
        """Their numbers."""
        return Identities(self.table or identities_file(self.data_dir))

    def make(self) -> None:
        """Make the data folder and what is private to the platform in it, with the right modes."""
        passage = 0o711 if self.several else 0o700
        _folder(self.data_dir, passage)
        for name in PASSAGES:
            _folder(self.data_dir / name, passage)
        for name in PRIVATE:
            _folder(self.data_dir / name, 0o700)

    def personal(self, user: str) -> Path:
        """The user's own folder, which nobody else can enter."""
        path = self.data_dir / "users" / label(user)
        uid = self.identities.uid(user) if self.several else None
        return _folder(path, 0o700, uid, uid)

    def project(self, project: str) -> Path:
        """The project's folder: what is made in it belongs to the project, and its members can change it."""
        path = self.data_dir / "projects" / label(project)
        if not self.several:
            return _folder(path, 0o700)
        gid = self.identities.gid(project)
        return _folder(path, 0o2770, gid, gid)

    def set_aside(self, project: str) -> None:
        """The project is deleted: who takes its name gets a new folder, with another number. May be repeated."""
        path = self.data_dir / "projects" / label(project)
        if self.several:
            self.identities.retire_gid(project)  # first: what is made under the name from now on is the next project's
        if path.exists():
            path.rename(_folder(self._aside, 0o700) / f"{path.name}.{uuid.uuid4().hex}")

    def remove_aside(self) -> None:
        """Remove what was set aside, as far as that works now."""
        for path in self._aside.iterdir() if self._aside.is_dir() else ():
            shutil.rmtree(path, ignore_errors=True)

    @property
    def _aside(self) -> Path:
        return self.data_dir / "projects" / ".removed"


def _folder(path: Path, mode: int, uid: int | None = None, gid: int | None = None) -> Path:
    """Make `path` with exactly this mode and owner. Its parent belongs to the platform, so nobody can swap it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if uid is not None and gid is not None and path.stat().st_uid != uid:
        os.chown(path, uid, gid)
    if path.stat().st_mode & 0o7777 != mode:
        path.chmod(mode)  # after chown, which clears the set-group bit
    return path
