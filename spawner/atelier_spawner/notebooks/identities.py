"""Numbers that people and projects run under on a shared machine: allocated once, never used again for another.

No system accounts are needed: a number that the system has no name for is as good a border as one that it has.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atelier_core.errors import Forbidden, Invalid

FIRST = 20_000
LAST = 59_999
_SCHEMA = """
CREATE TABLE IF NOT EXISTS identity (
  number INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (kind, name)
);
CREATE TABLE IF NOT EXISTS person (one INTEGER PRIMARY KEY CHECK (one = 1), name TEXT NOT NULL);
"""


class Identities:
    """The table of numbers, in one file that several processes may use at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def uid(self, user: str) -> int:
        """The uid (and gid) of the user's processes and files."""
        return self._number("user", user)

    def gid(self, project: str) -> int:
        """The uid of the project's services and the gid of its folder; its members hold it as a further group."""
        return self._number("project", project)

    def retire_gid(self, project: str) -> None:
        """The project is deleted: whoever takes its name gets another number. Its own stays taken, for old files and
        processes may still have it."""
        with self._open() as db:
            # No name has a slash, so this one is nobody's.
            db.execute(
                "UPDATE identity SET name = name || '/' || number WHERE kind = 'project' AND name = ?", (project,)
            )

    def only_person(self, name: str, reason: str) -> None:
        """Remember the first person who comes, and refuse anybody else because of `reason`."""
        with self._open() as db:
            db.execute("INSERT OR IGNORE INTO person VALUES (1, ?)", (name,))
            owner = db.execute("SELECT name FROM person").fetchone()[0]
        if owner != name:
            raise Forbidden(f"Only {owner!r} can use this platform: {reason}", code="one_person")

    def _number(self, kind: str, name: str) -> int:
        with self._open() as db:
            row = db.execute("SELECT number FROM identity WHERE kind = ? AND name = ?", (kind, name)).fetchone()
            if row is not None:
                return int(row[0])
            number = int(db.execute("SELECT COALESCE(MAX(number), ?) + 1 FROM identity", (FIRST - 1,)).fetchone()[0])
            if number > LAST:
                raise Invalid(f"All {LAST - FIRST + 1} numbers for users and projects are taken.", code="no_numbers")
            db.execute("INSERT INTO identity VALUES (?, ?, ?)", (number, kind, name))
        return number

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        db = sqlite3.connect(self.path, timeout=10, isolation_level=None)
        try:
            db.executescript(_SCHEMA)
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        finally:
            db.close()
