"""Bytes for a visitor who may not take them yet: few in memory, more on the disk, and no more than `MOST_SPOOLED`.

Many clients send a whole request before they read of the answer; one that streams must not wait for them to.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import deque
from pathlib import Path

from atelier_gateway.errors import Refusal

IN_MEMORY = 1024**2
MOST_SPOOLED = 256 * 1024**2
SEGMENT = 16 * 1024**2
_PIECE = 256 * 1024


class _Segment:
    """A part that is on the disk, in a file without a name: the room comes back when it is read."""

    def __init__(self, folder: Path) -> None:
        self.file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by `close`
        self.written = self.taken = 0

    def put(self, data: bytes) -> None:
        """Add to its end."""
        done = 0
        while done < len(data):
            done += os.pwrite(self.file.fileno(), data[done:], self.written + done)
        self.written += len(data)

    def get(self) -> bytes:
        """What is next."""
        data = os.pread(self.file.fileno(), min(_PIECE, self.written - self.taken), self.taken)
        self.taken += len(data)
        return data


class Spool:
    """One writes, one reads. What is read comes in the order in which it was written."""

    def __init__(self, folder: Path, timeout: float, most: int = MOST_SPOOLED) -> None:
        self._folder = folder
        self._timeout = timeout
        self._most = most
        self._memory: deque[bytes] = deque()
        self._segments: deque[_Segment] = deque()
        self.waiting = 0
        """Bytes that nobody has read yet."""
        self._over = False
        self._changed = asyncio.Event()
        self._disk = asyncio.Lock()

    async def write(self, data: bytes) -> None:
        """Add to it; waits while there is no room, but not for ever."""
        while self.waiting > self._most:
            await self._until_changed()
        in_memory = not self._segments and self.waiting + len(data) <= IN_MEMORY
        self.waiting += len(data)
        if in_memory:
            self._memory.append(data)
        else:
            await self._to_disk(data)
        self._changed.set()

    async def read(self) -> bytes:
        """What is next; empty at the end."""
        data = b""
        while not data:
            if self._memory:
                data = b"".join(self._memory)
                self._memory.clear()
            elif self._segments:
                data = await self._from_disk()
            elif self._over:
                break
            else:
                self._changed.clear()
                await self._changed.wait()
        self.waiting -= len(data)
        self._changed.set()
        return data

    async def flushed(self) -> None:
        """Until everything was read."""
        while self.waiting:
            self._changed.clear()
            await self._changed.wait()

    def end(self) -> None:
        """Nothing more comes."""
        self._over = True
        self._changed.set()

    def close(self) -> None:
        """Let go of what is on the disk."""
        while self._segments:
            self._segments.popleft().file.close()

    async def _until_changed(self) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(self._timeout):
                await self._changed.wait()
        except TimeoutError:
            raise Refusal(
                408,
                f"Nothing of the answer was taken for {self._timeout:g} seconds, and {self.waiting:,} bytes wait.",
                code="answer_not_taken",
                hint="Read the answer while you send, or send fewer rows at once.",
                closes=True,
            ) from None

    async def _to_disk(self, data: bytes) -> None:
        try:
            async with self._disk:
                if not self._segments or self._segments[-1].written >= SEGMENT:
                    self._segments.append(await asyncio.to_thread(_Segment, self._folder))
                await asyncio.to_thread(self._segments[-1].put, data)
        except OSError as error:
            self.waiting -= len(data)
            raise Refusal(
                507,
                f"The answer cannot be kept until you take it: {error.strerror}.",
                code="storage_full",
                hint="Read the answer while you send, or send fewer rows at once.",
                closes=True,
            ) from error

    async def _from_disk(self) -> bytes:
        async with self._disk:
            first = self._segments[0]
            data = await asyncio.to_thread(first.get)
            if first.taken == first.written:
                self._segments.popleft().file.close()
        return data
