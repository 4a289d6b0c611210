"""From a status change to the event in a signed-in user's hands, with one feed open and with fifty."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import httpx

from tests.benchmarks.installation import USER, Installation, chain, installation
from tests.benchmarks.report import Aim, Row, Table

FEEDS = (1, 50)
LENGTH = 40
AT_LEAST = 200
_LAST_SECONDS = 30


def measure(pairs: int, quick: bool) -> Table:
    """Rounds of one chain each, with few and with many feeds in turn."""
    length = 5 if quick else LENGTH
    rounds = max(2, pairs // 10)
    waits: dict[int, list[float]] = {feeds: [] for feeds in FEEDS}
    with installation() as here:
        revision = here.revision(chain(length, light=True))
        here.run(revision)
        number = 0
        while number < rounds or (len(waits[FEEDS[0]]) < AT_LEAST and not quick):
            for feeds in FEEDS:
                waits[feeds] += asyncio.run(_listen(here, revision, feeds))
            number += 1
    rows = [Row(f"{feeds} feed{'s' * (feeds > 1)}", waits[feeds], (Aim("p99", 1.0),), "ms") for feeds in FEEDS]
    notes = [
        "From the time in the event, taken before the change is committed, to its arrival at each feed: every status",
        f"change of run, step and attempt of {len(waits[1])} in a chain of {length} warm steps. Feeds: SSE with the",
        "user's token, all in one process on the same machine.",
    ]
    return Table("events: status change → feed", rows, notes)


async def _listen(here: Installation, revision: str, feeds: int) -> list[float]:
    """Open the feeds, run the chain, and wait until every feed has seen its end."""
    headers = {"Authorization": f"Bearer {here.token}"}
    async with AsyncExitStack() as stack:
        limits = httpx.Limits(max_connections=feeds)
        client = await stack.enter_async_context(httpx.AsyncClient(headers=headers, timeout=60, limits=limits))
        streams = [_Stream() for _ in range(feeds)]
        readers = [asyncio.create_task(stream.read(client, f"{here.plane.url}/api/events")) for stream in streams]
        try:
            await asyncio.wait_for(asyncio.gather(*[stream.open.wait() for stream in streams]), 60)
            run, _ = await asyncio.to_thread(here.run, revision)
            async with asyncio.timeout(_LAST_SECONDS):
                while not all(stream.has_seen_end_of(run) for stream in streams):
                    await asyncio.sleep(0.02)
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
    seen = [stream.delays(run) for stream in streams]
    if len({len(one) for one in seen}) != 1:
        raise RuntimeError(f"feeds saw different numbers of events: {sorted({len(one) for one in seen})}")
    return [delay for one in seen for delay in one]


class _Stream:
    """One feed; lines are kept as they come and understood later, so that reading costs little."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self._lines: list[tuple[float, str]] = []

    async def read(self, client: httpx.AsyncClient, url: str) -> None:
        async with client.stream("GET", url, params={"project": USER}) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                if line.startswith("data:"):
                    self._lines.append((time.time(), line))
                    self.open.set()  # the first one is the greeting

    def has_seen_end_of(self, run: str) -> bool:
        return any('"run.finished"' in line and f'"{run}"' in line for _, line in reversed(self._lines))

    def delays(self, run: str) -> list[float]:
        events = [(arrived, json.loads(line.removeprefix("data:"))) for arrived, line in self._lines]
        return [arrived - _moment(event) for arrived, event in events if _is_move_of(run, event)]


def _is_move_of(run: str, event: dict[str, Any]) -> bool:
    subject = str(event.get("subject", ""))
    own = subject == run or subject.startswith((f"{run}/", f"{run}-"))
    return own and "state" in event.get("data", {})


def _moment(event: dict[str, Any]) -> float:
    at = datetime.fromisoformat(event["at"])
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
