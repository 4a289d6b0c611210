"""Packs a pipeline's folder: the same folder gives the same bytes, on every machine."""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from pathspec import GitIgnoreSpec

from atelier_sdk.detect import secret_in_content, secret_in_name
from atelier_sdk.errors import SnapshotError

SIZE_LIMIT = 200 * 1024**2
IGNORE_FILES = (".gitignore", ".atelierignore")
# Never code: version control, caches and what notebooks leave behind.
_ALWAYS_IGNORED = (
    ".git/",
    ".hg/",
    ".svn/",
    "__pycache__/",
    ".ipynb_checkpoints/",
    "executed-notebooks/",
    ".venv/",
    "node_modules/",
    ".DS_Store",
)
_MEMORY = 8 * 1024**2  # larger packs go to a temporary file


@dataclass
class Snapshot:
    """A packed folder. `secrets` says which files were left out because they look like secrets, and why."""

    digest: str
    size: int
    files: list[str]
    secrets: dict[str, str]
    stream: IO[bytes] = field(repr=False)

    def open(self) -> IO[bytes]:
        """The tar.gz from its beginning."""
        self.stream.seek(0)
        return self.stream

    def close(self) -> None:
        """Let go of the temporary file."""
        self.stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class _Selection:
    files: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)


def pack(folder: str | Path, *, limit: int = SIZE_LIMIT) -> Snapshot:
    """Pack `folder` without ignored files and secrets; refuse what is larger than `limit` bytes before packing."""
    root = Path(folder).resolve()
    if not root.is_dir():
        raise SnapshotError(f"{folder} is not a folder.", code="no_folder", hint="Name the folder of the pipeline.")
    chosen = _select(root)
    _check_size(chosen, limit)
    stream = tempfile.SpooledTemporaryFile(max_size=_MEMORY)  # noqa: SIM115 - the snapshot owns it
    try:
        _write(root, chosen.files, stream)
        digest = _digest(stream)
    except BaseException:
        stream.close()
        raise
    return Snapshot(f"sha256:{digest}", stream.tell(), chosen.files, chosen.secrets, stream)


def listing(folder: str | Path) -> list[str]:
    """The files that `pack` would take, told by their names alone: none is read to look for secrets in it."""
    root = Path(folder).resolve()
    return sorted(path for path in _walk(root) if not secret_in_name(path) and (root / path).is_file())


def _select(root: Path) -> _Selection:
    chosen = _Selection()
    for path in sorted(_walk(root)):
        file = root / path
        real = _inside(root, file)
        status = real.stat()
        if not stat.S_ISREG(status.st_mode):
            continue  # sockets, pipes and devices are no code
        reason = secret_in_name(path) or secret_in_name(_relative(root, real)) or _secret_content(file)
        if reason:
            chosen.secrets[path] = reason
        else:
            chosen.files.append(path)
            chosen.sizes[path] = status.st_size
    return chosen


def _walk(root: Path, folder: str = "", specs: tuple[tuple[str, GitIgnoreSpec], ...] = ()) -> Iterator[str]:
    """Paths of the files that no ignore file excludes; an ignored folder is not entered, as in git."""
    if not folder:
        specs = (("", GitIgnoreSpec.from_lines(_ALWAYS_IGNORED)),)
    own = _read_ignore_files(root / folder)
    if own is not None:
        specs = (*specs, (folder, own))
    for entry in _listed(root, folder):
        path = f"{folder}{entry.name}"
        enters = entry.is_dir(follow_symlinks=False)
        if _ignored(f"{path}/" if enters else path, specs):
            continue
        if enters:
            yield from _walk(root, f"{path}/", specs)
        elif entry.is_symlink() and (root / path).is_dir():
            _refuse_link_to_folder(root, path)
        else:
            yield path


