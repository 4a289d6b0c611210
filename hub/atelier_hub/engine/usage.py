"""What attempts use now. Engines are asked only while somebody wants to know, for all attempts together.

What was seen is kept in memory alone, for a minute. A process that does not drive asks the one that does.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from atelier_core.backend import Usage
from atelier_core.errors import AtelierError
from atelier_core.workload import ReplicaUsage
from atelier_hub.db import Database, now
from atelier_hub.db.listen import Listener
from atelier_hub.engine import store
from atelier_hub.engine.driver import Driver
from atelier_hub.engine.store import Attempt

log = logging.getLogger(__name__)

CHANNEL = "atelier_usage"
INTERVAL = 2.0  # seconds for which one answer of an engine is good
_PATIENCE = 5.0
_WANTED = 20.0  # seconds after somebody asked for which an attempt is asked for with the others
_KEPT = 60.0
_AGAIN_SOON = 2.0
_AGAIN_LATE = 15.0  # also where nobody needs it: by the answer a shim hears whether its attempt goes on
_MESSAGE_BYTES = 6000  # PostgreSQL takes 8000
_TOGETHER = 100
_NOT_YET = "Nothing was measured yet."


@dataclass(frozen=True)
class Seen:
    """What the replicas of an attempt used at a moment."""

    at: datetime
    moment: float
    replicas: tuple[ReplicaUsage, ...]


@dataclass(frozen=True)
class AttemptUsage:
    """What is known of an attempt: `message` says why nothing is."""

    seen: Seen | None
    message: str = ""


class UsageFigures(BaseModel):
    """`cpu` in cores and `memory` in bytes of all counted `replicas` together, beside what they were given.

    `gpu` is how busy their accelerators are in percent, `gpu_memory` in bytes. Null is what is not known; `message`
    says why.
    """

    at: datetime | None
    replicas: int
    cpu: float | None
    memory: int | None
    cpu_given: float | None
    memory_given: int | None
    gpu: float | None
    gpu_memory: int | None
    message: str


def figures(usage: AttemptUsage) -> UsageFigures:
    """An attempt's replicas together."""
    seen = usage.seen
    found = seen.replicas if seen else ()
    busy = [one.gpu for one in found if one.gpu is not None]
    taken = [one.gpu_memory for one in found if one.gpu_memory is not None]
    return UsageFigures(
        at=seen.at if seen else None,
        replicas=len(found),
        cpu=round(sum(one.cpu for one in found), 3) if found else None,
        memory=sum(one.memory for one in found) if found else None,
        cpu_given=sum(one.cpu_given for one in found) if found else None,
        memory_given=sum(one.memory_given for one in found) if found else None,
        gpu=round(sum(busy) / len(busy), 1) if busy else None,
        gpu_memory=sum(taken) if taken else None,
        message="" if found else usage.message or _NOT_YET,
    )


@dataclass
class _Board:
    """What is asked of one back end, and what became of it."""

    wanted: dict[str, tuple[Attempt, float]] = field(default_factory=dict)
    covered: frozenset[str] = frozenset()
    at: float = float("-inf")
    why: str = ""
    task: asyncio.Task[None] | None = None

    def want(self, attempts: Iterable[Attempt]) -> None:
        moment = time.monotonic()
        self.wanted = {id: one for id, one in self.wanted.items() if one[1] > moment}
        self.wanted |= {one.id: (one, moment + _WANTED) for one in attempts}

    def knows(self, attempts: Iterable[Attempt]) -> bool:
        return time.monotonic() - self.at < INTERVAL and self.covered.issuperset(one.id for one in attempts)


