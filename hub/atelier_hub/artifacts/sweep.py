"""Takes from the store what nothing refers to: refused uploads, outputs of attempts that are gone.

What keeps a stored content is a column named `digest` or `blob` in any table; where a feature names contents elsewhere,
it adds a keeper. Young contents stay, for whoever stored them may not have said so yet. Every step may be cut short: a
content that is being removed lies under another name, and the next sweep decides about it. Store and database know each
other by a number: under a database that was named by mistake everything would look as if nobody needed it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.orm import Session

from atelier_hub import leases
from atelier_hub.artifacts.store import TEMPORARY, ArtifactStore, check_digest
from atelier_hub.db import Base, Database
from atelier_hub.leases import LeaseRow

log = logging.getLogger(__name__)

AGE = 24 * 3600.0
EVERY = 6 * 3600.0
_FIRST = 600.0  # seconds after the start, when there is more to do than this
_MOST = 50_000  # contents in one sweep: their digests are in memory
_CHUNK = 500
_STORE, _FOR_EVER = "store", 1e9  # the lease that holds the store's number
_COLUMNS = frozenset({"blob", "digest"})

Keeper = Callable[[Session, frozenset[str]], Iterable[str]]
"""Which of some digests are still needed; called in a transaction that only reads."""


class Sweep:
    """The one who removes contents. Features add to `keepers` what they need beside what columns name."""

    def __init__(self, db: Database, store: ArtifactStore, age: float = AGE) -> None:
        self._db = db
        self._store = store
        self._age = age
        self._holder = uuid.uuid4().hex
        self._trash = f"{store.root}/trash"
        self._owner = f"{store.root}/database"
        self.keepers: list[Keeper] = []
        self.forgetters: list[Callable[[float], int]] = []
        """Called first, with the age: remove rows that keep a content and that nothing needs."""

    async def run(self) -> None:
        """Sweep now and then, one process of all that share the database."""
        await asyncio.sleep(_FIRST)
        while True:
            if await asyncio.to_thread(self._is_my_turn):
                await asyncio.to_thread(self.sweep)
            await asyncio.sleep(EVERY)

    def _is_my_turn(self) -> bool:
        with self._db.write() as session:
            return leases.acquire(session, "sweep", self._holder, EVERY / 2) is not None

    def sweep(self) -> int:
        """Blocking: one round; how many contents were removed."""
        if not self._belongs_to_database():
            log.error("Nothing is removed from the store: it belongs to another database (see %s)", self._owner)
            return 0
        rows = sum(forget(self._age) for forget in self.forgetters)
        self._clear_temporary()
        self._decide_trash()
        old = self._old()
        unneeded = old - self._needed(old)
        removed = sum(self._remove(digest) for digest in sorted(unneeded))
        if rows or removed:
            log.info("Removed %d contents from the store that nothing refers to, and %d rows", removed, rows)
        return removed

    def _belongs_to_database(self) -> bool:
        """Whether the store is this database's; a store of nobody becomes it."""
        fs = self._store.fs
        known = fs.cat_file(self._owner).decode() if fs.exists(self._owner) else ""
        with self._db.write() as session:
            number = session.scalar(select(LeaseRow.holder).where(LeaseRow.name == _STORE))
            if number is None and not known:
                number = self._holder
                leases.acquire(session, _STORE, number, _FOR_EVER)
        if not known and number:
            fs.pipe_file(self._owner, number.encode())
        return known in ("", number)

    def _needed(self, digests: set[str]) -> set[str]:
        """Those that something refers to."""
        found: set[str] = set()
        with self._db.read() as session:
            for column in [c for table in Base.metadata.tables.values() for c in table.c if c.name in _COLUMNS]:
                for some in _chunks(digests - found):
                    found |= set(session.scalars(select(column).where(column.in_(some)).distinct()))
            for keeper in self.keepers:
                if left := frozenset(digests - found):
                    found |= set(keeper(session, left)) & digests
        return found

    def _old(self) -> set[str]:
        """Contents that are old enough to be removed."""
        found: set[str] = set()
        for folder in self._names(f"{self._store.root}/sha256"):
            for path in self._names(folder):
                if self._is_old(path):
                    found.add("sha256:" + path.rsplit("/", 1)[-1])
                if len(found) >= _MOST:
                    return found
        return found

    def _remove(self, digest: str) -> bool:
        """Remove a content, unless it was stored again while we asked who needs it."""
        path = self._store.path(digest)
        if not self._store.local:  # an object has no second name: looked at once more, and gone
            if self._is_old(path):
                self._store.delete(digest)
            return True
        os.makedirs(self._trash, mode=0o700, exist_ok=True)
        aside = f"{self._trash}/{check_digest(digest)}-{uuid.uuid4().hex}"
        try:
            os.rename(path, aside)
        except FileNotFoundError:
            return False
        return self._decide(aside, needed=False)

    def _decide_trash(self) -> None:
        """Put back or remove what an earlier sweep had set aside when it was cut short."""
        left = {path: _digest(path) for path in self._names(self._trash)}
        needed = self._needed(set(left.values()))
        for path, digest in left.items():
            self._decide(path, needed=digest in needed)

    def _decide(self, aside: str, *, needed: bool) -> bool:
        if needed or not self._is_old(aside):
            with suppress(FileExistsError):
                os.link(aside, self._store.path(_digest(aside)))
            os.unlink(aside)
            return False
        os.unlink(aside)
        return True

    def _clear_temporary(self) -> None:
        """Uploads whose process died; one that goes on is written to."""
        for path in self._names(f"{self._store.root}/{TEMPORARY}"):
            if self._is_old(path):
                with suppress(FileNotFoundError):
                    self._store.fs.rm_file(path)

    def _names(self, folder: str) -> list[str]:
        self._store.fs.invalidate_cache(folder)
        try:
            return [str(path) for path in self._store.fs.ls(folder, detail=False)]
        except FileNotFoundError:
            return []

    def _is_old(self, path: str) -> bool:
        try:
            changed: float = self._store.fs.modified(path).timestamp()
        except FileNotFoundError:
            return False
        return time.time() - changed > self._age


def _digest(aside: str) -> str:
    return "sha256:" + aside.rsplit("/", 1)[-1].partition("-")[0]


def _chunks(digests: set[str]) -> Iterator[list[str]]:
    ordered = sorted(digests)
    return (ordered[start : start + _CHUNK] for start in range(0, len(ordered), _CHUNK))
