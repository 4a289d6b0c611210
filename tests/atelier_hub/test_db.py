"""Transactions, events, moves, leases and migrations, on both databases."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import String, inspect, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from atelier_core.errors import BackendUnavailable, Conflict
from atelier_core.states import Reason, State
from atelier_hub import leases
from atelier_hub.db import Database, Driven, UtcDateTime, emit, move
from atelier_hub.db.events import CounterRow, EventRow, write_pending
from atelier_hub.db.migrate import DatabaseTooNew, config, migrate
from atelier_hub.db.session import _use_wal
from atelier_hub.http.errors import public_error
from tests.harness.postgres import Postgres


class _Own(DeclarativeBase):
    """Tables of this test only; the product's metadata stays as it is."""

    type_annotation_map = {datetime: UtcDateTime}  # noqa: RUF012


class Thing(Driven, _Own):
    __tablename__ = "things"
    subject_kind = "thing"

    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    project: Mapped[str] = mapped_column(String(20))


@pytest.fixture
def things(db: Database) -> Database:
    _Own.metadata.create_all(db.engine)
    return db


def _events(db: Database) -> list[EventRow]:
    with db.read() as session:
        return list(session.scalars(select(EventRow).order_by(EventRow.id)))


def _emit_and_fail(db: Database) -> None:
    with db.write() as session:
        emit(session, "thing.made", subject="x")
        raise ZeroDivisionError


def _together(*work: Callable[[], object]) -> None:
    failures: list[BaseException] = []

    def run(one: Callable[[], object]) -> None:
        try:
            one()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures, failures


def test_many_writers_lose_nothing_and_number_without_gap(db: Database) -> None:
    def write() -> None:
        for n in range(20):
            with db.write() as session:
                emit(session, "thing.made", subject=str(n))
                emit(session, "thing.seen", subject=str(n))

    _together(*[write] * 8)
    assert [event.id for event in _events(db)] == list(range(1, 321))


def test_no_event_becomes_visible_before_a_smaller_one(db: Database) -> None:
    stop = threading.Event()
    broken: list[tuple[int, int]] = []

    def watch() -> None:
        seen = 0
        while not stop.is_set():
            with db.read() as session:
                new = list(session.scalars(select(EventRow.id).where(EventRow.id > seen).order_by(EventRow.id)))
            if new and new != list(range(seen + 1, seen + len(new) + 1)):
                broken.append((seen, new[0]))
            seen = new[-1] if new else seen

    def write() -> None:
        for _ in range(30):
            with db.write() as session:
                emit(session, "thing.made", subject="x")
                session.execute(select(CounterRow)).all()

    watcher = threading.Thread(target=watch)
    watcher.start()
    _together(*[write] * 6)
    stop.set()
    watcher.join(30)
    assert not broken


