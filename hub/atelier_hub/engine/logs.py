"""Logs outlive what wrote them: before an attempt is removed from its engine, its log is complete in the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from atelier_core.backend import Backend
from atelier_core.errors import AtelierError
from atelier_core.states import State
from atelier_hub.artifacts.logs import LogStore
from atelier_hub.engine.store import Attempt

log = logging.getLogger(__name__)
_LAST_WORDS = 10.0  # seconds that a log may take to end after its process did
_PIECE = 1024**2


class LogArchive:
    """Copies logs from back ends to the log store."""

    def __init__(self, logs: LogStore) -> None:
        self.logs = logs
        self._copied = 0

    @asynccontextmanager
    async def keeping(self, backend: Backend, attempt: Attempt, replicas: Sequence[str]) -> AsyncIterator[None]:
        """Whatever the body ends and removes, the log up to its last byte is kept.

        Of an attempt that is over, nothing is removed while the store does not take its log: the store's error is
        raised, for there is time to try again.
        """
        loop = asyncio.get_running_loop()
        todo = () if attempt.state is State.QUEUED else replicas  # its handle may have been lost with its process
        # Asked for first: it may take longer than what is to be copied stays.
        ends = await asyncio.gather(*(self._end(attempt, replica) for replica in todo))
        known = [(replica, end) for replica, end in zip(todo, ends, strict=True) if end is not None]
        copies = [loop.create_task(self._copy(backend, attempt, replica, end)) for replica, end in known]
        if copies and not attempt.final:
            await asyncio.sleep(0.05)  # let the readers open the log before it is removed
        try:
            if attempt.final:
                await self._wait(copies)
                _raise_first(copies)
            yield
            await self._wait(copies)
        finally:
            for copy in copies:
                copy.cancel()

    async def _wait(self, copies: Sequence[asyncio.Task[Exception | None]]) -> None:
        """Until all are done; given up only when nothing comes any more."""
        pending: set[asyncio.Task[Exception | None]] = set(copies)
        while pending:
            before = self._copied
            _, pending = await asyncio.wait(pending, timeout=_LAST_WORDS)
            if self._copied == before:
                return

    async def _end(self, attempt: Attempt, replica: str) -> int | None:
        """How much the store has already; None while it cannot be asked, which holds up no attempt that still runs."""
        try:
            return await asyncio.to_thread(self.logs.end, attempt.id, replica)
        except Exception:
            if attempt.final:
                raise
            log.exception("Log of %s %s could not be kept", attempt.id, replica)
            return None

    async def _copy(self, backend: Backend, attempt: Attempt, replica: str, end: int) -> Exception | None:
        """Add what the store does not have yet, from `end` on: a copy that was cut short goes on where it stopped.

        What the store raised is returned.
        """
        at, stored, whole, problem = 0, 0, not end, None
        try:
            async for piece in pieces(backend.logs(attempt.handle, replica, follow=True)):
                fresh = piece[max(0, end - at) :]
                at += len(piece)
                self._copied += len(piece)
                if fresh:
                    try:
                        end = await asyncio.to_thread(self.logs.append, attempt.id, replica, end, fresh)
                    except Exception as error:
                        problem = error
                        raise
                    stored += 1
        except AtelierError as error:
            log.info("Log of %s %s: %s", attempt.id, replica, error.message)
        except Exception:
            log.exception("Log of %s %s could not be kept", attempt.id, replica)
        if stored > 1 or not whole:
            with suppress(AtelierError, OSError):
                await asyncio.to_thread(self.logs.compact, attempt.id, replica)
        return problem


def _raise_first(copies: Sequence[asyncio.Task[Exception | None]]) -> None:
    for copy in copies:
        problem = copy.result() if copy.done() else None
        if problem is not None:
            raise problem


async def pieces(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Join small reads that are there already, so that a log of many lines is not stored line by line."""
    held = bytearray()
    started = asyncio.get_running_loop().time()
    async for data in stream:
        held += data
        now = asyncio.get_running_loop().time()
        if len(held) >= _PIECE or now - started > 1.0:
            yield bytes(held)
            held.clear()
            started = now
    if held:
        yield bytes(held)
