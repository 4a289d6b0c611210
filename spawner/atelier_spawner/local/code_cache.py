"""Fetched code archives: kept for the next attempts that need them, for a while. Users do not see each other's."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from atelier_spawner.local.people import passage

_IN_USE = 3600.0  # seconds: whoever began to use an archive then may not be done


class CodeCache:
    """A folder per user. Archives are removed once nobody used them for `seconds`, or that take more than `size`."""

    def __init__(self, folder: Path, seconds: float = 7 * 86400.0, size: int = 4 * 1024**3) -> None:
        self._folder = folder
        self._seconds = seconds
        self._size = size

    def open(self) -> None:
        """Blocking: make the folder that all users pass through."""
        passage(self._folder)

    def of(self, uid: int | None) -> Path:
        """The folder of a user, who owns it; None is whoever runs the platform."""
        folder = self._folder / (f"uid-{uid}" if uid is not None else "own")
        folder.mkdir(mode=0o700, exist_ok=True)
        if uid is not None and folder.stat().st_uid != uid:
            os.chown(folder, uid, uid)
        return folder

    def trim(self) -> None:
        """Blocking: remove what is old, and of what is too much what was not used for longest."""
        for folder in self._folder.glob("*"):
            with contextlib.suppress(OSError):
                self._trim(folder)

    def _trim(self, folder: Path) -> None:
        found = [(entry.stat(follow_symlinks=False), entry.path) for entry in os.scandir(folder)]
        size, now = 0, time.time()
        for status, path in sorted(found, key=lambda one: one[0].st_mtime, reverse=True):
            size += status.st_size
            age = now - status.st_mtime
            if age > self._seconds or (size > self._size and age > _IN_USE):
                with contextlib.suppress(OSError):
                    os.unlink(path)
