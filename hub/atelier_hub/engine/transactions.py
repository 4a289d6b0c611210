"""The driver's transactions: in threads of its own, and without effect once another process drives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy.orm import Session

from atelier_hub.db import Database
from atelier_hub.engine.election import Turn

T = TypeVar("T")
_THREADS = 8


class Transactions:
    """Looks and changes for as long as `turn` lasts."""

    def __init__(self, db: Database, turn: Turn) -> None:
        self._db = db
        self.turn = turn
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="driver")

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A consistent look, in the calling thread."""
        with self._db.read() as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A change, in the calling thread; nothing of it stays if the turn is over."""
        with self._db.write() as session:
            yield session
            session.flush()
            self.turn.check(session)

    async def run(self, work: Callable[[], T]) -> T:
        """The result of blocking `work` in a thread that waits for no other work than the driver's."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def read(self, look: Callable[[Session], T]) -> T:
        """What `look` sees."""

        def work() -> T:
            with self.reading() as session:
                return look(session)

        return await self.run(work)

    async def write(self, change: Callable[[Session], T]) -> T:
        """Have `change` done and committed."""

        def work() -> T:
            with self.writing() as session:
                return change(session)

        return await self.run(work)

    def close(self) -> None:
        """Begin nothing more; what is under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)
