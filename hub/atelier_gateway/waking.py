"""Requests to sleeping services: they wait while the control plane starts a replica, which is asked for once."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from atelier_gateway.control_plane import ControlPlane
from atelier_gateway.errors import Refusal, unavailable

MOST_WAITING = 200
# A control plane that was killed right after it said yes is asked again.
_ASK_AGAIN = 5.0


class _Sleeper:
    """Those who wait for one service."""

    def __init__(self) -> None:
        self.waiting = 0
        self.awake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.asking: asyncio.Task[None] | None = None


class Waking:
    """Wakes services up. `changed` tells which of them have replicas now."""

    def __init__(self, control_plane: ControlPlane, most: int = MOST_WAITING) -> None:
        self._control_plane = control_plane
        self._most = most
        self._sleepers: dict[str, _Sleeper] = {}

    def waiting(self) -> dict[str, int]:
        """How many requests wait for which service."""
        return {name: sleeper.waiting for name, sleeper in self._sleepers.items()}

    async def wait(self, service: str, seconds: float) -> None:
        """Return when the service has a replica, or has changed; raises a refusal when it does not come in time."""
        sleeper = self._sleepers.setdefault(service, _Sleeper())
        if sleeper.waiting >= self._most:
            raise unavailable(
                f"{service} is being started, and {self._most} requests wait for it already.",
                code="too_many_waiting",
                retry_after=5,
            )
        sleeper.waiting += 1
        sleeper.asking = sleeper.asking or asyncio.create_task(self._ask(service, sleeper))
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(sleeper.awake)
        except TimeoutError:
            raise unavailable(
                f"{service} was asleep and did not start within {seconds:g} seconds.",
                code="still_asleep",
                hint="Try again in a moment; the service's page says whether its replica starts.",
                retry_after=5,
            ) from None
        finally:
            sleeper.waiting -= 1
            if not sleeper.waiting:
                self._forget(service, sleeper)

    def changed(self, awake: set[str]) -> None:
        """The routes are new: these services need no waking any more."""
        for name in awake & self._sleepers.keys():
            sleeper = self._sleepers.pop(name)
            if not sleeper.awake.done():
                sleeper.awake.set_result(None)
            if sleeper.asking is not None:
                sleeper.asking.cancel()

    async def _ask(self, service: str, sleeper: _Sleeper) -> None:
        try:
            await self._control_plane.wake(service)
            while True:
                await asyncio.sleep(_ASK_AGAIN)
                await self._ask_again(service)
        except Refusal as refusal:
            if self._sleepers.get(service) is sleeper:
                del self._sleepers[service]  # whoever comes next asks again
            if not sleeper.awake.done():
                sleeper.awake.set_exception(refusal)
                with suppress(Refusal):
                    sleeper.awake.exception()  # seen, also when nobody waits any more

    async def _ask_again(self, service: str) -> None:
        """It said yes once: that it is away now does not keep the replica from coming."""
        try:
            await self._control_plane.wake(service)
        except Refusal as refusal:
            if refusal.status != 503:
                raise

    def _forget(self, service: str, sleeper: _Sleeper) -> None:
        if sleeper.asking is not None:
            sleeper.asking.cancel()
        if self._sleepers.get(service) is sleeper:
            del self._sleepers[service]
