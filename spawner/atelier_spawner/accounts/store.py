"""The file that holds accounts: a small SQLite database that only the hub's own user can read."""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from atelier_core.errors import Conflict, Forbidden, NotFound
from atelier_core.names import check_project_name
from atelier_spawner.accounts.passwords import check_password, hash_password, matches, nobody

LINK_SECONDS = 24 * 3600
SETUP_PATH = "atelier-setup"  # below the hub's own prefix
_SCHEMA = """
CREATE TABLE IF NOT EXISTS account (
  name TEXT PRIMARY KEY, admin INTEGER NOT NULL, password TEXT, created_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS link (
  token TEXT PRIMARY KEY, name TEXT NOT NULL REFERENCES account(name) ON DELETE CASCADE, expires_at REAL NOT NULL
);
"""


@dataclass(frozen=True)
class Account:
    """Somebody who may sign in; `ready` once they have chosen a password."""

    name: str
    admin: bool
    ready: bool


class Accounts:
    """People who may sign in, their password hashes and their unused one-time links."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self) -> list[Account]:
        """Every account, the oldest first."""
        with self._open() as db:
            rows = db.execute(
                "SELECT name, admin, password IS NOT NULL FROM account ORDER BY created_at, name"
            ).fetchall()
        return [Account(name, bool(admin), bool(ready)) for name, admin, ready in rows]

    def get(self, name: str) -> Account | None:
        """The account called `name`, if there is one."""
        return next((account for account in self.all() if account.name == name), None)

    def add(self, name: str, *, admin: bool = False, only_one: str = "") -> Account:
        """Add an account without a password. `only_one` is the reason, if any, why there may be no second one."""
        check_project_name(name)
        with self._open() as db:
            names = [row[0] for row in db.execute("SELECT name FROM account")]
            if name in names:
                raise Conflict(f"There is an account called {name!r} already.", code="exists")
            if names and only_one:
                raise Forbidden(f"There can be no account beside {names[0]!r}: {only_one}", code="one_person")
            db.execute("INSERT INTO account VALUES (?, ?, NULL, ?)", (name, int(admin), time.time()))
        return Account(name, admin, ready=False)

    def remove(self, name: str) -> None:
        """Remove an account; its files stay. The last administrator's stays, too."""
        with self._open() as db:
            if db.execute("DELETE FROM account WHERE name = ?", (name,)).rowcount == 0:
                raise NotFound(f"There is no account called {name!r}.")
            if db.execute("SELECT 1 FROM account WHERE admin").fetchone() is None:
                raise Conflict(
                    f"{name!r} is the last who may administer this platform.",
                    code="last_admin",
                    hint="Add another first: atelier user add NAME --admin",
                )

    def set_password(self, name: str, password: str) -> None:
        """Give the account a new password."""
        hashed = hash_password(check_password(password))
        with self._open() as db:
            if db.execute("UPDATE account SET password = ? WHERE name = ?", (hashed, name)).rowcount == 0:
                raise NotFound(f"There is no account called {name!r}.")

    def verify(self, name: str, password: str) -> bool:
        """Whether `password` is the account's; as slow for an account that does not exist."""
        with self._open() as db:
            row = db.execute("SELECT password FROM account WHERE name = ?", (name,)).fetchone()
        known = row[0] if row and row[0] else None
        return matches(password, known or nobody()) and known is not None

    def new_link(self, name: str, seconds: float = LINK_SECONDS) -> str:
        """A token with which `name` may choose a password, once; earlier ones stop working."""
        token = secrets.token_urlsafe(32)
        with self._open() as db:
            if db.execute("SELECT 1 FROM account WHERE name = ?", (name,)).fetchone() is None:
                raise NotFound(f"There is no account called {name!r}.")
            db.execute("DELETE FROM link WHERE name = ? OR expires_at < ?", (name, time.time()))
            db.execute("INSERT INTO link VALUES (?, ?, ?)", (_digest(token), name, time.time() + seconds))
        return token

    def whose_link(self, token: str) -> str | None:
        """The account that `token` is for, while it can still be used."""
        with self._open() as db:
            return _owner(db, token)

    def redeem(self, token: str, password: str) -> str:
        """Use `token` up: its account gets `password`. Returns the account's name."""
        if self.whose_link(token) is None:  # before the slow part, which a stranger must not be able to ask for
            raise _spent()
        hashed = hash_password(check_password(password))
        with self._open() as db:
            name = _owner(db, token)
            if name is None:
                raise _spent()
            db.execute("DELETE FROM link WHERE name = ?", (name,))
            db.execute("UPDATE account SET password = ? WHERE name = ?", (hashed, name))
        return name

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection inside one writing transaction: what is checked in it still holds when it commits."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        db = sqlite3.connect(self.path, timeout=10, isolation_level=None)
        try:
            db.execute("PRAGMA foreign_keys = ON")
            db.executescript(_SCHEMA)
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        finally:
            db.close()


def _owner(db: sqlite3.Connection, token: str) -> str | None:
    row = db.execute(
        "SELECT name FROM link WHERE token = ? AND expires_at > ?", (_digest(token), time.time())
    ).fetchone()
    return row[0] if row else None


def _spent() -> NotFound:
    return NotFound(
        "This link was used already, or it is too old.",
        code="link_spent",
        hint="Sign in with your password, or ask for a new link: atelier user link NAME.",
    )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
