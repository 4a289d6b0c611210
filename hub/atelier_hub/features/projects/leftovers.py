"""What deleted projects leave outside of the database: their folders, where members worked together.

The deletion writes down the name, and nobody gets it before the folder is out of the way: a kill at any instant leaves
either the project or the name that is still to be dealt with.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from sqlalchemy import select

from atelier_core.backend import Backend
from atelier_hub.db import Database
from atelier_hub.features.projects.store import RemovedRow

log = logging.getLogger(__name__)
_EVERY = 60.0


class Leftovers:
    """Clears them away. `backends` are those that may have made something for a project."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.backends: Iterable[Backend] = ()
        self._wake: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self) -> None:
        """At the start what an earlier process did not get to; then what is deleted, and again what went wrong."""
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        while True:
            self._wake.clear()
            await asyncio.to_thread(self.set_aside)
            for backend in self.backends:
                await asyncio.to_thread(backend.remove_aside)
            try:
                async with asyncio.timeout(_EVERY):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def deleted(self) -> None:
        """A project was just deleted: its name becomes free before this returns, if that works at once. Blocking."""
        self.set_aside()
        if self._loop is not None and self._wake is not None:
            self._loop.call_soon_threadsafe(self._wake.set)

    def set_aside(self) -> None:
        """Put what deleted projects left where no later project of the name finds it. Blocking."""
        with self._db.read() as session:
            names = list(session.scalars(select(RemovedRow.name).order_by(RemovedRow.name)))
        for name in names:
            try:
                self._set_aside(name)
            except Exception:  # what is wrong with one must keep no other name from becoming free
                log.exception("The files of the deleted project %s cannot be set aside; trying again", name)

    def _set_aside(self, name: str) -> None:
        """The row is locked meanwhile: a second process would take the folder of the next project of this name."""
        with self._db.write() as session:
            row = session.get(RemovedRow, name, with_for_update=True)
            if row is not None:
                for backend in self.backends:
                    backend.set_aside(name)
                session.delete(row)
