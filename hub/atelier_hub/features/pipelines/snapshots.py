"""Snapshots: a pipeline's folder as tar.gz, uploaded by the client and kept by content."""

from __future__ import annotations

import asyncio
import posixpath
import re
import tarfile
from collections.abc import AsyncIterable, Iterator
from datetime import timedelta

from sqlalchemy import Select, exists, select
from sqlalchemy.orm import Session

from atelier_core.errors import Invalid, NotFound, TooLarge
from atelier_hub.artifacts.store import Stored
from atelier_hub.artifacts.sweep import Sweep
from atelier_hub.artifacts.tars import open_tar
from atelier_hub.auth import Actor
from atelier_hub.context import Context
from atelier_hub.db import now
from atelier_hub.features.pipelines.offer import Offer
from atelier_hub.features.pipelines.store import RevisionRow, RunRow, SnapshotRow

DIGEST = r"^sha256:[0-9a-f]{64}$"
MAX_BYTES = 256 * 1024**2
MAX_UNPACKED = 1024**3
MAX_FILES = 50_000
MAX_NAME = 1000
_FORGOTTEN = 1000  # rows in one transaction
_ANY_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PACK = "Pack the folder with the atelier client."


def require_snapshot(session: Session, project: str, digest: str) -> SnapshotRow:
    """The project's snapshot; somebody else's with the same content does not count."""
    row = session.get(SnapshotRow, (project, digest))
    if row is None:
        raise NotFound("The project has no such snapshot.", hint="Upload the folder: PUT …/snapshots/{digest}.")
    return row


async def receive(ctx: Context, actor: Actor, project: str, digest: str, stream: AsyncIterable[bytes]) -> SnapshotRow:
    """Store what the client sends, if it is what it says and a folder that can be unpacked safely."""
    files: list[str] = []

    def check(found: str, content: Iterator[bytes]) -> None:
        if found != digest:
            raise Invalid(
                "The content is not what the digest says.",
                code="digest_mismatch",
                hint="Send the file whose SHA-256 is in the address; it may have changed while it was read.",
            )
        files.extend(list_files(content))

    stored = await ctx.store.put(stream, MAX_BYTES, check)
    return await asyncio.to_thread(_register, ctx, actor, project, stored, files)


def _register(ctx: Context, actor: Actor, project: str, stored: Stored, files: list[str]) -> SnapshotRow:
    with ctx.db.write() as session:
        row = session.get(SnapshotRow, (project, stored.digest), with_for_update=True)
        if row is None:
            row = SnapshotRow(project=project, digest=stored.digest, blob=stored.digest, size=stored.size, files=files)
            row.created_by = actor.name
            session.add(row)
        row.created_at = now()  # whoever sends it again is about to use it
        session.flush()
    return row


def forget_unused(ctx: Context, age: float) -> int:
    """Remove the snapshots that are older than `age` seconds and that no revision ever used."""
    with ctx.db.write() as session:
        used = select(RevisionRow.id).where(
            RevisionRow.project == SnapshotRow.project, RevisionRow.snapshot == SnapshotRow.digest
        )
        old = select(SnapshotRow).where(SnapshotRow.created_at < now() - timedelta(seconds=age), ~used.exists())
        rows = session.scalars(old.limit(_FORGOTTEN).with_for_update(skip_locked=True, of=SnapshotRow)).all()
        # Asked again now that they are locked: one may have been put to use before.
        gone = [row for row in rows if not session.scalar(_uses(row))]
        for row in gone:
            session.delete(row)
    return len(gone)


def _uses(row: SnapshotRow) -> Select[tuple[bool]]:
    return select(exists().where(RevisionRow.project == row.project, RevisionRow.snapshot == row.digest))


def set_up_sweep(ctx: Context) -> None:
    """Tell who sweeps the store what pipelines need of it."""
    sweep, offer = ctx.get(Sweep), ctx.get(Offer)
    sweep.forgetters.append(lambda age: forget_unused(ctx, age))
    sweep.keepers += [lambda _, digests: digests & offer.code, in_plans]


def in_plans(session: Session, digests: frozenset[str]) -> set[str]:
    """Which of `digests` are code that a run was planned with; templates have no row of their own."""
    found: set[str] = set()
    for plan in session.scalars(select(RunRow.plan).execution_options(yield_per=50)):
        found |= digests & set(_ANY_DIGEST.findall(plan))
    return found


def list_files(content: Iterator[bytes]) -> list[str]:
    """The files in a snapshot; refused if one of them would land outside."""
    bad = Invalid("The snapshot is not a readable tar.gz.", code="bad_snapshot", hint=_PACK)
    files: list[str] = []
    unpacked = count = 0
    try:
        with open_tar(content, "r|gz") as tar:
            for member in tar:
                _check_member(member)
                tar.members.clear()  # type: ignore[attr-defined]  # tarfile would keep every header
                count += 1
                unpacked += member.size + 512
                if unpacked > MAX_UNPACKED:
                    text = f"The folder holds more than {MAX_UNPACKED // 1024**2} MiB when it is unpacked."
                    raise TooLarge(text, hint="Leave data out; give it to the pipeline as an input.")
                if member.isfile() or member.issym():
                    files.append(member.name.removeprefix("./"))
                if count > MAX_FILES:
                    raise Invalid(f"The folder has more than {MAX_FILES:,} files.", hint="Ignore what is not code.")
    except (tarfile.TarError, EOFError, OSError, ValueError):
        raise bad from None
    return sorted(files)


def _check_member(member: tarfile.TarInfo) -> None:
    name, shown = member.name, repr(member.name[:100])
    if max(len(name), len(member.linkname)) > MAX_NAME:
        raise Invalid(f"{shown}… is too long for a name.", code="bad_snapshot", hint=_PACK)
    if name.startswith("/") or ".." in name.split("/") or "\0" in name:
        raise Invalid(f"{shown} lies outside the folder.", code="bad_snapshot", hint=_PACK)
    if not (member.isfile() or member.isdir() or member.issym()):
        raise Invalid(f"{shown} is neither a file nor a folder.", code="bad_snapshot", hint=_PACK)
    if member.issym() and not _stays(posixpath.dirname(name), member.linkname):
        raise Invalid(f"{shown} is a link out of the folder.", code="bad_snapshot", hint=_PACK)


def _stays(folder: str, link: str) -> bool:
    """Whether a link in `folder` leads inside by its text; who unpacks it follows other links and checks again."""
    target = posixpath.normpath(posixpath.join(folder, link))
    return target != ".." and not target.startswith(("/", "../"))