class Usages:
    """What attempts use, for whoever asks; shims report it where their engine cannot tell."""

    def __init__(self, db: Database, driver: Driver) -> None:
        self._db = db
        self._name = secrets.token_hex(8)
        self._driver = driver
        self._boards: dict[str, _Board] = {}
        self._seen: dict[str, Seen] = {}
        self._wanted: dict[str, float] = {}
        self._lock = threading.RLock()  # shims report in threads
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answers: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Hear what other processes of the control plane want and know, until cancelled."""
        listener = Listener(self._db, CHANNEL, self._heard)
        self._loop = asyncio.get_running_loop()
        try:
            listener.start()
            await asyncio.Event().wait()
        finally:
            self._loop = None
            for task in self._answers:
                task.cancel()
            await asyncio.to_thread(listener.stop)

    async def of(self, attempts: Sequence[Attempt]) -> dict[str, AttemptUsage]:
        """What is known now of these attempts, asked anew if it is older than some seconds."""
        self._want([one.id for one in attempts])
        by_backend: dict[str, list[Attempt]] = {}
        for one in attempts:
            by_backend.setdefault(one.backend, []).append(one)
        await asyncio.gather(*(self._look(backend, group) for backend, group in by_backend.items()))
        return {one.id: self._known(one) for one in attempts}

    def report(self, attempt: Attempt, usage: ReplicaUsage) -> float:
        """Take what a shim says of its replica; returns the seconds after which it should say so again."""
        board = self._boards.get(attempt.backend)
        if board is not None and board.at > time.monotonic() - _KEPT and not board.why:
            return _AGAIN_LATE  # its engine can tell
        with self._lock:
            before = self._seen.get(attempt.id)
            others = [one for one in before.replicas if one.name != usage.name] if before else []
            replicas = tuple(sorted((*others[: attempt.replicas - 1], usage), key=lambda one: one.name))
            self._note({attempt.id: replicas})
        self._tell({attempt.id: replicas})
        return _AGAIN_SOON if self._wanted.get(attempt.id, 0.0) > time.monotonic() else _AGAIN_LATE

    def _want(self, attempts: Sequence[str]) -> None:
        moment = time.monotonic()
        with self._lock:
            kept = {id: until for id, until in self._wanted.items() if until > moment}
            self._wanted = kept | dict.fromkeys(attempts, moment + _WANTED)

    # --- asking engines ---

    async def _look(self, backend: str, attempts: Sequence[Attempt]) -> None:
        board = self._boards.setdefault(backend, _Board())
        if not self._driver.is_open(backend):
            await self._ask_the_driver(attempts)
            return
        board.want(attempts)
        for _ in range(2):  # the look that is under way may have begun without these
            if board.knows(attempts):
                break
            if board.task is None:
                board.task = asyncio.get_running_loop().create_task(self._sample(backend, board))
            await asyncio.wait({board.task}, timeout=_PATIENCE)
        if board.why:  # then shims report it, and each to another process
            await self._ask_all("watch", attempts)

    async def _sample(self, backend: str, board: _Board) -> None:
        """One call for all that are wanted of this back end."""
        asked = [attempt for attempt, _ in board.wanted.values()]
        engine = self._driver.backends.get(backend)
        try:
            if not isinstance(engine, Usage):
                board.why = f"The back end {backend} cannot tell what runs there uses."
                return
            async with asyncio.timeout(2 * _PATIENCE):
                found = await engine.usage([attempt.handle for attempt in asked])
            board.why = ""
            self._note({id: replicas for id, replicas in found.items() if replicas})
        except AtelierError as error:
            board.why = error.message
        except TimeoutError:
            board.why = f"The back end {backend} did not answer in time."
        except Exception:
            log.exception("What runs on %s uses could not be found out", backend)
            board.why = f"What runs on {backend} uses could not be found out; the log of the control plane says why."
        finally:
            board.at, board.covered, board.task = time.monotonic(), frozenset(one.id for one in asked), None

    def _known(self, attempt: Attempt) -> AttemptUsage:
        board, seen = self._boards.get(attempt.backend), self._seen.get(attempt.id)
        old = seen is None or time.monotonic() - seen.moment > _KEPT
        return AttemptUsage(None if old else seen, board.why if board else "")

    def _note(self, found: Mapping[str, tuple[ReplicaUsage, ...]]) -> None:
        at, moment = now(), time.monotonic()
        with self._lock:
            kept = {id: one for id, one in self._seen.items() if one.moment > moment - _KEPT}
            self._seen = kept | {id: Seen(at, moment, replicas) for id, replicas in found.items()}

    # --- between processes of the control plane ---

    async def _ask_the_driver(self, attempts: Sequence[Attempt]) -> None:
        """Let whoever drives look, and wait a little for what it tells."""
        names = await self._ask_all("want", attempts)
        until = time.monotonic() + INTERVAL
        while time.monotonic() < until and not all(self._is_fresh(id) for id in names):
            await asyncio.sleep(0.1)

    async def _ask_all(self, how: str, attempts: Sequence[Attempt]) -> list[str]:
        """Say that somebody wants to know; returns those of which nothing new is known."""
        names = [] if self._db.sqlite else [one.id for one in attempts if not self._is_fresh(one.id)]
        for first in range(0, len(names), _TOGETHER):
            await asyncio.to_thread(self._say, {how: names[first : first + _TOGETHER]})
        return names

    def _is_fresh(self, attempt: str) -> bool:
        seen = self._seen.get(attempt)
        return seen is not None and time.monotonic() - seen.moment < INTERVAL

    def _heard(self, text: str) -> None:
        """In the listener's thread."""
        message = json.loads(text) if text else {}
        if message.get("by") == self._name:
            return  # what we have said ourselves is no news, and would never get old
        if "seen" in message:
            self._note({id: tuple(map(ReplicaUsage.model_validate, found)) for id, found in message["seen"].items()})
        elif "watch" in message:
            self._want(message["watch"])
        elif "want" in message:
            self._want(message["want"])
            with self._db.read() as session:
                found = [store.get_attempt(session, id) for id in message["want"]]
            loop, mine = self._loop, [one for one in found if one is not None and self._driver.is_open(one.backend)]
            if loop is not None and mine:
                with suppress(RuntimeError):  # the loop closed meanwhile
                    loop.call_soon_threadsafe(self._begin_answer, mine)

    def _begin_answer(self, attempts: Sequence[Attempt]) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(attempts))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _answer(self, attempts: Sequence[Attempt]) -> None:
        known = await self.of(attempts)
        found = {id: one.seen.replicas for id, one in known.items() if one.seen is not None}
        await asyncio.to_thread(self._tell, found)

    def _tell(self, found: Mapping[str, Collection[ReplicaUsage]]) -> None:
        """Tell the other processes what is known, in messages that are not too long."""
        if self._db.sqlite:
            return
        held: dict[str, list[object]] = {}
        size = 0
        for id, replicas in found.items():
            rows = [one.model_dump(mode="json", exclude_defaults=True) for one in replicas]
            length = len(json.dumps(rows)) + len(id)
            if held and size + length > _MESSAGE_BYTES:
                self._say({"seen": held})
                held, size = {}, 0
            if length <= _MESSAGE_BYTES:
                held[id] = [*rows]
                size += length
        if held:
            self._say({"seen": held})

    def _say(self, message: Mapping[str, object]) -> None:
        try:
            self._db.notify(CHANNEL, json.dumps({"by": self._name, **message}))
        except SQLAlchemyError as error:
            log.warning("The other processes could not be told what runs uses: %s", error)