def test_a_failed_transaction_leaves_no_event_and_no_number(db: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        _emit_and_fail(db)
    with db.write() as session:
        emit(session, "thing.made", subject="y")
    assert [(event.id, event.subject) for event in _events(db)] == [(1, "y")]


def test_listeners_hear_only_of_what_was_committed(db: Database) -> None:
    heard: list[Any] = []
    db.on_events(heard.append)
    with db.write():
        pass
    with pytest.raises(ZeroDivisionError):
        _emit_and_fail(db)
    with db.write() as session:
        emit(session, "thing.made", subject="x")
    assert [[event["id"] for event in events] for events in heard] == [[1]]


def test_a_write_inside_a_write_is_a_bug_that_is_told(db: Database) -> None:
    with db.write(), pytest.raises(RuntimeError, match="pass the session on"), db.write():
        pass
    with db.write() as session:
        emit(session, "thing.made", subject="x")


def test_a_look_sees_one_moment_whatever_is_written_meanwhile(db: Database) -> None:
    with db.read() as session:
        assert not session.scalars(select(EventRow.id)).all()
        with db.write() as other:
            emit(other, "thing.made", subject="x")
        assert not session.scalars(select(EventRow.id)).all()
    assert [event.id for event in _events(db)] == [1]


def test_an_event_kind_has_a_subject_and_a_verb(db: Database) -> None:
    with db.write() as session, pytest.raises(ValueError, match="past tense"):
        emit(session, "made", subject="x")


def test_moves_write_the_row_and_the_event_together(things: Database) -> None:
    with things.write() as session:
        row = Thing(id="a", project="p", state=State.QUEUED)
        session.add(row)
        session.flush()
        assert move(session, row, State.QUEUED, Reason.QUOTA, "wait", actor="alice")
        assert not move(session, row, State.QUEUED, Reason.QUOTA, "wait")
        assert move(session, row, State.RUNNING)
        assert move(session, row, State.FAILED, Reason.EXIT_CODE, "exit code 3")
    assert [event.kind for event in _events(things)] == ["thing.observed", "thing.started", "thing.failed"]
    last = _events(things)[-1]
    assert last.data == {"from": "running", "state": "failed", "reason": "ExitCode", "message": "exit code 3"}
    with things.read() as session:
        found = session.get_one(Thing, "a")
        assert (found.state, found.reason, found.message) == ("failed", "ExitCode", "exit code 3")
        assert found.observed_at.tzinfo is not None


def test_illegal_moves_change_nothing(things: Database) -> None:
    with things.write() as session:
        session.add(Thing(id="a", project="p", state=State.DONE))
    with pytest.raises(Conflict), things.write() as session:
        move(session, session.get_one(Thing, "a"), State.RUNNING)
    assert _events(things) == []


def test_times_without_zone_are_refused(things: Database) -> None:
    with pytest.raises(Exception, match="without a zone"), things.write() as session:
        session.add(Thing(id="a", project="p", state=State.QUEUED, observed_at=datetime(2026, 1, 1)))


def test_one_holder_at_a_time(db: Database) -> None:
    got: list[leases.Lease | None] = []

    def grab(holder: str) -> None:
        with db.write() as session:
            got.append(leases.acquire(session, "engine", holder, 30))

    _together(*[lambda n=n: grab(f"replica-{n}") for n in range(6)])
    assert len([lease for lease in got if lease]) == 1


def test_an_expired_lease_goes_to_the_next_with_a_higher_fence(db: Database) -> None:
    with db.write() as session:
        first = leases.acquire(session, "engine", "a", 30)
        assert first is not None
        assert leases.acquire(session, "engine", "b", 30) is None
    with db.write() as session:
        assert leases.acquire(session, "engine", "a", 0.2) == first, "the holder keeps lease and fence"
    time.sleep(0.4)
    with db.write() as session:
        second = leases.acquire(session, "engine", "b", 30)
    assert second is not None and second.fence > first.fence
    with db.write() as session:
        assert not leases.renew(session, first, 30)
        leases.release(session, first)
        leases.holds(session, second)
        with pytest.raises(Conflict, match="lost"):
            leases.holds(session, first)


def test_renew_and_release(db: Database) -> None:
    with db.write() as session:
        lease = leases.acquire(session, "engine", "a", 2)
        assert lease is not None
    with db.write() as session:
        assert leases.renew(session, lease, 30)
    time.sleep(2.2)
    with db.write() as session:
        leases.holds(session, lease)
        leases.release(session, lease)
        assert leases.acquire(session, "engine", "b", 30) is not None


def test_the_holders_transactions_do_not_wait_for_each_other(postgres_db: Database) -> None:
    """Else those of a process that was paused would be ended one after another before the lease is free."""
    with postgres_db.write() as session:
        lease = leases.acquire(session, "engine", "a", 30)
    assert lease is not None

    def hold_and_renew() -> None:
        with postgres_db.write() as session:
            session.execute(text("SET LOCAL lock_timeout = '1s'"))
            leases.holds(session, lease)
            assert leases.renew(session, lease, 0.1)

    def acquire() -> leases.Lease | None:
        with postgres_db.write() as session:
            return leases.acquire(session, "engine", "b", 30)

    taken: list[leases.Lease | None] = []
    with postgres_db.write() as session:
        leases.holds(session, lease)
        _together(hold_and_renew)
        time.sleep(0.2)
        _together(lambda: taken.append(acquire()))
    assert taken == [None], "its time ran out, but a change is being committed"
    assert acquire() is not None


def test_what_a_paused_process_began_does_not_end_one_after_another(
    postgres_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("atelier_hub.db.session.IDLE_SECONDS", 2)
    monkeypatch.setattr("atelier_hub.db.session.LOCK_SECONDS", 3)
    goes_on = threading.Event()

    def begin() -> None:
        with suppress(DBAPIError), paused.write() as session:
            emit(session, "thing.made", subject="paused")
            write_pending(session)
            goes_on.wait(60)
            session.execute(select(1))

    with closing(Database(postgres_db.url.render_as_string(hide_password=False))) as paused:
        threads = [threading.Thread(target=begin) for _ in range(6)]
        for opened in [paused.engine.connect() for _ in threads]:  # so that all begin at the same moment
            opened.close()
        for thread in threads:
            thread.start()
        until = time.monotonic() + 30
        while _waiting_for_locks(postgres_db) < len(threads) - 1:
            assert time.monotonic() < until
            time.sleep(0.01)
        began = time.monotonic()
        with postgres_db.write() as session:
            session.execute(text("SET LOCAL lock_timeout = 0"))
            emit(session, "thing.made", subject="other")
        waited = time.monotonic() - began
        goes_on.set()
        for thread in threads:
            thread.join(60)
    assert [event.subject for event in _events(postgres_db)] == ["other"]
    assert waited < 9, "one after another would be six times two seconds"


def _waiting_for_locks(db: Database) -> int:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with db.read() as session:
        return session.scalar(text(waiting)) or 0


def test_there_is_one_head() -> None:
    assert len(ScriptDirectory.from_config(config()).get_heads()) == 1


def test_up_check_down(empty_db: Database) -> None:
    migrate(empty_db)
    migrate(empty_db)
    with empty_db.engine.begin() as connection:
        command.check(config(connection))
    with empty_db.engine.execution_options(atelier_write=True).begin() as connection:
        command.downgrade(config(connection), "base")
    assert set(inspect(empty_db.engine).get_table_names()) <= {"alembic_version"}
    migrate(empty_db)
    with empty_db.write() as session:
        emit(session, "thing.made", subject="x")


def test_replicas_that_start_together_migrate_once(empty_db: Database) -> None:
    others = [Database(str(empty_db.url.render_as_string(hide_password=False))) for _ in range(3)]
    _together(*[lambda db=db: migrate(db) for db in [empty_db, *others]])
    for other in others:
        other.close()


class Contended(sqlite3.Cursor):
    """A cursor to which SQLite says a few times what it says when two change the journal at the same moment."""

    left = 3
    words = "database is locked"

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        if self.left:
            self.left -= 1
            raise sqlite3.OperationalError(self.words)
        return super().execute(*arguments)


def test_a_new_file_that_several_open_at_once_becomes_a_write_ahead_log(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "new.sqlite")) as connection:
        cursor = connection.cursor(Contended)
        _use_wal(cursor)
        assert cursor.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        cursor.left, cursor.words = 1, "disk I/O error"
        with pytest.raises(sqlite3.OperationalError, match="I/O"):
            _use_wal(cursor)


def test_a_database_from_the_future_is_left_alone(db: Database) -> None:
    with db.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseTooNew, match="newer version"):
        migrate(db)


def test_a_transaction_that_the_server_ended_is_no_bug(postgres: Postgres) -> None:
    """As when the control plane was paused inside it; a step that was told of a bug failed, and was done twice."""

    def pause(db: Database) -> None:
        with db.read() as session:
            session.execute(text("SET LOCAL idle_in_transaction_session_timeout = '50ms'"))
            time.sleep(1)

    with closing(Database(postgres.database())) as db, pytest.raises(DBAPIError) as ended:
        pause(db)
    assert isinstance(public_error(ended.value), BackendUnavailable)
