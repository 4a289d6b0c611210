"""Engines and transactions: `with db.read() as session`, `with db.write() as session`."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.orm import Session

from atelier_hub.db.events import write_pending

BUSY_TIMEOUT = 30.0
IDLE_SECONDS = 15  # until PostgreSQL ends a transaction whose process was paused, and frees its locks
LOCK_SECONDS = 20  # until it ends one that waits for a lock: else those of a paused process end one after another
_AFTER = "after_commit"
EventListener = Callable[[Sequence[Mapping[str, Any]]], None]


def after_commit(session: Session, done: Callable[[], None]) -> None:
    """Call `done()` once the transaction of `db.write()` is committed, and only then."""
    session.info.setdefault(_AFTER, []).append(done)


class Database:
    """One database, shared by all threads of the process."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.engine: Engine = _sqlite_engine(url) if self.sqlite else _postgres_engine(url)
        self._write_engine = self.engine.execution_options(atelier_write=True)
        # Of itself PostgreSQL shows each query the newest rows, and what two of them say need not fit together.
        one_moment = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._read_engine = self.engine if self.sqlite else self.engine.execution_options(**one_moment)
        # SQLite has one writer at a time; waiting here is fair and never ends in "database is locked".
        self._writer = threading.Lock()
        self._writing = threading.local()
        self._listeners: list[EventListener] = []

    def on_events(self, listener: EventListener) -> None:
        """Call `listener(events)` after each commit that wrote events, in the committing thread; be quick.

        Commits of several threads may be told in another order than that of their ids.
        """
        self._listeners.append(listener)

    def notify(self, channel: str, message: str) -> None:
        """Tell the other replicas that listen on `channel`; on SQLite there are none."""
        if not self.sqlite:
            with self.engine.begin() as connection:
                connection.execute(select(func.pg_notify(channel, message)))

    @contextmanager
    def read(self) -> Iterator[Session]:
        """The data as they are at one moment; nothing is written."""
        session = Session(self._read_engine, expire_on_commit=False)
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
                events = write_pending(session)
                session.commit()
            finally:
                session.close()
            for done in session.info.pop(_AFTER, ()):
                done()
        if events:
            for listener in self._listeners:
                listener(events)

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
    engine = create_engine(plain, pool_pre_ping=True, pool_size=10, max_overflow=40, pool_timeout=BUSY_TIMEOUT)
    event.listen(engine, "connect", _postgres_connect)
    return engine


def _postgres_connect(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
        cursor.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
    connection.commit()


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
    for pragma in (f"busy_timeout={int(BUSY_TIMEOUT * 1e3)}", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    _use_wal(cursor)
    cursor.close()


def _use_wal(cursor: sqlite3.Cursor) -> None:
    """A new database changes its journal once, and SQLite waits for nobody who does so at the same moment."""
    until = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
        time.sleep(0.01)


def _sqlite_begin(connection: Connection) -> None:
    # A transaction that begins as a reader and then writes may fail with "locked" whatever the timeout: writers say so.
    writes = connection.get_execution_options().get("atelier_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
