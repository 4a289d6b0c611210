"""Folders as tar streams: packed in constant memory and the same bytes each time, unpacked without leaving a folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from typing import Protocol

CHUNK = 1024**2


class Stream(Protocol):
    """What an archive is read from."""

    def read(self, amount: int, /) -> bytes:
        """The next bytes."""


class BadArchive(Exception):
    """The archive holds something that must not be unpacked, or is damaged."""


def pack(folder: str) -> Iterator[bytes]:
    """The tar of a folder's content, piece by piece; names sorted and times left out, so equal content is equal."""
    for path, name in _walk(folder, ""):
        yield from _member(folder, path, name)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def unpack(stream: Stream, target: str, mode: str = "r|") -> None:
    """Unpack a tar stream below `target`; refuses what would leave it, devices and pipes."""
    root = os.path.realpath(target)
    links: list[str] = []
    try:
        with tarfile.open(fileobj=stream, mode=mode, bufsize=CHUNK) as archive:  # type: ignore[call-overload]
            for member in archive:
                _unpack_member(archive, member, root, links)
    except (tarfile.TarError, EOFError) as error:
        raise BadArchive(f"The archive is damaged: {error}") from error
    _check_links(links, root)


def inside(root: str, path: str) -> bool:
    """Whether `path`, links followed, is `root` or below it."""
    real = os.path.realpath(path)
    return real == root or real.startswith(root.rstrip("/") + "/")


def _walk(folder: str, prefix: str) -> Iterator[tuple[str, str]]:
    with os.scandir(os.path.join(folder, prefix)) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        name = os.path.join(prefix, entry.name)
        yield entry.path, name
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(folder, name)


def _member(folder: str, path: str, name: str) -> Iterator[bytes]:
    status = os.lstat(path)
    info = tarfile.TarInfo(name)
    info.mode = stat.S_IMODE(status.st_mode) & 0o777
    if stat.S_ISDIR(status.st_mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(status.st_mode):
        if not inside(os.path.realpath(folder), path):
            raise BadArchive(f"{name} is a link that leads out of the folder.")
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(path)
        if os.path.isabs(info.linkname):
            info.linkname = os.path.relpath(
                os.path.realpath(path), os.path.dirname(os.path.realpath(folder) + "/" + name)
            )
    elif not stat.S_ISREG(status.st_mode):
        return  # sockets and pipes mean nothing elsewhere
    else:
        info.size = status.st_size
    yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    if info.isreg():
        yield from _content(path, info.size)


def _content(path: str, size: int) -> Iterator[bytes]:
    left = size
    with open(path, "rb") as file:
        while left:
            piece = file.read(min(CHUNK, left))
            if not piece:
                raise BadArchive(f"{path} became shorter while it was stored.")
            left -= len(piece)
            yield piece
    yield b"\0" * (-size % tarfile.BLOCKSIZE)


def _unpack_member(archive: tarfile.TarFile, member: tarfile.TarInfo, root: str, links: list[str]) -> None:
    name = os.path.normpath(member.name)
    path = os.path.join(root, name)
    if os.path.isabs(member.name) or name.startswith("..") or not inside(root, os.path.dirname(path)):
        raise BadArchive(f"{member.name!r} in the archive leads out of its folder.")
    if member.isdir():
        os.makedirs(path, exist_ok=True)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if member.issym() or member.islnk():
        _unpack_link(member, path, root)
        links.append(path)
    elif member.isreg():
        _unpack_file(archive, member, path)
    else:
        raise BadArchive(f"{member.name!r} in the archive is neither a file nor a folder.")


def _unpack_file(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    source = archive.extractfile(member)
    if source is None:
        raise BadArchive(f"{member.name!r} in the archive has no content.")
    _remove(path)
    mode = 0o700 if member.mode & 0o100 else 0o600
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode | (member.mode & 0o055))
    with os.fdopen(descriptor, "wb") as target:
        shutil.copyfileobj(source, target, CHUNK)


def _unpack_link(member: tarfile.TarInfo, path: str, root: str) -> None:
    base = os.path.dirname(path) if member.issym() else root
    target = os.path.join(base, member.linkname)
    if os.path.isabs(member.linkname) or not inside(root, target):
        raise BadArchive(f"The link {member.name!r} in the archive leads out of its folder.")
    _remove(path)
    if member.issym():
        os.symlink(member.linkname, path)
    else:
        os.link(target, path, follow_symlinks=False)


def _check_links(links: list[str], root: str) -> None:
    """Where a link leads may have changed with what was unpacked after it."""
    wrong = [path for path in links if os.path.islink(path) and not inside(root, path)]
    for path in wrong:
        os.unlink(path)
    if wrong:
        name = os.path.relpath(wrong[0], root)
        raise BadArchive(f"The link {name!r} in the archive leads out of its folder.")


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
