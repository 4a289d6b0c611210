"""Only one process drives: by a lock on its data folder that dies with its holder, on PostgreSQL by a lease, too.

A process that was paused does not know that its lease went to another. So every change that it makes as the one who
drives asks for the lease in the same transaction (`Turn.check`), and before it does anything outside the database it
looks at its own clock (`Turn.require`).
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from sqlalchemy.orm import Session

from atelier_core.errors import Conflict
from atelier_hub import leases
from atelier_hub.db import Database
from atelier_hub.engine.ending import end
from atelier_hub.leases import Lease

log = logging.getLogger(__name__)

NAME = "engine"
LEASE_SECONDS = 15.0
_RETRY = 0.2
# Goes on while the machine sleeps, which a paused virtual machine's other clock does not.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class TurnOver(Conflict):
    """This process drives no more."""

    code = "turn_over"


class Turn:
    """The right to drive, which nobody can take from a process that holds the lock on the only database there is."""

    def __init__(self) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def check(self, session: Session) -> None:
        """Raise `TurnOver` unless this process drives until the end of this transaction."""

    def require(self) -> None:
        """Raise `TurnOver` if another process may drive by now; asks nobody."""


class LeasedTurn(Turn):
    """Holds as long as its lease."""

    def __init__(self, lease: Lease, since: float) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self.lease = lease
        self.renewed(since)

    def renewed(self, since: float) -> None:
        """The lease was renewed by a question that was asked at `since`."""
        self._until = since + LEASE_SECONDS

    def check(self, session: Session) -> None:
        """Locks the lease until the end of the transaction: nobody takes it before that is committed."""
        try:
            leases.holds(session, self.lease)
        except Conflict:
            raise self._end() from None

    def require(self) -> None:
        """By this machine's clock, which began before the database's."""
        if clock() >= self._until:
            raise self._end()

    def lose(self) -> None:
        """Step down."""
        if not self.over.done():
            self.over.set_result(None)

    def _end(self) -> TurnOver:
        with suppress(RuntimeError):  # the loop is closed: nobody drives
            self._loop.call_soon_threadsafe(self.lose)
        return TurnOver("Another replica of the control plane drives the engine now; this one changes nothing more.")


class Election:
    """`await election.lead(work)` runs `work(turn)` whenever, and as long as, this process is the one."""

    def __init__(self, db: Database, data_dir: Path) -> None:
        self._db = db
        self._lock_file = data_dir / "engine.lock"
        self._holder = uuid.uuid4().hex

    async def lead(self, work: Callable[[Turn], Awaitable[None]]) -> None:
        """Wait for the turn, work, and begin again when the turn was lost. Ends only when cancelled."""
        while True:
            async with self._file_lock(), self._turn() as turn:
                task = asyncio.ensure_future(work(turn))
                try:
                    await asyncio.wait([task, turn.over], return_when=asyncio.FIRST_COMPLETED)
                    if turn.over.done():
                        log.warning("The lease of the engine was lost; another replica drives it, or nobody yet")
                    elif task.done():
                        task.result()
                finally:
                    await end(task)

    @asynccontextmanager
    async def _file_lock(self) -> AsyncIterator[None]:
        """What steps leave on this machine belongs to one process, even to a paused one."""
        descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(_RETRY)
            yield
        finally:
            os.close(descriptor)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[Turn]:
        if self._db.sqlite:
            yield Turn()
            return
        while (turn := await self._acquire()) is None:
            await asyncio.sleep(1.0)
        renewal = asyncio.ensure_future(self._renew(turn))
        try:
            yield turn
        finally:
            try:
                await end(renewal)
            finally:
                await asyncio.to_thread(self._release, turn.lease)

    async def _renew(self, turn: LeasedTurn) -> None:
        """A database that cannot be reached is asked again until the lease has run out by our own clock."""
        try:
            while True:
                since = clock()
                try:
                    if not await asyncio.to_thread(self._keep, turn.lease):
                        return
                    turn.renewed(since)
                except Exception as error:
                    why = str(error).partition("\n")[0]
                    log.warning("The lease of the engine could not be renewed (%s); trying again", why)
                    turn.require()
                    await asyncio.sleep(1.0)
                    continue
                await asyncio.sleep(LEASE_SECONDS / 3)
        except TurnOver:
            return
        finally:
            turn.lose()

    async def _acquire(self) -> LeasedTurn | None:
        since = clock()
        lease = await asyncio.to_thread(self._take)
        return LeasedTurn(lease, since) if lease else None

    def _take(self) -> Lease | None:
        with self._db.write() as session:
            return leases.acquire(session, NAME, self._holder, LEASE_SECONDS)

    def _keep(self, lease: Lease) -> bool:
        with self._db.write() as session:
            return leases.renew(session, lease, LEASE_SECONDS)

    def _release(self, lease: Lease) -> None:
        try:
            with self._db.write() as session:
                leases.release(session, lease)
        except Exception as error:  # it runs out by itself
            log.warning("The lease of the engine could not be given back: %s", error)


def clock() -> float:
    """Seconds since the machine was started, its sleep included."""
    return time.clock_gettime(_CLOCK)
