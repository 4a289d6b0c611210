"""The face of the engine to the rest of the control plane, whether this process drives or another one."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from atelier_core.backend import Backend
from atelier_core.states import State
from atelier_core.workload import Observation
from atelier_hub.db import Database
from atelier_hub.db.listen import Listener
from atelier_hub.engine.driving import Driving
from atelier_hub.engine.election import Turn
from atelier_hub.engine.logs import LogArchive
from atelier_hub.engine.owner import Owner

log = logging.getLogger(__name__)

CHANNEL = "atelier_attempts"
_TOGETHER = 100  # attempts in one message; PostgreSQL takes 8000 bytes


class Driver:
    """The one place where back ends are told to start and stop: by the process whose turn it is."""

    def __init__(self, db: Database, backends: Mapping[str, Backend], archive: LogArchive) -> None:
        self._db = db
        self.backends = backends
        self.owners: dict[str, Owner] = {}
        self._archive = archive
        self._loop: asyncio.AbstractEventLoop | None = None
        self._driving: Driving | None = None

    def wake(self, attempts: Iterable[str]) -> None:
        """Look at these attempts now, whichever process drives; from any thread."""
        todo = list(attempts)
        if self._driving is not None:
            self._call(lambda driving: driving.wake(todo))
            return
        for first in range(0, len(todo), _TOGETHER):
            self._tell({"attempts": todo[first : first + _TOGETHER]})

    def report(self, seen: Observation) -> None:
        """Take what a shim said of itself; from any thread."""
        if self._driving is not None:
            self._call(lambda driving: driving.saw(seen))
        elif seen.state is State.RUNNING:
            self._tell({"running": seen.workload})

    def is_open(self, backend: str) -> bool:
        """Whether the back end can be reached now."""
        return self._driving is not None and self._driving.is_open(backend)

    async def run(self, turn: Turn) -> None:
        """Drive until cancelled. What runs goes on running afterwards."""
        driving = Driving(self._db, self.backends, self.owners, self._archive, turn)
        listener = Listener(self._db, CHANNEL, self._heard)
        self._loop, self._driving = asyncio.get_running_loop(), driving
        try:
            listener.start()
            await driving.run()
        finally:
            self._loop = self._driving = None
            await asyncio.to_thread(listener.stop)

    def _call(self, act: Callable[[Driving], None]) -> None:
        """Have it done in the loop that drives, if it still does; the next one to drive finds out by itself."""
        loop, driving = self._loop, self._driving
        if loop is not None and driving is not None:
            with suppress(RuntimeError):  # the loop closed meanwhile
                loop.call_soon_threadsafe(act, driving)

    def _tell(self, message: Mapping[str, Any]) -> None:
        """Tell the process that drives; it would find out by itself some seconds later."""
        try:
            self._db.notify(CHANNEL, json.dumps(message))
        except SQLAlchemyError as error:
            log.warning("The process that drives could not be told: %s", error)

    def _heard(self, text: str) -> None:
        message: dict[str, Any] = json.loads(text) if text else {}
        if "running" in message:
            seen = Observation(workload=message["running"], state=State.RUNNING)
            self._call(lambda driving: driving.saw(seen))
        else:
            self._call(lambda driving: driving.wake(message.get("attempts")))
