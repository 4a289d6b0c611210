"""Only one process drives: on SQLite by a file lock that dies with its holder, on PostgreSQL by a lease."""

from __future__ import annotations

import asyncio
import fcntl
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from atelier_hub import leases
from atelier_hub.db import Database
from atelier_hub.leases import Lease

NAME = "engine"
LEASE_SECONDS = 15.0
_RETRY = 0.2


class Election:
    """`await election.lead(work)` runs `work()` whenever, and as long as, this process is the one."""

    def __init__(self, db: Database, data_dir: Path) -> None:
        self._db = db
        self._lock_file = data_dir / "engine.lock"
        self._holder = uuid.uuid4().hex

    async def lead(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait for the turn, work, and begin again when the turn was lost. Ends only when cancelled."""
        while True:
            async with self._turn() as lost:
                task = asyncio.ensure_future(work())
                try:
                    await asyncio.wait([task, lost], return_when=asyncio.FIRST_COMPLETED)
                    if task.done():
                        task.result()
                finally:
                    task.cancel()
                    with suppress(asyncio.CancelledError, Exception):
                        await task

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[asyncio.Future[None]]:
        """Holds the turn; the future is done when it was lost."""
        if self._db.sqlite:
            async with self._file_lock() as never:
                yield never
        else:
            async with self._lease() as lost:
                yield lost

    @asynccontextmanager
    async def _file_lock(self) -> AsyncIterator[asyncio.Future[None]]:
        descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(_RETRY)
            yield asyncio.get_running_loop().create_future()
        finally:
            os.close(descriptor)

    @asynccontextmanager
    async def _lease(self) -> AsyncIterator[asyncio.Future[None]]:
        while (lease := await asyncio.to_thread(self._acquire)) is None:
            await asyncio.sleep(1.0)
        renewal = asyncio.ensure_future(self._renew(lease))
        try:
            yield renewal
        finally:
            renewal.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await renewal
            await asyncio.to_thread(self._release, lease)

    async def _renew(self, lease: Lease) -> None:
        while await asyncio.to_thread(self._keep, lease):
            await asyncio.sleep(LEASE_SECONDS / 3)

    def _acquire(self) -> Lease | None:
        with self._db.write() as session:
            return leases.acquire(session, NAME, self._holder, LEASE_SECONDS)

    def _keep(self, lease: Lease) -> bool:
        with self._db.write() as session:
            return leases.renew(session, lease, LEASE_SECONDS)

    def _release(self, lease: Lease) -> None:
        with self._db.write() as session:
            leases.release(session, lease)
