"""Who drives, and that nobody else changes anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from atelier_hub import leases
from atelier_hub.db import Database, emit
from atelier_hub.db.events import EventRow
from atelier_hub.engine import election
from atelier_hub.engine.election import Election, Turn, TurnOver
from atelier_hub.engine.transactions import Transactions
from atelier_hub.leases import Lease, LeaseRow


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Data folders of two replicas on two machines."""
    made = tmp_path / "a", tmp_path / "b"
    for folder in made:
        folder.mkdir()
    return made


class Leader:
    """A replica that notes its turns."""

    def __init__(self, kind: type[Election], db: Database, folder: Path) -> None:
        self.turns: list[Turn] = []
        self.leads = False
        self._task = asyncio.ensure_future(kind(db, folder).lead(self._work))

    async def _work(self, turn: Turn) -> None:
        self.turns.append(turn)
        self.leads = True
        try:
            await asyncio.Event().wait()
        finally:
            self.leads = False

    async def stop(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError, OperationalError):
            await self._task


async def _until(what: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not happen in time"
        await asyncio.sleep(0.01)


async def test_one_leads_and_the_other_takes_over(db: Database, folders: tuple[Path, Path]) -> None:
    same = (folders[0], folders[0]) if db.sqlite else folders
    first = Leader(Election, db, same[0])
    await _until(lambda: first.leads)
    second = Leader(Election, db, same[1])
    await asyncio.sleep(1.2)
    assert not second.leads
    await first.stop()
    await _until(lambda: second.leads)
    await second.stop()


async def test_on_one_machine_a_lease_alone_is_not_enough(db: Database, folders: tuple[Path, Path]) -> None:
    """A paused process still holds the lock: what its steps left on this machine is not for two."""
    first = Leader(Election, db, folders[0])
    await _until(lambda: first.leads)
    second = Leader(Election, db, folders[0])
    _expire(db)
    await asyncio.sleep(1.2)
    assert not second.leads
    await first.stop()
    await _until(lambda: second.leads)
    await second.stop()


async def test_a_change_after_the_lease_went_to_another_is_refused(
    postgres_db: Database, folders: tuple[Path, Path]
) -> None:
    old = Leader(Election, postgres_db, folders[0])
    await _until(lambda: old.leads)
    turn = old.turns[0]
    transactions = Transactions(postgres_db, turn)
    await transactions.write(lambda session: emit(session, "thing.made", subject="before"))
    _take_over(postgres_db)
    with pytest.raises(TurnOver):
        await transactions.write(lambda session: emit(session, "thing.made", subject="after"))
    await _until(lambda: not old.leads)
    assert turn.over.done()
    assert _subjects(postgres_db) == ["before"]
    transactions.close()
    await old.stop()


async def test_nobody_takes_the_lease_while_a_change_is_being_committed(
    postgres_db: Database, folders: tuple[Path, Path]
) -> None:
    """The check and the commit are one: between them the lease stays, even if its time runs out."""
    old = Leader(Election, postgres_db, folders[0])
    await _until(lambda: old.leads)
    order: list[str] = []

    def take() -> None:
        _take_over(postgres_db)
        order.append("taken")

    with postgres_db.write() as session:
        old.turns[0].check(session)
        taking = asyncio.ensure_future(asyncio.to_thread(take))
        await asyncio.sleep(0.5)
        order.append("committing")
    await asyncio.wait_for(taking, 10)
    assert order == ["committing", "taken"]
    await old.stop()


async def test_a_replica_that_is_stopped_right_when_it_lost_its_turn_ends(
    postgres_db: Database, folders: tuple[Path, Path]
) -> None:
    """Its work is being cancelled already: its own end must not be taken for that of its work."""
    stopping = asyncio.Event()

    async def work(turn: Turn) -> None:
        try:
            turn.lose()  # type: ignore[attr-defined]
            await asyncio.Event().wait()
        finally:
            stopping.set()
            await asyncio.sleep(0.05)

    leading = asyncio.ensure_future(Election(postgres_db, folders[0]).lead(work))
    await stopping.wait()
    leading.cancel()
    ended, _ = await asyncio.wait([leading], timeout=60)
    leading.cancel()
    assert ended


class Cut(Election):
    """A replica that does not reach the database any more, once it drives."""

    cut = False

    def _take(self) -> Lease | None:
        self._try()
        lease = super()._take()
        self.cut = lease is not None
        return lease

    def _keep(self, lease: Lease) -> bool:
        self._try()
        return super()._keep(lease)

    def _release(self, lease: Lease) -> None:
        if not self.cut:
            super()._release(lease)

    def _try(self) -> None:
        if self.cut:
            raise OperationalError("select", {}, OSError("the network is gone"))


async def test_who_cannot_renew_stops_acting_before_another_may_begin(
    postgres_db: Database, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(election, "LEASE_SECONDS", 2.0)
    began = time.monotonic()
    cut, other = Leader(Cut, postgres_db, folders[0]), Leader(Election, postgres_db, folders[1])
    await _until(lambda: cut.leads or other.leads)
    if not cut.leads:
        await other.stop()
        await _until(lambda: cut.leads)
        other = Leader(Election, postgres_db, folders[1])
    turn = cut.turns[0]
    turn.require()
    both = False
    while not other.leads:
        assert time.monotonic() - began < 120
        await asyncio.sleep(0.005)
        both = both or (cut.leads and other.leads)
    assert not both
    with pytest.raises(TurnOver):
        turn.require()
    await other.stop()
    await cut.stop()


def _expire(db: Database) -> None:
    """As if the holder had been paused for longer than its lease."""
    with db.write() as session:
        session.execute(update(LeaseRow).values(expires_at=0.0))


def _take_over(db: Database) -> None:
    _expire(db)
    while not _taken(db):
        time.sleep(0.01)


def _taken(db: Database) -> bool:
    with db.write() as session:
        return leases.acquire(session, election.NAME, "another", 60) is not None


def _subjects(db: Database) -> list[str]:
    with db.read() as session:
        return list(session.scalars(select(EventRow.subject).order_by(EventRow.id)))
