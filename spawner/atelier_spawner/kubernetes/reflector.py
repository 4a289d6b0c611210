"""List, watch, distrust, list again: objects of one kind as a stream of changes that never gives up."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from atelier_spawner.kubernetes.api import Api, ApiError

log = logging.getLogger(__name__)

_FIRST_WAIT, _LONGEST_WAIT = 0.2, 10.0


@dataclass(frozen=True)
class Change:
    """An object as it is now, or as it was last seen if it is `gone`."""

    item: dict[str, Any]
    gone: bool = False


class Reflector:
    """Follows what `selector` chooses of the collection at `path`; lists it all again every `resync` seconds."""

    def __init__(self, api: Api, path: str, selector: str, resync: float) -> None:
        self._api = api
        self._path = path
        self._selector = selector
        self._resync = resync
        self._known: dict[str, dict[str, Any]] = {}

    async def changes(self) -> AsyncIterator[Change]:
        """First everything that is there, then each change; after a gap the difference to what was known."""
        wait = _FIRST_WAIT
        while True:
            try:
                version, found = await self._list()
                for change in found:
                    yield change
                wait = _FIRST_WAIT
                async for change in self._follow(version):
                    yield change
            except ApiError as error:
                if error.status == 410:  # the version is too old to go on from; only a new list helps
                    log.info("The watch on %s expired; listing again.", self._path)
                else:
                    log.warning("The watch on %s broke (%s); again in about %.1f s.", self._path, error, wait)
                await asyncio.sleep(wait * random.uniform(0.7, 1.3))
                wait = min(wait * 2, _LONGEST_WAIT)

    async def _list(self) -> tuple[str, list[Change]]:
        listing = await self._api.list(self._path, self._selector)
        now = {item["metadata"]["uid"]: item for item in listing["items"]}
        gone = [Change(item, gone=True) for uid, item in self._known.items() if uid not in now]
        fresh = [Change(item) for uid, item in now.items() if _version(self._known.get(uid)) != _version(item)]
        self._known = now
        return listing["metadata"]["resourceVersion"], [*gone, *fresh]

    async def _follow(self, version: str) -> AsyncIterator[Change]:
        """Until the server ends the watch, which it does after `resync`: the list that follows repairs everything."""
        watching = self._api.watch(self._path, version, self._selector, timeoutSeconds=max(1, int(self._resync)))
        async with aclosing(watching) as events:
            async for event in events:
                item = event["object"]
                uid = item["metadata"].get("uid")
                if event["type"] == "DELETED":
                    self._known.pop(uid, None)
                    yield Change(item, gone=True)
                elif event["type"] in ("ADDED", "MODIFIED"):
                    self._known[uid] = item
                    yield Change(item)


def _version(item: dict[str, Any] | None) -> str | None:
    return item["metadata"]["resourceVersion"] if item else None
