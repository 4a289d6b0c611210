"""Answers of the control plane, remembered for a while; who asks the same at the same time shares one question."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from atelier_gateway.errors import Refusal

T = TypeVar("T")
V = TypeVar("V")
_Question = tuple[bytes, str]
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
        self._positive, self._negative = positive, negative
        self._most = most
        # Apart, so that somebody who tries many tokens makes nobody's answer forgotten.
        self._known: dict[_Question, tuple[float, T]] = {}
        self._refused: dict[_Question, tuple[float, Refusal]] = {}
        self._asking: dict[_Question, asyncio.Task[T]] = {}

    async def get(self, token: str, project: str) -> T:
        """The answer, or the refusal raised."""
        question = _question(token, project)
        moment = time.monotonic()
        known = self._known.get(question)
        if known is not None and known[0] > moment:
            return known[1]
        refused = self._refused.get(question)
        if refused is not None and refused[0] > moment:
            raise refused[1].with_traceback(None)
        if question not in self._asking:
            task = asyncio.create_task(self._learn(question, token, project))
            task.add_done_callback(_seen)
            self._asking[question] = task
        return await asyncio.shield(self._asking[question])

    def forget(self, token: str, project: str) -> None:
        """Ask again the next time."""
        self._known.pop(_question(token, project), None)

    async def _learn(self, question: _Question, token: str, project: str) -> T:
        try:
            value = await self._ask(token, project)
        except Refusal as refusal:
            self._known.pop(question, None)
            if refusal.status in _WORTH_REMEMBERING:
                _keep(self._refused, question, (time.monotonic() + self._negative, refusal), self._most)
            raise
        else:
            _keep(self._known, question, (time.monotonic() + self._positive, value), self._most)
            return value
        finally:
            self._asking.pop(question, None)


def _seen(task: asyncio.Task[Any]) -> None:
    """Its refusal is known, also when everybody who asked has left meanwhile."""
    if not task.cancelled():
        task.exception()


def _question(token: str, project: str) -> _Question:
    return hashlib.sha256(token.encode()).digest(), project


def _keep(kept: dict[_Question, V], question: _Question, value: V, most: int) -> None:
    """What was kept first is forgotten first."""
    kept.pop(question, None)
    while len(kept) >= most:
        del kept[next(iter(kept))]
    kept[question] = value
