"""One open log of a tab: read from the control plane no faster than the browser takes it."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field

from atelier_core.errors import AtelierError, BackendUnavailable
from atelier_server.access import AWAY
from atelier_server.upstream import ControlPlane, segments, waits

PIECE = 256 * 1000
GAP = 0.05  # seconds between two messages of one log
Send = Callable[[dict[str, Any]], Awaitable[None]]
_Name = Field(min_length=1, max_length=255)
_Other = Field(default="", max_length=255)


class OpenLog(BaseModel):
    """Which log, from which byte; `id` is the tab's own name for it. Of a step of a run, or of a `service`.

    A service's `replica` is the id of an attempt.
    """

    model_config = ConfigDict(extra="ignore")

    id: str = Field(min_length=1, max_length=100)
    project: str = _Name
    run: str = _Other
    step: str = _Other
    service: str = _Other
    attempt: int | None = Field(default=None, ge=1, le=10_000)
    replica: str = Field(default="main-0", pattern=r"^[a-z][a-z0-9-]{0,60}$")
    offset: int = Field(default=0, ge=0, le=2**62)

    def address(self, offset: int) -> str:
        """Where the control plane has it, from `offset` on."""
        query: dict[str, Any] = {"follow": "true", "offset": offset}
        if self.service:
            place = segments("projects", self.project, "services", self.service, "replicas", self.replica, "logs")
            return f"{place}?{urlencode(query)}"
        query["replica"] = self.replica
        if self.attempt is not None:
            query["attempt"] = self.attempt
        return f"{segments('projects', self.project, 'runs', self.run, 'steps', self.step, 'logs')}?{urlencode(query)}"


class LogReader:
    """Follows one log until it ends or the tab closes it. At most two pieces of it are in memory."""

    def __init__(self, upstream: ControlPlane, request: OpenLog, send: Send) -> None:
        self._upstream = upstream
        self._request = request
        self._send = send
        self._held = bytearray()
        self._change = asyncio.Condition()
        self._ended = False
        self._read = self._sent = request.offset
        self._decode = codecs.getincrementaldecoder("utf-8")("replace")

    async def run(self) -> None:
        """Until the end, which the browser is told; cancelling is closing."""
        name = self._request.id
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._fetch_all())
                group.create_task(self._pass_on())
        except* AtelierError as errors:
            error = errors.exceptions[0]
            assert isinstance(error, AtelierError)
            said = {"message": error.message, "code": error.code, "hint": error.hint}
            await self._send({"type": "logs.error", "id": name, **said})
        else:
            await self._send({"type": "logs.end", "id": name})

    async def _fetch_all(self) -> None:
        """Read to the end; a connection that breaks is taken up at the byte where it stopped."""
        pauses = waits()
        while not self._ended:
            at = self._read
            try:
                await self._fetch()
            except BackendUnavailable as error:
                if error.code != AWAY:
                    raise
            else:
                async with self._change:
                    self._ended = True
                    self._change.notify_all()
                return
            if self._read > at:
                pauses = waits()
            await asyncio.sleep(next(pauses))

    async def _fetch(self) -> None:
        async with self._upstream.stream(self._request.address(self._read)) as answer:
            async for block in answer.aiter_bytes():
                await self._hold(block)

    async def _hold(self, block: bytes) -> None:
        async with self._change:
            await self._change.wait_for(lambda: len(self._held) < PIECE)
            self._held += block
            self._read += len(block)
            self._change.notify_all()

    async def _pass_on(self) -> None:
        over = False
        while not over:
            async with self._change:
                await self._change.wait_for(lambda: self._held or self._ended)
                piece = bytes(self._held[:PIECE])
                del self._held[:PIECE]
                over = self._ended and not self._held
                self._change.notify_all()
            text = self._decode.decode(piece, final=over)
            self._sent += len(piece)
            if text:
                # Half a character that waits for its rest is read again by whoever begins at this offset.
                offset = self._sent - len(self._decode.getstate()[0])
                message = {"type": "logs.data", "id": self._request.id, "offset": offset, "text": text}
                await self._send(message)
            if not over:
                await asyncio.sleep(GAP)


class OpenLogs:
    """The logs that one tab has open."""

    MOST = 32

    def __init__(self, upstream: ControlPlane, send: Send) -> None:
        self._upstream = upstream
        self._send = send
        self._open: dict[str, asyncio.Task[None]] = {}

    async def open(self, request: OpenLog) -> None:
        """Begin to read; an open log of the same id ends first."""
        await self.close(request.id)
        if len(self._open) >= self.MOST:
            message = f"This tab has {self.MOST} logs open already."
            error = {"message": message, "code": "too_many_logs", "hint": "Close one of them."}
            await self._send({"type": "logs.error", "id": request.id, **error})
            return
        task = asyncio.create_task(LogReader(self._upstream, request, self._send).run())
        self._open[request.id] = task
        task.add_done_callback(lambda done: self._forget(request.id, done))

    async def close(self, name: str) -> None:
        """Stop reading."""
        task = self._open.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    def close_all(self) -> None:
        """The tab is gone."""
        for task in self._open.values():
            task.cancel()

    def _forget(self, name: str, done: asyncio.Task[None]) -> None:
        if self._open.get(name) is done:
            del self._open[name]
        if not done.cancelled():
            done.exception()  # the tab went away in the middle of a message
