"""What a back end shows: list, watch, distrust, repair."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Protocol

from atelier_core.backend import Backend
from atelier_core.errors import AtelierError
from atelier_core.states import Reason, State
from atelier_core.workload import Observation
from atelier_hub.engine.ending import end
from atelier_hub.engine.store import Attempt

log = logging.getLogger(__name__)

REPAIR_SECONDS = 600.0
_LONGEST = 15.0
_GONE = "The engine does not know it any more; somebody or something removed it."


class Spectator(Protocol):
    """Who wants to know."""

    def saw(self, seen: Observation) -> None:
        """A workload was seen."""

    def wake(self, attempts: Collection[str]) -> None:
        """Something may have happened to these attempts."""

    def handed_over(self) -> Collection[str]:
        """Attempts whose start is complete, so that the back end must know them."""


class Follower:
    """Keeps one back end open and watches it for as long as `run` runs."""

    def __init__(
        self,
        name: str,
        backend: Backend,
        spectator: Spectator,
        rows: Callable[[], Awaitable[list[Attempt]]],
    ) -> None:
        self._name = name
        self._backend = backend
        self._spectator = spectator
        self._rows = rows
        self.is_open = False

    async def run(self) -> None:
        """Open, watch, and begin again when that fails; ends only when cancelled."""
        wait = 0.2
        while True:
            try:
                await self._backend.open()
                async with self._watching() as watcher:
                    wait = 0.2
                    while not watcher.done():
                        await self._resync()
                        await asyncio.wait([watcher], timeout=REPAIR_SECONDS)
                    watcher.result()
            except AtelierError as error:
                log.warning("Back end %s: %s %s", self._name, error.message, error.hint)
            except Exception:
                log.exception("Back end %s failed", self._name)
            finally:
                self.is_open = False
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST)

    @asynccontextmanager
    async def _watching(self) -> AsyncIterator[asyncio.Task[None]]:
        """Watch while the body runs; the watch begins before the first list, so nothing falls between the two."""
        watcher = asyncio.get_running_loop().create_task(self._watch())
        await asyncio.sleep(0)
        self.is_open = True
        try:
            yield watcher
        finally:
            try:
                await end(watcher)
            finally:
                await self._backend.close()

    async def _watch(self) -> None:
        async for seen in self._backend.watch():
            self._spectator.saw(seen)

    async def _resync(self) -> None:
        """Compare the truth with the rows. Only what was handed over before looking can be missed."""
        handed = frozenset(self._spectator.handed_over())
        attempts = await self._rows()
        self._backend.expect([attempt.handle for attempt in attempts])
        found = {seen.workload: seen for seen in await self._backend.list()}
        for attempt in attempts:
            if attempt.id in found:
                self._spectator.saw(found[attempt.id])
            elif not attempt.final and (attempt.state is State.RUNNING or attempt.id in handed):
                gone = Observation(workload=attempt.id, state=State.FAILED, reason=Reason.GONE, message=_GONE)
                self._spectator.saw(gone)
            self._spectator.wake([attempt.id])
        for unknown in found.keys() - {attempt.id for attempt in attempts}:
            self._spectator.saw(found[unknown])
