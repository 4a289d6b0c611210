"""Answers of the control plane, remembered for a while; who asks the same at the same time shares one question."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from atelier_gateway.errors import Refusal

T = TypeVar("T")
POSITIVE_SECONDS, NEGATIVE_SECONDS = 45.0, 5.0
MOST = 10_000
_WORTH_REMEMBERING = frozenset({401, 403, 404, 422})


class Remembered(Generic[T]):
    """`get(token, project)` asks at most once for each pair within the time. Tokens are kept as hashes only."""

    def __init__(
        self,
        ask: Callable[[str, str], Awaitable[T]],
        positive: float = POSITIVE_SECONDS,
        negative: float = NEGATIVE_SECONDS,
        most: int = MOST,
    ) -> None:
        self._ask = ask
        self._seconds = (positive, negative)
        self._most = most
        self._known: dict[tuple[bytes, str], tuple[float, T | Refusal]] = {}
        self._asking: dict[tuple[bytes, str], asyncio.Task[T]] = {}

    async def get(self, token: str, project: str) -> T:
        """The answer, or the refusal raised."""
        key = (hashlib.sha256(token.encode()).digest(), project)
        until, value = self._known.get(key, (0.0, None))
        if value is None or until < time.monotonic():
            if key not in self._asking:
                self._asking[key] = asyncio.create_task(self._learn(key, token, project))
            return await asyncio.shield(self._asking[key])
        if isinstance(value, Refusal):
            raise value.with_traceback(None)
        return value

    def forget(self, token: str, project: str) -> None:
        """Ask again the next time."""
        self._known.pop((hashlib.sha256(token.encode()).digest(), project), None)

    async def _learn(self, key: tuple[bytes, str], token: str, project: str) -> T:
        try:
            value = await self._ask(token, project)
        except Refusal as refusal:
            if refusal.status in _WORTH_REMEMBERING:
                self._keep(key, refusal, self._seconds[1])
            raise
        else:
            self._keep(key, value, self._seconds[0])
            return value
        finally:
            self._asking.pop(key, None)

    def _keep(self, key: tuple[bytes, str], value: T | Refusal, seconds: float) -> None:
        self._known.pop(key, None)
        while len(self._known) >= self._most:
            del self._known[next(iter(self._known))]
        self._known[key] = (time.monotonic() + seconds, value)
