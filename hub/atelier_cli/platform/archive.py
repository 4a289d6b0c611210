"""Backup of a data folder to one tar file, and back."""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

from atelier_cli.platform import child
from atelier_cli.platform.layout import Layout
from atelier_cli.platform.processes import SUPERVISOR
from atelier_core.errors import Conflict, Invalid, StorageFull

MANIFEST = "atelier-backup.json"
FORMAT = 1
_LEFT_OUT = frozenset(
    {"run", "logs", "token", "workloads", "cache", "gateway"}
)  # true only while it runs, or made anew
_PEOPLE = frozenset({"users", "projects"})
_SQLITE = b"SQLite format 3\0"


def backup(layout: Layout, target: Path, *, files: bool = True) -> dict[str, Any]:
    """Write everything that cannot be made anew. Databases first: what they name was stored before they named it."""
    if not layout.accounts.exists():
        raise Invalid(f"There is no platform in {layout.data}.", hint="Give --data the folder of the platform.")
    if target.is_relative_to(layout.data):
        raise Invalid("A backup inside the data folder would be lost with it.", hint="Choose a place outside.")
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            entries = _write(layout, file, files)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(target)
    except OSError as error:
        raise StorageFull(
            f"{target} could not be written: {error.strerror}.", code="not_written", hint="Choose another place."
        ) from error
    finally:
        fresh.unlink(missing_ok=True)
    return {"file": str(target), "entries": entries, "bytes": target.stat().st_size}


def _write(layout: Layout, file: Any, files: bool) -> int:
    paths = list(_paths(layout.data, _LEFT_OUT if files else _LEFT_OUT | _PEOPLE))
    # What people keep in their folders is copied as it lies: it may only look like a database.
    people = [layout.data / name for name in _PEOPLE]
    databases = [path for path in paths if _is_database(path) and not any(path.is_relative_to(one) for one in people)]
    known = set(databases)
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        manifest = {"format": FORMAT, "atelier": version("atelier-workspace"), "created": time.time(), "files": files}
        _add_text(tar, MANIFEST, json.dumps(manifest))
        for path in databases:
            _add_database(tar, path, layout.data)
        added = sum(_add(tar, path, layout.data) for path in paths if path not in known)
    return added + len(databases)


def _paths(root: Path, left_out: frozenset[str]) -> Iterator[Path]:
    """Everything below `root`, folders before what is in them, links as links."""
    for top in sorted(root.iterdir()):
        if top.name in left_out:
            continue
        yield top
        if top.is_symlink() or not top.is_dir():
            continue
        for folder, names, entries in os.walk(top):
            yield from (Path(folder) / name for name in sorted([*names, *entries]))


def _is_database(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False


def _add_database(tar: tarfile.TarFile, path: Path, root: Path) -> None:
    """A copy as of one moment, whoever is writing."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "copy.sqlite"
        source, target = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30), sqlite3.connect(copy)
        try:
            source.backup(target)
        finally:
            source.close()
            target.close()
        info = tar.gettarinfo(str(path), arcname=str(path.relative_to(root)))
        info.size = copy.stat().st_size
        with copy.open("rb") as file:
            tar.addfile(info, file)


def _add(tar: tarfile.TarFile, path: Path, root: Path) -> int:
    """One file, folder or link; what has vanished meanwhile, and what is no file at all, is left out."""
    if path.name.endswith(("-wal", "-shm", "-journal")) and _is_database(Path(str(path).rpartition("-")[0])):
        return 0
    try:
        info = tar.gettarinfo(str(path), arcname=str(path.relative_to(root)))
        if info is None or info.ischr() or info.isblk() or info.isfifo():
            return 0
        if not info.isreg():
            tar.addfile(info)
            return 1
        with path.open("rb") as file:
            # As long as it was when its size was read: a file that grows meanwhile must not break the archive.
            tar.addfile(info, _Exactly(file, info.size))  # type: ignore[arg-type]
    except FileNotFoundError:
        return 0
    return 1


class _Exactly:
    """Reads a file as if it had `size` bytes: cut, or filled with zeros."""

    def __init__(self, file: Any, size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int) -> bytes:
        wanted = min(size, self._left)
        data: bytes = self._file.read(wanted)
        self._left -= wanted
        return data.ljust(wanted, b"\0")


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(text), 0o600, int(time.time())
    tar.addfile(info, io.BytesIO(text.encode()))


def restore(layout: Layout, source: Path) -> dict[str, Any]:
    """Unpack beside the data folder and move it there whole: after an interruption there is nothing or everything."""
    if child.running(layout, SUPERVISOR):
        raise Conflict("The platform runs.", code="running", hint="Run `atelier down` first.")
    if layout.data.exists() and any(layout.data.iterdir()):
        raise Conflict(
            f"{layout.data} is not empty, and restoring would overwrite it.",
            code="not_empty",
            hint=f"Move it away first (mv {layout.data} {layout.data}.old), or restore elsewhere with --data.",
        )
    layout.data.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=layout.data.parent, prefix=f".{layout.data.name}-"))
    try:
        entries = _read(source, fresh)
        if layout.data.exists():
            layout.data.rmdir()
        fresh.rename(layout.data)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return {"file": str(source), "entries": entries, "data": str(layout.data)}


def _read(source: Path, target: Path) -> int:
    try:
        with tarfile.open(source, mode="r:") as tar:
            members = tar.getmembers()
            _check_manifest(tar, source)
            links = {member.name for member in members if member.issym()}
            for member in members:
                _check_place(member, links)
            tar.extraction_filter = lambda member, _path: member  # Debian 12's Python has no filters' names yet
            tar.extractall(target, numeric_owner=True)  # noqa: S202 - checked above
    except FileNotFoundError:
        raise Invalid(f"There is no file {source}.") from None
    except tarfile.TarError as error:
        raise Invalid(f"{source} is not a whole backup: {error}.", code="bad_backup") from None
    (target / MANIFEST).unlink()
    return len(members) - 1


def _check_manifest(tar: tarfile.TarFile, source: Path) -> None:
    try:
        file = tar.extractfile(MANIFEST)
        manifest = json.loads(file.read()) if file else {}
    except (KeyError, ValueError):
        manifest = {}
    if manifest.get("format") != FORMAT:
        raise Invalid(
            f"{source} was not written by `atelier backup` of this version.",
            code="bad_backup",
            hint="Restore it with the version that wrote it, then upgrade.",
        )


def _check_place(member: tarfile.TarInfo, links: set[str]) -> None:
    """Refuse what would leave the folder: absolute names, `..`, and anything that lies behind a link."""
    path = PurePosixPath(member.name)
    behind = any(str(parent) in links for parent in path.parents)
    outside = member.islnk() and (member.linkname.startswith("/") or ".." in PurePosixPath(member.linkname).parts)
    if path.is_absolute() or ".." in path.parts or behind or outside:
        raise Invalid(f"The backup holds {member.name!r}, which lies outside the data folder.", code="bad_backup")
