"""Files on their way into datasets: in pieces, each kept as soon as it is there, so that an upload goes on after any
break of client, network or control plane.

The database says which pieces count. A piece is stored under a name of its own first and counts once its row is there.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import time
import uuid
from collections.abc import AsyncIterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple

from pydantic import BaseModel
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from starlette.requests import ClientDisconnect

from atelier_core.errors import Conflict, Invalid, NotFound, TooLarge
from atelier_hub.artifacts.store import CHUNK, ArtifactStore, Stored, guarded, read_range, sync_folder
from atelier_hub.auth import Actor
from atelier_hub.context import Context
from atelier_hub.db import now
from atelier_hub.features.datasets.store import PieceRow, UploadRow, known_digests

FOLDER = "uploads"
WHOLE = 16 * 1024**2  # a file up to this size that comes in one piece is stored at once
_EMPTY = "sha256:" + hashlib.sha256(b"").hexdigest()
_FORGOTTEN = 200  # uploads in one transaction


class UploadOffset(Conflict):
    """The piece does not begin where the upload stands; `offset` says where to go on."""

    code = "upload_offset"

    def __init__(self, offset: int) -> None:
        super().__init__(f"The upload goes on at byte {offset}.", hint="Send the rest from there.")
        self.offset = offset


class WantedFile(NamedTuple):
    """A content that somebody wants to send."""

    digest: str
    size: int


class Upload(BaseModel):
    """A file on its way: send the rest from `received`. `done` once the content is stored and is what it should be."""

    id: str
    digest: str
    size: int
    received: int
    done: bool


def begin(session: Session, ctx: Context, actor: Actor, project: str, files: Sequence[WantedFile]) -> list[Upload]:
    """One upload for each file: an unfinished one of the same person goes on, what the project has is done."""
    for file in files:
        _check_size(ctx, file)
    known = known_digests(session, project, (file.digest for file in files))
    found: list[Upload] = []
    for file in files:
        if known.get(file.digest) == file.size:
            found.append(Upload(id="", digest=file.digest, size=file.size, received=file.size, done=True))
        else:
            found.append(_body(_open(session, actor, project, file)))
    return found


def _check_size(ctx: Context, file: WantedFile) -> None:
    limit = ctx.settings.max_output_bytes
    if file.size > limit:
        raise TooLarge(
            f"{file.size / 1024**3:,.1f} GiB are more than the {limit / 1024**3:,.1f} GiB that one file may have here.",
            hint="Divide the file, or register it as a URI; the operator can raise max_output_bytes.",
        )
    if not file.size and file.digest != _EMPTY:
        raise Invalid("An empty file has another digest.", code="digest_mismatch", hint="Read the file again.")


def _open(session: Session, actor: Actor, project: str, file: WantedFile) -> UploadRow:
    query = select(UploadRow).where(
        UploadRow.project == project,
        UploadRow.wanted == file.digest,
        UploadRow.size == file.size,
        UploadRow.created_by == actor.name,
        UploadRow.digest.is_(None),
    )
    row = session.scalars(query.limit(1)).first()
    if row is None:
        row = UploadRow(id="u" + secrets.token_hex(12), project=project, wanted=file.digest, size=file.size)
        row.created_by, row.received = actor.name, 0
        session.add(row)
        session.flush()
    return row


def get(session: Session, project: str, upload: str) -> Upload:
    """How far an upload is."""
    return _body(_row(session, project, upload))


async def write(
    ctx: Context, project: str, upload: str, offset: int, stream: AsyncIterable[bytes], length: int | None
) -> Upload:
    """Take a piece from `offset` on, of `length` bytes if it says so; the last one ends in the store."""
    row = await asyncio.to_thread(_expect, ctx, project, upload, offset)
    if row.digest is not None:
        return _body(row)
    rest = row.size - offset
    if rest and not offset and length == row.size <= WHOLE:
        return await _whole(ctx, row, stream)
    if rest:
        row = await _piece(ctx, row, offset, stream)
    return _body(await asyncio.to_thread(_finish, ctx, row) if row.received == row.size else row)


async def _whole(ctx: Context, row: UploadRow, stream: AsyncIterable[bytes]) -> Upload:
    """A small file at once; where the connection breaks it has to come again."""
    held = b"".join([data async for data in stream])
    if f"sha256:{hashlib.sha256(held).hexdigest()}" != row.wanted:
        await asyncio.to_thread(_forget, ctx, [row.id])
        raise _mismatch()
    stored = await asyncio.to_thread(ctx.store.put_sync, [held])
    return _body(await asyncio.to_thread(_done, ctx, row, stored))


async def _piece(ctx: Context, row: UploadRow, offset: int, stream: AsyncIterable[bytes]) -> UploadRow:
    """Store what comes until the end or a break of the connection."""
    writer = await asyncio.to_thread(_PieceWriter, ctx.store, row)
    try:
        with suppress(ClientDisconnect):  # what has come by then is kept
            await _copy(stream, writer, row.size - offset, row)
        size = await asyncio.to_thread(writer.finish)
    except BaseException:
        writer.abort()
        raise
    if not size:
        writer.abort()
        return row
    return await asyncio.to_thread(_count, ctx, row, PieceRow(start=offset, size=size, place=writer.place), writer)


async def _copy(stream: AsyncIterable[bytes], writer: _PieceWriter, limit: int, row: UploadRow) -> None:
    held = bytearray()
    taken = 0
    try:
        async for data in stream:
            taken += len(data)
            if taken > limit:
                raise _too_long(row)
            held += data
            if len(held) >= CHUNK:
                await asyncio.to_thread(writer.write, bytes(held))
                held.clear()
    finally:
        if held:
            await asyncio.to_thread(writer.write, bytes(held))


class _PieceWriter:
    def __init__(self, store: ArtifactStore, row: UploadRow) -> None:
        self._store = store
        self._folder = f"{store.root}/{FOLDER}/{row.id}"
        self.place = uuid.uuid4().hex
        self._size = 0
        store.fs.makedirs(self._folder, exist_ok=True)
        self._file = guarded(lambda: store.fs.open(f"{self._folder}/{self.place}", "wb"))

    def write(self, data: bytes) -> None:
        guarded(lambda: self._file.write(data))
        self._size += len(data)

    def finish(self) -> int:
        if self._store.local:
            guarded(self._file.flush)
            guarded(lambda: os.fsync(self._file.fileno()))
        guarded(self._file.close)
        if self._store.local:
            sync_folder(self._folder)
        return self._size

    def abort(self) -> None:
        for step in (self._file.close, lambda: self._store.fs.rm_file(f"{self._folder}/{self.place}")):
            with suppress(OSError):
                step()


def _count(ctx: Context, row: UploadRow, piece: PieceRow, writer: _PieceWriter) -> UploadRow:
    """From here on the piece counts, unless another one was faster."""
    piece.upload = row.id
    with ctx.db.write() as session:
        moved = update(UploadRow).where(
            UploadRow.id == row.id, UploadRow.received == piece.start, UploadRow.digest.is_(None)
        )
        result = session.execute(moved.values(received=piece.start + piece.size, touched_at=now()))
        counted = result.rowcount == 1  # type: ignore[attr-defined]
        if counted:
            session.add(piece)
        fresh = session.get(UploadRow, row.id, populate_existing=True)
    if not counted:
        writer.abort()
        raise UploadOffset(fresh.received) if fresh is not None else _gone(row.id)
    assert fresh is not None
    return fresh


def _expect(ctx: Context, project: str, upload: str, offset: int) -> UploadRow:
    with ctx.db.read() as session:
        row = _row(session, project, upload)
    if row.digest is None and row.received != offset:
        raise UploadOffset(row.received)
    return row


def _finish(ctx: Context, row: UploadRow) -> UploadRow:
    """All bytes are here: put them together and look whether they are what was promised."""
    with ctx.db.read() as session:
        query = select(PieceRow.place).where(PieceRow.upload == row.id).order_by(PieceRow.start)
        places = [f"{ctx.store.root}/{FOLDER}/{row.id}/{place}" for place in session.scalars(query)]
    whole = ctx.store.upload()
    try:
        for data in _read(ctx.store, places):
            whole.write(data)
        stored = whole.finish(lambda digest, _: _check_digest(digest, row.wanted))
    except FileNotFoundError:  # another request finished it meanwhile
        whole.abort()
        with ctx.db.read() as session:
            return _row(session, row.project, row.id)
    except BaseException as error:
        whole.abort()
        if isinstance(error, Invalid):
            _forget(ctx, [row.id])
        raise
    return _done(ctx, row, stored)


def _read(store: ArtifactStore, places: Sequence[str]) -> Iterator[bytes]:
    for place in places:
        yield from read_range(store.fs.open(place, "rb"), 0, None)


def _check_digest(found: str, wanted: str) -> None:
    if found != wanted:
        raise _mismatch()


def _done(ctx: Context, row: UploadRow, stored: Stored) -> UploadRow:
    with ctx.db.write() as session:
        fresh = session.get(UploadRow, row.id, with_for_update=True)
        if fresh is None:
            raise _gone(row.id)
        fresh.digest, fresh.received, fresh.touched_at = stored.digest, stored.size, now()
        for piece in session.scalars(select(PieceRow).where(PieceRow.upload == row.id)):
            session.delete(piece)
    _remove_pieces(ctx.store, row.id)
    return fresh


def forget_old(ctx: Context, age: float) -> int:
    """Remove uploads that nobody went on with for `age` seconds, finished ones too: a version keeps what it uses."""
    with ctx.db.read() as session:
        old = select(UploadRow.id).where(UploadRow.touched_at < now() - timedelta(seconds=age)).limit(_FORGOTTEN)
        names = list(session.scalars(old))
    _forget(ctx, names)
    _remove_orphans(ctx, age)
    return len(names)


def _remove_orphans(ctx: Context, age: float) -> None:
    """Pieces of uploads whose row went with their project."""
    store = ctx.store
    store.fs.invalidate_cache(f"{store.root}/{FOLDER}")
    with suppress(FileNotFoundError):
        for folder in store.fs.ls(f"{store.root}/{FOLDER}", detail=False):
            upload = str(folder).rsplit("/", 1)[-1]
            with ctx.db.read() as session:
                there = session.get(UploadRow, upload) is not None
            if not there and _age_of(store, str(folder)) > age:
                _remove_pieces(store, upload)


def _age_of(store: ArtifactStore, folder: str) -> float:
    """Seconds since the newest piece came."""
    changed = [store.fs.modified(path).timestamp() for path in store.fs.ls(folder, detail=False)]
    return time.time() - max(changed, default=0.0)


def _forget(ctx: Context, uploads: Sequence[str]) -> None:
    for upload in uploads:
        with ctx.db.write() as session:
            row = session.get(UploadRow, upload, with_for_update=True)
            if row is not None:
                session.delete(row)
        _remove_pieces(ctx.store, upload)


def _remove_pieces(store: ArtifactStore, upload: str) -> None:
    with suppress(FileNotFoundError):
        store.fs.rm(f"{store.root}/{FOLDER}/{upload}", recursive=True)


def _row(session: Session, project: str, upload: str) -> UploadRow:
    row = session.get(UploadRow, upload)
    if row is None or row.project != project:
        raise _gone(upload)
    return row


def _body(row: UploadRow) -> Upload:
    return Upload(id=row.id, digest=row.wanted, size=row.size, received=row.received, done=row.digest is not None)


def _gone(upload: str) -> NotFound:
    return NotFound(f"There is no upload {upload[:50]!r} any more.", code="no_upload", hint="Begin it again.")


def _too_long(row: UploadRow) -> Invalid:
    message = f"More than the announced {row.size:,} bytes came."
    return Invalid(message, code="too_long", hint="The file changed meanwhile: begin again with its new size.")


def _mismatch() -> Invalid:
    return Invalid(
        "The content is not what the digest says.",
        code="digest_mismatch",
        hint="The file changed while it was sent: begin again.",
    )
