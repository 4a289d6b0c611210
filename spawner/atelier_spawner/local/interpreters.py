"""Which Python an environment is built from. Where steps run as other users, these must be able to read it."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path

_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


def find(version: str, shared: bool) -> str | None:
    """An interpreter of this version on the machine, as far as it is seen at once. `shared` means for every user."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    if version == own and (not shared or readable_by_all(Path(sys.executable))):
        return sys.executable
    if not shared:
        return None
    system = shutil.which(f"python{version}", path=_SYSTEM_PATH)
    return system if system and readable_by_all(Path(system)) else None


def fetched(folder: Path, version: str) -> Path | None:
    """The interpreter that was fetched into `folder`."""
    return next(iter(sorted(folder.glob(f"cpython-{version}.*/bin/python{version}"))), None)


def readable_by_all(path: Path) -> bool:
    """Whether every user can reach a file, on each step of its links too."""
    while True:
        if not all(folder.stat().st_mode & stat.S_IXOTH for folder in path.absolute().parents):
            return False
        if not path.is_symlink():
            return bool(path.stat().st_mode & stat.S_IROTH)
        path = path.parent / os.readlink(path)