def _listed(root: Path, folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(root / folder) as entries:
            return list(entries)
    except OSError as error:
        raise _unreadable(folder or str(root), error) from None


def _read_ignore_files(folder: Path) -> GitIgnoreSpec | None:
    lines: list[str] = []
    for name in IGNORE_FILES:
        file = folder / name
        if file.is_file():
            lines += file.read_text(encoding="utf-8", errors="replace").splitlines()
    return GitIgnoreSpec.from_lines(lines) if lines else None


def _ignored(path: str, specs: tuple[tuple[str, GitIgnoreSpec], ...]) -> bool:
    """The ignore file nearest to the path has the last word."""
    for base, spec in reversed(specs):
        verdict = spec.check_file(path[len(base) :]).include
        if verdict is not None:
            return verdict
    return False


def _inside(root: Path, file: Path) -> Path:
    """The file itself; links are followed as long as they stay in the folder."""
    try:
        real = file.resolve(strict=True)
    except (OSError, RuntimeError):  # a loop is one or the other, by Python version
        raise SnapshotError(
            f"{_relative(root, file)} is a link to nothing.",
            code="broken_link",
            hint="Delete the link or list it in .atelierignore.",
        ) from None
    if not real.is_relative_to(root):
        raise SnapshotError(
            f"{_relative(root, file)} is a link to {real}, which is outside the pipeline's folder.",
            code="link_outside",
            hint="Copy the file into the folder, or list the link in .atelierignore.",
        )
    return real


def _refuse_link_to_folder(root: Path, path: str) -> None:
    _inside(root, root / path)
    raise SnapshotError(
        f"{path} is a link to a folder.",
        code="link_to_folder",
        hint="Replace it by the folder itself, or list it in .atelierignore.",
    )


def _secret_content(file: Path) -> str:
    try:
        return secret_in_content(file)
    except OSError as error:
        raise _unreadable(str(file), error) from None


def _unreadable(what: str, error: OSError) -> SnapshotError:
    hint = "Change its permissions, or list it in .atelierignore."
    return SnapshotError(f"{what} cannot be read: {error.strerror}.", code="unreadable", hint=hint)


def _relative(root: Path, file: Path) -> str:
    return file.relative_to(root).as_posix()


def _check_size(chosen: _Selection, limit: int) -> None:
    total = sum(chosen.sizes.values())
    if total <= limit:
        return
    biggest = sorted(chosen.sizes, key=lambda path: chosen.sizes[path], reverse=True)[:3]
    named = ", ".join(f"{path} ({_megabytes(chosen.sizes[path])})" for path in biggest)
    raise SnapshotError(
        f"The folder holds {_megabytes(total)}, more than the {_megabytes(limit)} of a snapshot. The biggest: {named}.",
        code="too_large",
        hint="List data in .atelierignore and give it to the pipeline as an input; snapshots are for code.",
    )


def _megabytes(size: int) -> str:
    return f"{size / 1024**2:.1f} MB"


def _write(root: Path, files: list[str], stream: IO[bytes]) -> None:
    """Only names, bytes and the execute bit go in: not when, where and by whom the files were made."""
    with (
        gzip.GzipFile(fileobj=stream, mode="wb", filename="", mtime=0, compresslevel=6) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in files:
            _add(archive, root / path, path)


def _add(archive: tarfile.TarFile, file: Path, path: str) -> None:
    with file.open("rb") as content:
        status = os.fstat(content.fileno())
        entry = tarfile.TarInfo(path)
        entry.mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
        # A file that grows while it is packed is cut at the size that its header says.
        entry.size = status.st_size
        try:
            archive.addfile(entry, content)
        except OSError:
            raise SnapshotError(
                f"{path} became shorter while it was packed.",
                code="changed_meanwhile",
                hint="Try again when nothing writes to it, or list it in .atelierignore.",
            ) from None


def _digest(stream: IO[bytes]) -> str:
    """Leaves the stream at its end."""
    stream.seek(0)
    digest = hashlib.sha256()
    for block in iter(lambda: stream.read(1024**2), b""):
        digest.update(block)
    return digest.hexdigest()
