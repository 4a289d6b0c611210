"""Asks replicas whether they are ready, and reads what those said who failed; in tasks beside the rounds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from atelier_core.backend import Endpoints
from atelier_core.errors import AtelierError, BackendUnavailable
from atelier_core.service_view import Probe
from atelier_hub.context import Context
from atelier_hub.engine.driver import Driver
from atelier_hub.engine.reading import last_words
from atelier_hub.engine.store import Attempt
from atelier_hub.features.serving.plan import PORT

log = logging.getLogger(__name__)

NOT_READY = "not_ready"  # a back end's word for: it is there, but does not answer
SECONDS = 2.0
AGAIN_SECONDS = 5.0
_FAST_SECONDS = 0.2
_FAILURES = 3  # that one that was ready may have in a row
HUNG_SECONDS = 60.0
_LINES = 12
_LOG = "main-0"


@dataclass(frozen=True)
class Asked:
    """A replica that runs: where its health is, whether it was ready when it was looked at last, and where it was."""

    attempt: Attempt
    health: str
    ready: bool
    url: str = ""


@dataclass
class _Record:
    probe: Probe | None = None
    due: float = 0.0
    failures: int = 0
    failing_since: float | None = None
    was_ready: bool = False


class Prober:
    """`probes` and `words` are what was found out; `changed` is called when something new is there."""

    def __init__(self, context: Context, changed: Callable[[], None]) -> None:
        self._context = context
        self._changed = changed
        self._records: dict[str, _Record] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._http = httpx.AsyncClient(timeout=SECONDS, trust_env=False, follow_redirects=False)
        self.words: dict[str, str] = {}

    @property
    def probes(self) -> dict[str, Probe]:
        """What each replica answered last."""
        return {attempt: one.probe for attempt, one in self._records.items() if one.probe is not None}

    def hung(self) -> frozenset[str]:
        """Those that were ready once and have not answered for long."""
        moment = asyncio.get_running_loop().time()
        return frozenset(
            attempt
            for attempt, one in self._records.items()
            if one.was_ready and one.failing_since is not None and moment - one.failing_since > HUNG_SECONDS
        )

    def look(self, replicas: Mapping[str, Asked], silent: Mapping[str, Attempt]) -> float:
        """Ask those whose time has come; read the last words of `silent`. Returns seconds until the next is due."""
        self._records = {attempt: self._records.get(attempt, _Record()) for attempt in replicas}
        self.words = {attempt: text for attempt, text in self.words.items() if attempt in silent}
        moment = asyncio.get_running_loop().time()
        for attempt, asked in replicas.items():
            record = self._records[attempt]
            record.was_ready = record.was_ready or asked.ready
            if record.due <= moment:
                self._task(attempt, self._ask(asked, record))
        for attempt, found in silent.items():
            if attempt not in self.words:
                self._task(f"{attempt} words", self._read(found))
        waits = [record.due - moment for record in self._records.values() if record.due > moment]
        return max(_FAST_SECONDS, min(waits, default=SECONDS))

    async def close(self) -> None:
        """End what is under way."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._http.aclose()

    def _task(self, key: str, work: Coroutine[Any, Any, None]) -> None:
        if key in self._tasks:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work, name=f"probe {key}")
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    async def _ask(self, asked: Asked, record: _Record) -> None:
        loop = asyncio.get_running_loop()
        before = record.probe
        url = await self._answer(asked, (before.url if before is not None else "") or asked.url)
        if url:
            record.failures, record.failing_since, record.was_ready = 0, None, True
            record.probe = Probe(url, True)
        else:
            record.failures += 1
            record.failing_since = record.failing_since or loop.time()
            if not asked.ready or record.failures >= _FAILURES:
                record.probe = Probe("", False)
        steady = record.probe is not None and record.probe.ok and not record.failures
        record.due = loop.time() + (AGAIN_SECONDS if steady else _FAST_SECONDS)
        if record.probe != before:
            self._changed()

    async def _answer(self, asked: Asked, known: str) -> str:
        """Where the replica is, if it is ready; `known` is where it was."""
        try:
            url = await self._place(asked.attempt, known)
            if not url:
                return ""
            async with asyncio.timeout(SECONDS):
                # Its body is nobody's business, and may have no end.
                async with self._http.stream("GET", url + (asked.health or "/")) as answer:
                    good = answer.is_success if asked.health else answer.status_code < 500
        except (AtelierError, httpx.HTTPError, TimeoutError):
            return ""
        except Exception:
            log.exception("Replica %s could not be asked for its health", asked.attempt.id)
            return ""
        return url if good else ""

    async def _place(self, attempt: Attempt, known: str) -> str:
        """Where its back end has it. One that is away says nothing about the replica, which may well go on serving."""
        backend = self._context.get(Driver).backends.get(attempt.backend)
        if not isinstance(backend, Endpoints):
            return ""
        try:
            async with asyncio.timeout(SECONDS):
                return await backend.endpoint(attempt.handle, PORT)
        except BackendUnavailable as error:
            return "" if error.code == NOT_READY else known
        except TimeoutError:
            return known

    async def _read(self, attempt: Attempt) -> None:
        words = ""
        try:
            async with asyncio.timeout(10):
                words = await last_words(self._context, attempt, _LOG, _LINES)
        except (AtelierError, TimeoutError, OSError) as error:
            log.info("The last words of %s could not be read: %s", attempt.id, error)
        self.words[attempt.id] = words
        self._changed()
