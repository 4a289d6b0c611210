"""Engines and transactions: `with db.read() as session`, `with db.write() as session`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.orm import Session

from atelier_hub.db.events import write_pending

BUSY_TIMEOUT = 30.0


class Database:
    """One database, shared by all threads of the process."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.engine: Engine = _sqlite_engine(url) if self.sqlite else _postgres_engine(url)
        self._write_engine = self.engine.execution_options(atelier_write=True)
        # SQLite has one writer at a time; waiting here is fair and never ends in "database is locked".
        self._writer = threading.Lock()
        self._writing = threading.local()
        self._listeners: list[Callable[[int], None]] = []

    def on_events(self, listener: Callable[[int], None]) -> None:
        """Call `listener(last_event_id)` after each commit that wrote events, in the committing thread; be quick."""
        self._listeners.append(listener)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent look at the data; nothing is written."""
        session = Session(self.engine, expire_on_commit=False)
        try:
            yield session
        finally:
            session.close()

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction: commits at the end, rolls back on any exception. Keep it short; no network inside."""
        if getattr(self._writing, "active", False):
            raise RuntimeError("db.write() inside db.write() of the same thread: pass the session on instead")
        with self._turn():
            session = Session(self._write_engine, expire_on_commit=False)
            try:
                yield session
                last = write_pending(session)
                session.commit()
            finally:
                session.close()
        if last:
            for listener in self._listeners:
                listener(last)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        self._writing.active = True
        try:
            if self.sqlite:
                with self._writer:
                    yield
            else:
                yield
        finally:
            self._writing.active = False

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()


def _postgres_engine(url: str) -> Engine:
    plain = make_url(url)
    if plain.drivername in {"postgresql", "postgres"}:
        plain = plain.set(drivername="postgresql+psycopg")
    return create_engine(plain, pool_pre_ping=True, pool_size=10, max_overflow=40, pool_timeout=BUSY_TIMEOUT)


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(
        url, pool_size=10, max_overflow=50, pool_timeout=BUSY_TIMEOUT, connect_args={"timeout": BUSY_TIMEOUT}
    )
    event.listen(engine, "connect", _sqlite_connect)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin on its own: `_sqlite_begin` does
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={int(BUSY_TIMEOUT * 1e3)}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    # A transaction that begins as a reader and then writes may fail with "locked" whatever the timeout: writers say so.
    writes = connection.get_execution_options().get("atelier_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
