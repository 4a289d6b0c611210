"""One connection to the platform's event feed for all tabs of this server.

What came lately stays in a ring, from which each tab reads at its own pace; a tab that is further behind reads the
older events over a connection of its own until it reaches the ring. Nobody waits for a slow tab.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections.abc import AsyncIterator

from atelier_core.errors import AtelierError
from atelier_server.access import away
from atelier_server.upstream import REFUSED, ControlPlane, Event, waits

RING = 2000
REFUSED_SECONDS = 30.0
log = logging.getLogger(__name__)


class Relay:
    """The shared end of the feed; it is connected while somebody listens."""

    def __init__(self, upstream: ControlPlane, ring: int = RING) -> None:
        self._upstream = upstream
        self._size = ring
        self._ring: list[Event] = []
        self._floor = 0
        self._listeners = 0
        self._task: asyncio.Task[None] | None = None
        self.last: int | None = None
        """The newest position in the platform's log that is known here."""
        self.trouble: AtelierError | None = None
        """Why the platform cannot be heard now."""
        self.restored = 0
        """How often the platform's log went back, because it was restored from a backup."""
        self.changed = asyncio.Event()
        """Set once something of this changes; then there is a new one."""

    @property
    def live(self) -> bool:
        """Whether the feed is connected now."""
        return self._connected

    _connected = False

    def join(self) -> None:
        """Somebody listens."""
        self._listeners += 1
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="atelier feed")

    def leave(self) -> None:
        """Somebody does not listen any more; when nobody does, the connection ends.

        Its place is not kept: who comes next without one of their own wants what is new then, not what came meanwhile.
        """
        self._listeners -= 1
        if not self._listeners:
            self.stop()
            self._ring, self._floor, self.last = [], 0, None

    def stop(self) -> None:
        """End the connection."""
        if self._task is not None:
            self._task.cancel()
        self._task, self._connected, self.trouble = None, False, None

    def after(self, position: int) -> list[Event] | None:
        """What came after a position; none if the ring does not reach back so far."""
        if position < self._floor and not self._lowered(position):
            return None
        return self._ring[bisect_right(self._ring, position, key=lambda event: event.id) :]

    async def older(self, position: int) -> AsyncIterator[Event]:
        """What came after a position, up to where the ring begins, over a connection of its own."""
        async for event in self._upstream.events(position):
            if isinstance(event, int):
                continue
            if self._ring and event.id >= self._ring[0].id:
                return
            yield event
        raise away("the connection ended")

    @property
    def floor(self) -> int:
        """The position from which on the ring has everything."""
        return self._floor

    def _lowered(self, position: int) -> bool:
        """While the ring is empty it can as well begin earlier: connect again from there."""
        if self._ring or self.last is None:
            return False
        self._floor = position
        if self._task is not None:
            self.stop()
            self._task = asyncio.create_task(self._run(), name="atelier feed")
        return True

    async def _run(self) -> None:
        pauses = waits()
        while True:
            pause = next(pauses)
            try:
                async for arrived in self._upstream.events(self._position()):
                    self._take(arrived)
                    pauses = waits()
            except AtelierError as error:
                self._broken(error)
                pause = REFUSED_SECONDS if error.code == REFUSED else pause
            except Exception:  # a bug must not silence the feed for ever
                log.exception("The event feed broke; connecting again")
            self._connected = False
            await asyncio.sleep(pause)

    def _position(self) -> int | None:
        """From where to go on; None is from now on."""
        if self._ring:
            return self._ring[-1].id
        return self._floor if self.last is not None else None

    def _take(self, arrived: Event | int) -> None:
        if isinstance(arrived, int):
            self._begun(arrived)
        elif not self._ring or arrived.id > self._ring[-1].id:
            self._ring.append(arrived)
            self.last = max(self.last or 0, arrived.id)
            if len(self._ring) > self._size:
                self._floor = self._ring[-self._size - 1].id
                del self._ring[: -self._size]
        self._tell()

    def _begun(self, position: int) -> None:
        """The platform names the position that it begins at: what was asked for, unless its log ends before."""
        asked = self._position()
        if asked is None or position < asked:
            self.restored += asked is not None
            self._ring, self._floor, self.last = [], position, position
        self.trouble, self._connected = None, True

    def _broken(self, error: AtelierError) -> None:
        if self.trouble is None or self.trouble.message != error.message:
            log.info("The event feed is away: %s", error.message)
            self.trouble = error
            self._tell()

    def _tell(self) -> None:
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()
