"""Backup of a data folder to one tar file, and back."""

from __future__ import annotations

import hashlib
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
from typing import Any, BinaryIO

from atelier_cli.platform import child
from atelier_cli.platform.layout import Layout
from atelier_cli.platform.processes import SUPERVISOR
from atelier_core.errors import Conflict, Invalid, StorageFull

MANIFEST = "atelier-backup.json"
END = "atelier-backup-end.json"
FORMAT = 2
_WITHOUT_END = 1  # the format of archives that do not say where they end
_LEFT_OUT = frozenset(
    {"run", "logs", "token", "workloads", "cache", "gateway"}
)  # true only while it runs, or made anew
_PEOPLE = frozenset({"users", "projects"})
_BESIDE_DATABASES = ("-wal", "-shm", "-journal")
_PIECE = 1 << 20
_OTHER = "Nothing was changed. Take another copy of it, or another backup."


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
    databases = [path for path in layout.databases if path.is_file()]
    # All else is copied as it lies, also what is a database: artifacts and people's files are nobody's to change.
    apart = {path.with_name(path.name + end) for path in databases for end in ("", *_BESIDE_DATABASES)}
    hashed = _Hashed(file)
    with tarfile.open(fileobj=hashed, mode="w", format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
        manifest = {"format": FORMAT, "atelier": version("atelier-workspace"), "created": time.time(), "files": files}
        _add_text(tar, MANIFEST, json.dumps(manifest))
        for path in databases:
            _add_database(tar, path, layout.data)
        paths = _paths(layout.data, _LEFT_OUT if files else _LEFT_OUT | _PEOPLE)
        entries = len(databases) + sum(_add(tar, path, layout.data) for path in paths if path not in apart)
        _add_text(tar, END, json.dumps({"entries": entries, "sha256": hashed.sha256.hexdigest()}))
    return entries


class _Hashed:
    """A file that is written from its beginning to its end, and the digest of what was written so far."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.tell = file.tell

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return self._file.write(data)


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


def _add_database(tar: tarfile.TarFile, path: Path, root: Path) -> None:
    """A copy as of one moment, whoever is writing."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "copy.sqlite"
        source, target = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30), sqlite3.connect(copy)
        try:
            source.backup(target)
        except sqlite3.Error as error:
            raise Invalid(
                f"The database {path} cannot be read: {error}.",
                code="damaged_database",
                hint="Bring it back from an earlier backup; `atelier doctor` looks at the data folder.",
            ) from error
        finally:
            source.close()
            target.close()
        info = tar.gettarinfo(str(path), arcname=str(path.relative_to(root)))
        info.size = copy.stat().st_size
        with copy.open("rb") as file:
            tar.addfile(info, file)


def _add(tar: tarfile.TarFile, path: Path, root: Path) -> int:
    """One file, folder or link; what has vanished meanwhile, and what is no file at all, is left out."""
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
        entries, whole = _read(source, fresh)
        if layout.data.exists():
            layout.data.rmdir()
        fresh.rename(layout.data)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return {"file": str(source), "entries": entries, "data": str(layout.data), "checked": whole}


def _read(source: Path, target: Path) -> tuple[int, bool]:
    """How many entries there were, and whether the archive said that these are all."""
    try:
        with tarfile.open(source, mode="r:") as tar:
            members = tar.getmembers()
            whole = _read_text(tar, MANIFEST).get("format") != _WITHOUT_END
            _check_manifest(tar, source)
            if whole:
                _check_end(tar, members, source)
            links = {member.name for member in members if member.issym()}
            for member in members:
                _check_place(member, links)
            tar.extraction_filter = lambda member, _path: member  # Debian 12's Python has no filters' names yet
            tar.extractall(target, numeric_owner=True)  # noqa: S202 - checked above
    except FileNotFoundError:
        raise Invalid(f"There is no file {source}.") from None
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise Invalid(f"{source} is not a whole backup: {error}.", code="bad_backup", hint=_OTHER) from None
    except OSError as error:
        raise StorageFull(
            f"{source} could not be restored: {error.strerror}.", code="not_restored", hint="Nothing was changed."
        ) from error
    for name in (MANIFEST, END) if whole else (MANIFEST,):
        (target / name).unlink()
    return len(members) - (2 if whole else 1), whole


def _check_manifest(tar: tarfile.TarFile, source: Path) -> None:
    if _read_text(tar, MANIFEST).get("format") not in {FORMAT, _WITHOUT_END}:
        raise Invalid(
            f"{source} was not written by `atelier backup` of this version.",
            code="bad_backup",
            hint="Restore it with the version that wrote it, then upgrade.",
        )


def _check_end(tar: tarfile.TarFile, members: list[tarfile.TarInfo], source: Path) -> None:
    """Refuse what was cut or damaged: a tar that is read up to a bad header looks like a shorter one."""
    end = _read_text(tar, END)
    if members[-1].name != END or end.get("entries") != len(members) - 2:
        raise Invalid(f"{source} is not a whole backup: its end is missing.", code="bad_backup", hint=_OTHER)
    if end.get("sha256") != _digest(source, members[-1].offset):
        raise Invalid(f"{source} is damaged: it is not what was written.", code="bad_backup", hint=_OTHER)


def _digest(source: Path, size: int) -> str:
    digest = hashlib.sha256()
    with source.open("rb") as file:
        while size > 0 and (piece := file.read(min(size, _PIECE))):
            digest.update(piece)
            size -= len(piece)
    return digest.hexdigest()


def _read_text(tar: tarfile.TarFile, name: str) -> dict[str, Any]:
    """What `_add_text` wrote; nothing where there is no such thing."""
    try:
        file = tar.extractfile(name)
        found = json.loads(file.read()) if file else {}
    except (KeyError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _check_place(member: tarfile.TarInfo, links: set[str]) -> None:
    """Refuse what would leave the folder: absolute names, `..`, and anything that lies behind a link."""
    path = PurePosixPath(member.name)
    behind = any(str(parent) in links for parent in path.parents)
    outside = member.islnk() and (member.linkname.startswith("/") or ".." in PurePosixPath(member.linkname).parts)
    if path.is_absolute() or ".." in path.parts or behind or outside:
        raise Invalid(f"The backup holds {member.name!r}, which lies outside the data folder.", code="bad_backup")
