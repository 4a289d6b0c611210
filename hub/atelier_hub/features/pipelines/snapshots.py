"""Snapshots: a pipeline's folder as tar.gz, uploaded by the client and kept by content."""

from __future__ import annotations

import asyncio
import tarfile
from collections.abc import AsyncIterable
from typing import IO, Any, cast

from sqlalchemy.orm import Session

from atelier_core.errors import Invalid, NotFound
from atelier_hub.auth import Actor
from atelier_hub.context import Context
from atelier_hub.features.pipelines.store import SnapshotRow

DIGEST = r"^sha256:[0-9a-f]{64}$"
MAX_BYTES = 256 * 1024**2
MAX_FILES = 50_000


def require_snapshot(session: Session, project: str, digest: str) -> SnapshotRow:
    """The project's snapshot; somebody else's with the same content does not count."""
    row = session.get(SnapshotRow, (project, digest))
    if row is None:
        raise NotFound("The project has no such snapshot.", hint="Upload the folder: PUT …/snapshots/{digest}.")
    return row


async def receive(ctx: Context, actor: Actor, project: str, digest: str, stream: AsyncIterable[bytes]) -> SnapshotRow:
    """Store what the client sends, if it is what it says and a folder that can be unpacked safely."""
    stored = await ctx.store.put(stream, MAX_BYTES)
    if stored.digest != digest:
        raise Invalid(
            "The content is not what the digest says.",
            code="digest_mismatch",
            hint="Send the file whose SHA-256 is in the address; it may have changed while it was read.",
        )
    return await asyncio.to_thread(_register, ctx, actor, project, stored.digest, stored.size)


def _register(ctx: Context, actor: Actor, project: str, digest: str, size: int) -> SnapshotRow:
    files = list_files(ctx, digest)
    with ctx.db.write() as session:
        row = session.get(SnapshotRow, (project, digest))
        if row is None:
            row = SnapshotRow(
                project=project, digest=digest, blob=digest, size=size, files=files, created_by=actor.name
            )
            session.add(row)
            session.flush()
    return row


class Pieces:
    """Pieces of bytes as a file that can only be read forward."""

    def __init__(self, pieces: Any) -> None:
        self._pieces = pieces
        self._held = b""

    def read(self, size: int) -> bytes:
        """At most `size` bytes; empty at the end."""
        while not self._held:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._held = piece
        taken, self._held = self._held[:size], self._held[size:]
        return taken


def list_files(ctx: Context, digest: str) -> list[str]:
    """The files in a snapshot; refused if one of them would land outside."""
    bad = Invalid(
        "The snapshot is not a readable tar.gz.", code="bad_snapshot", hint="Pack the folder with the atelier client."
    )
    files: list[str] = []
    try:
        with tarfile.open(fileobj=cast(IO[bytes], Pieces(ctx.store.read(digest))), mode="r|gz") as tar:
            for member in tar:
                _check_member(member)
                if member.isfile() or member.issym():
                    files.append(member.name.removeprefix("./"))
                if len(files) > MAX_FILES:
                    raise Invalid(f"The folder has more than {MAX_FILES:,} files.", hint="Ignore what is not code.")
    except (tarfile.TarError, EOFError, OSError, ValueError):
        raise bad from None
    return sorted(files)


def _check_member(member: tarfile.TarInfo) -> None:
    parts = member.name.split("/")
    if member.name.startswith("/") or ".." in parts or "\0" in member.name:
        raise Invalid(f"{member.name[:100]!r} lies outside the folder.", code="bad_snapshot")
    if not (member.isfile() or member.isdir() or member.issym()):
        raise Invalid(f"{member.name[:100]!r} is neither a file nor a folder.", code="bad_snapshot")
