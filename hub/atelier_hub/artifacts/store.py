"""Artifacts by content: `put` a stream, get back its digest. Any fsspec URL; constant memory."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import uuid
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple

import fsspec
from fsspec.implementations.local import LocalFileSystem

from atelier_core.errors import Invalid, NotFound, TooLarge
from atelier_hub.http.errors import is_disk_full, storage_full

CHUNK = 1024**2
Check = Callable[[str, Iterator[bytes]], None]
TEMPORARY = "tmp"
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


class Stored(NamedTuple):
    """Where a stream went."""

    digest: str
    size: int


def check_digest(digest: str) -> str:
    """The hex part of `sha256:<hex>`; `Invalid` if it is anything else."""
    found = _DIGEST.fullmatch(digest)
    if not found:
        raise Invalid(
            f"{digest[:80]!r} is not a digest.", code="bad_digest", hint="A digest is sha256:<64 hex digits>."
        )
    return found[1]


class ArtifactStore:
    """Content-addressed files below an fsspec URL: `sha256/ab/abcd…`, and `tmp/` for what is on its way."""

    def __init__(self, url: str, **options: Any) -> None:
        self.url = url
        self.fs, root = fsspec.core.url_to_fs(url, **options)
        self.root = str(root).rstrip("/")
        self.local = isinstance(self.fs, LocalFileSystem)
        if self.local:
            for folder in ("sha256", TEMPORARY, "logs"):
                os.makedirs(f"{self.root}/{folder}", mode=0o700, exist_ok=True)

    def put_sync(self, stream: Iterable[bytes] | BinaryIO, limit: int | None = None) -> Stored:
        """Store a stream; the same content twice is stored once.

        What is stored stays for a day (`sweep.AGE`), and after that as long as something refers to it.
        """
        chunks = iter(lambda: stream.read(CHUNK), b"") if hasattr(stream, "read") else stream
        upload = self.upload(limit)
        try:
            for chunk in chunks:
                upload.write(chunk)
            return upload.finish()
        except BaseException:
            upload.abort()
            raise

    async def put(self, stream: AsyncIterable[bytes], limit: int | None = None, check: Check | None = None) -> Stored:
        """`put_sync` for a request body; disk work happens in a thread, at most a few chunks are in memory.

        `check` looks at digest and content before they are stored, and raises if they must not be.
        """
        upload = await asyncio.to_thread(self.upload, limit)
        try:
            held = bytearray()
            async for chunk in stream:
                held += chunk
                if len(held) >= CHUNK:
                    await asyncio.to_thread(upload.write, bytes(held))
                    held.clear()
            if held:
                await asyncio.to_thread(upload.write, bytes(held))
            return await asyncio.to_thread(upload.finish, check)
        except BaseException:
            upload.abort()
            raise

    def upload(self, limit: int | None = None) -> Upload:
        """A stream to be stored, written piece by piece."""
        return Upload(self, limit)

    def path(self, digest: str) -> str:
        """Where the content is or would be."""
        plain = check_digest(digest)
        return f"{self.root}/sha256/{plain[:2]}/{plain}"

    def exists(self, digest: str) -> bool:
        """Whether the content is stored."""
        return bool(self.fs.exists(self.path(digest)))

    def size(self, digest: str) -> int:
        """How many bytes it has."""
        try:
            return int(self.fs.size(self.path(digest)))
        except FileNotFoundError:
            raise _missing(digest) from None

    def read(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The content in pieces, from `start` up to but without `end`."""
        path = self.path(digest)
        try:
            file = self.fs.open(path, "rb")
        except FileNotFoundError:
            raise _missing(digest) from None
        return read_range(file, start, end)

    def renew(self, digest: str) -> bool:
        """Whether the content is there; from now on it is as young as if it had just come, so that no sweep takes it.

        Elsewhere than on a disk an object gets a new age only by being written again.
        """
        try:
            if self.local:
                os.utime(self.path(digest))
                return True
        except FileNotFoundError:
            pass
        return False

    def delete(self, digest: str) -> None:
        """Remove the content; no error if it is gone."""
        try:
            self.fs.rm_file(self.path(digest))
        except FileNotFoundError:
            return

    def place(self, temporary: str, path: str) -> None:
        """Give a finished temporary file its name; on a disk it survives a power cut from here on."""
        if self.local:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            os.replace(temporary, path)
            sync_folder(os.path.dirname(path))
        else:
            self.fs.mv(temporary, path)


class Upload:
    """A stream on its way into the store."""

    def __init__(self, store: ArtifactStore, limit: int | None = None) -> None:
        self._store = store
        self._limit = limit
        self._hash = hashlib.sha256()
        self._size = 0
        self._temporary = f"{store.root}/{TEMPORARY}/{uuid.uuid4().hex}"
        self._file: Any = guarded(lambda: store.fs.open(self._temporary, "wb"))

    def write(self, data: bytes) -> None:
        """Add a piece."""
        self._size += len(data)
        if self._limit is not None and self._size > self._limit:
            raise TooLarge(f"The upload is larger than {self._limit} bytes.", hint="Leave out what is not needed.")
        self._hash.update(data)
        guarded(lambda: self._file.write(data))

    def finish(self, check: Check | None = None) -> Stored:
        """Make it visible under its digest."""
        digest = f"sha256:{self._hash.hexdigest()}"
        guarded(self._close)
        if check is not None:
            check(digest, read_range(self._store.fs.open(self._temporary, "rb"), 0, None))
        if self._store.renew(digest):
            self._store.fs.rm_file(self._temporary)
        else:
            guarded(lambda: self._store.place(self._temporary, self._store.path(digest)))
        return Stored(digest, self._size)

    def _close(self) -> None:
        if self._store.local:
            self._file.flush()
            os.fsync(self._file.fileno())
        self._file.close()

    def abort(self) -> None:
        """Leave nothing behind."""
        for step in (self._file.close, lambda: self._store.fs.rm_file(self._temporary)):
            try:
                step()
            except OSError:
                continue


def guarded(work: Callable[[], Any]) -> Any:
    """`work()`, with a full disk told as what it is."""
    try:
        return work()
    except OSError as error:
        if is_disk_full(error):
            raise storage_full() from error
        raise


def read_range(file: Any, start: int, end: int | None) -> Iterator[bytes]:
    """Pieces of an open file, which is closed at the end."""
    with file:
        file.seek(start)
        left = None if end is None else max(0, end - start)
        while left is None or left > 0:
            data = file.read(CHUNK if left is None else min(CHUNK, left))
            if not data:
                return
            if left is not None:
                left -= len(data)
            yield data


def sync_folder(path: str) -> None:
    """Make a new name in a folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _missing(digest: str) -> NotFound:
    return NotFound(f"The artifact {digest} is not in the store.", code="artifact_missing")
