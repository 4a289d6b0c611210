"""What a running gateway consists of."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

from atelier_core.routing import Routes
from atelier_gateway.access import Access
from atelier_gateway.batch_parquet import AT_ONCE
from atelier_gateway.control_plane import ControlPlane
from atelier_gateway.counting import Counters
from atelier_gateway.deliver import Mirrors
from atelier_gateway.limits import Buckets
from atelier_gateway.peers import Peers
from atelier_gateway.request_log import RequestLog
from atelier_gateway.routes_file import RoutesFile
from atelier_gateway.table import Table
from atelier_gateway.waking import MOST_WAITING, Waking

log = logging.getLogger(__name__)
_TICK = 1.0
_TICKS_PER_PRUNE = 10
_TICKS_PER_AGEING = 600


class Stale(Exception):
    """A document older than the one that is in force."""


class Parts:
    """Wired once; the routes come and go."""

    def __init__(
        self,
        data_dir: Path,
        control_plane: ControlPlane,
        secret: str,
        trusted_proxies: tuple[str, ...] = (),
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self.secret = secret
        self.control_plane = control_plane
        self.counters = Counters()
        self.table = Table(self.counters)
        self.access = Access(self.table, control_plane)
        self.waking = Waking(control_plane, most_waiting)
        self.buckets = Buckets()
        self.mirrors = Mirrors()
        self.peers = Peers(trusted_proxies)
        self.file = RoutesFile(data_dir / "routes.json")
        self.log = RequestLog(data_dir / "requests")
        self.spool_folder = data_dir
        self.parquet_turns = asyncio.Semaphore(AT_ONCE)
        self._changing = asyncio.Lock()

    def load(self) -> None:
        """Take over what is on the disk."""
        self.file.clean()
        saved = self.file.load()
        if saved is not None:
            self.table.load(saved)
            log.info("serving %d services of generation %d", len(saved.services), saved.generation)

    async def change(self, routes: Routes) -> None:
        """Save new routes, then follow them. Raises `Stale`, or `OSError` when they cannot be saved."""
        async with self._changing:
            if routes.generation < self.table.generation:
                raise Stale
            await asyncio.to_thread(self.file.save, routes)
            self.table.load(routes)
        awake = {name for name, service in self.table.services.items() if service.has_replicas}
        gone = set(self.waking.waiting()) - set(self.table.services)
        self.waking.changed(awake | gone)
        await asyncio.to_thread(self.log.keep, list(routes.services))

    async def look_after(self) -> None:
        """What has to be done now and then, until cancelled."""
        ticks = 0
        while True:
            await asyncio.sleep(_TICK)
            ticks += 1
            self.log.flush()
            if ticks % _TICKS_PER_PRUNE == 0:
                for upstream in self.table.upstreams():
                    upstream.prune()
            if ticks % _TICKS_PER_AGEING == 1:
                self._age_log()

    def _age_log(self) -> None:
        try:
            self.log.age(time.time())
        except OSError as error:
            log.warning("old lines of the request log cannot be removed: %s", error)

    async def close(self) -> None:
        """At the end."""
        self.log.close()
        await self.control_plane.close()
