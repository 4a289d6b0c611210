"""One upstream: its connections, how busy it is, and whether it is better left alone for a moment."""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

from atelier_gateway.connection import Connection, Unreachable

CONNECT_SECONDS = 3.0
MOST_IDLE = 128
IDLE_SECONDS = 30.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0


class Upstream:
    """Something that answers at `url` (`http://host:port`, perhaps with a path)."""

    def __init__(self, id: str, url: str) -> None:
        parts = urlsplit(url)
        self.id = id
        self.url = url
        self.host = parts.hostname or ""
        self.tls = ssl.create_default_context() if parts.scheme == "https" else None
        self.port = parts.port or (443 if self.tls else 80)
        self.netloc = parts.netloc.rpartition("@")[2].encode()
        self.prefix = parts.path.rstrip("/").encode()
        self.outstanding = 0
        self._idle: list[Connection] = []
        self._failures = 0
        self._paused_until = 0.0
        self._retired = False

    async def connect(self, *, fresh: bool = False) -> tuple[Connection, bool]:
        """A connection, and whether it was used before. Raises `Unreachable`."""
        while self._idle and not fresh:
            known = self._idle.pop()
            if not known.closed:
                return known, True
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _transport, made = await loop.create_connection(Connection, self.host, self.port, ssl=self.tls)
        except (OSError, TimeoutError) as error:
            raise Unreachable(f"{self.url} does not accept connections: {error or 'it takes too long'}") from error
        return made, False

    def give_back(self, connection: Connection) -> None:
        """After an exchange: kept for the next one if possible."""
        if connection.reusable and not self._retired and len(self._idle) < MOST_IDLE:
            connection.rest()
            self._idle.append(connection)
        elif not connection.closed:
            connection.close()

    def succeeded(self) -> None:
        """It answered."""
        self._failures = 0
        self._paused_until = 0.0

    def failed(self) -> None:
        """It did not answer: leave it alone for a moment, longer each time."""
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**self._failures)
        self._failures = min(self._failures + 1, 10)
        self._paused_until = asyncio.get_running_loop().time() + pause

    @property
    def paused(self) -> bool:
        """Whether it is left alone now."""
        return self._paused_until > 0 and self._paused_until > asyncio.get_running_loop().time()

    def prune(self) -> None:
        """Let go of connections that nobody used for a while."""
        oldest = asyncio.get_running_loop().time() - IDLE_SECONDS
        for connection in self._idle:
            if connection.idle_since < oldest:
                connection.close()
        self._idle = [connection for connection in self._idle if not connection.closed]

    def retire(self) -> None:
        """It is no longer in the routes: what is under way ends in peace, nothing new comes."""
        self._retired = True
        for connection in self._idle:
            connection.close()
        self._idle.clear()
