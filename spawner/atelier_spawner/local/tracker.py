"""Watches live shims by pidfd and tells what changed: the end of a shim is seen at once, nothing is polled."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field

from atelier_core.workload import Observation
from atelier_spawner.local.attempt import Attempt
from atelier_spawner.local.pidfd import pidfd_open, pidfd_send_signal

log = logging.getLogger(__name__)
_MARGIN = 1.0
_STUCK_RETRY = 1.0


@dataclass
class _Tracked:
    attempt: Attempt
    shims: dict[str, int] = field(default_factory=dict)  # replica: pidfd
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    ending: bool = False


class Tracker:
    """The live workloads of this process's event loop. `on_end` is called once per workload, when all of it ended."""

    def __init__(self, on_end: Callable[[str], None]) -> None:
        self._on_end = on_end
        self._tracked: dict[str, _Tracked] = {}
        self._subscribers: set[asyncio.Queue[Observation]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, attempt: Attempt) -> None:
        """Watch every replica of `attempt` that has a claim; again is fine."""
        tracked = self._tracked.setdefault(attempt.workload, _Tracked(attempt))
        for replica in attempt.record.replicas if attempt.record else ():
            if replica.name not in tracked.shims and not attempt.ended(replica.name):
                self._follow_shim(tracked, replica.name)
        self._changed(tracked)

    async def ended(self, workload: str, limit: float) -> bool:
        """Wait until all replicas ended."""
        tracked = self._tracked.get(workload)
        if tracked is None:
            return True
        try:
            async with asyncio.timeout(limit):
                await tracked.ended.wait()
        except TimeoutError:
            return False
        return True

    def has_ended(self, workload: str) -> bool:
        """Whether nothing of it is watched any more."""
        tracked = self._tracked.get(workload)
        return tracked is None or tracked.ended.is_set()

    def signal(self, workload: str, number: int) -> None:
        """Signal every live shim of a workload."""
        tracked = self._tracked.get(workload)
        for descriptor in list(tracked.shims.values()) if tracked else ():
            with contextlib.suppress(ProcessLookupError):
                pidfd_send_signal(descriptor, number)

    def forget(self, workload: str) -> None:
        """Stop watching a workload."""
        tracked = self._tracked.pop(workload, None)
        if tracked is not None:
            for replica in list(tracked.shims):
                self._drop(tracked, replica)
            tracked.ended.set()

    async def changes(self) -> AsyncIterator[Observation]:
        """Observations as they happen."""
        queue: asyncio.Queue[Observation] = asyncio.Queue()
        self._subscribers.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._subscribers.discard(queue)

    async def close(self) -> None:
        """Stop watching everything; what runs goes on running."""
        for workload in list(self._tracked):
            self.forget(workload)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _follow_shim(self, tracked: _Tracked, replica: str) -> None:
        pid = tracked.attempt.shim(replica)
        descriptor = _open(pid) if pid else None
        if descriptor is not None and tracked.attempt.shim(replica) == pid:
            tracked.shims[replica] = descriptor
            asyncio.get_running_loop().add_reader(descriptor, self._shim_ended, tracked, replica)
            return
        if descriptor is not None:
            os.close(descriptor)
        if tracked.attempt.claim(replica) is not None and not tracked.attempt.ended(replica):
            self._spawn(self._settle(tracked))

    def _shim_ended(self, tracked: _Tracked, replica: str) -> None:
        self._drop(tracked, replica)
        if tracked.attempt.ended(replica):
            self._changed(tracked)
        else:
            self._spawn(self._settle(tracked))

    async def _settle(self, tracked: _Tracked) -> None:
        """A shim was lost: end what it left, then tell."""
        attempt = tracked.attempt
        while self._tracked.get(attempt.workload) is tracked:
            try:
                await asyncio.to_thread(attempt.settle)
            except OSError as error:  # a full disk: what cannot be written down now is tried again
                log.warning("The end of %s cannot be written down: %s", attempt.workload, error)
                await asyncio.sleep(_STUCK_RETRY)
                continue
            names = [replica.name for replica in attempt.record.replicas] if attempt.record else []
            lost = [name for name in names if attempt.claim(name) is not None and not attempt.ended(name)]
            if all(name in tracked.shims for name in lost):
                break
            await asyncio.sleep(_STUCK_RETRY)
        self._changed(tracked)

    def _changed(self, tracked: _Tracked) -> None:
        attempt = tracked.attempt
        if self._tracked.get(attempt.workload) is not tracked:
            return
        if attempt.all_ended and not tracked.ended.is_set():
            tracked.ended.set()
            self._on_end(attempt.workload)
        elif attempt.failed and not tracked.ending and _stands_together(attempt):
            tracked.ending = True
            self._spawn(self._end_rest(tracked))
        observation = attempt.observe()
        for queue in self._subscribers:
            queue.put_nowait(observation)

    async def _end_rest(self, tracked: _Tracked) -> None:
        """One replica failed: the others are of no use any more."""
        record = tracked.attempt.record
        self.signal(tracked.attempt.workload, signal.SIGTERM)
        if not await self.ended(tracked.attempt.workload, (record.grace if record else 0) + _MARGIN):
            self.signal(tracked.attempt.workload, signal.SIGKILL)

    def _drop(self, tracked: _Tracked, replica: str) -> None:
        descriptor = tracked.shims.pop(replica)
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _stands_together(attempt: Attempt) -> bool:
    return attempt.record is not None and attempt.record.kind == "job" and len(attempt.record.replicas) > 1


def _open(pid: int) -> int | None:
    try:
        return pidfd_open(pid)
    except OSError:
        return None
