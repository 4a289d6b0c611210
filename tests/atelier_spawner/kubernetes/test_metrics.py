"""What a real metrics-server says of pods that compute, and of those that rest."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.atelier_spawner.kubernetes.conftest import Rig
from tests.harness.cluster.metrics import metrics_server

pytestmark = pytest.mark.cluster


@pytest.mark.timeout(600)
async def test_the_metrics_api_tells_who_is_busy(rig: Rig) -> None:
    with metrics_server(rig.cluster):
        backend = await rig.open()
        busy, idle = rig.spec("sh", "-c", "while true; do :; done"), rig.spec("sleep", "300")
        handles = [await rig.start(backend, spec) for spec in (busy, idle)]
        until = time.monotonic() + 90
        while True:
            found = await backend.usage(handles)
            if busy.id in found and idle.id in found and found[busy.id][0].cpu > 0.1:
                break
            assert time.monotonic() < until, found
            await asyncio.sleep(1)
        (working,), (resting,) = found[busy.id], found[idle.id]
        assert working.name == resting.name == "main-0"
        assert resting.cpu < 0.05 < working.cpu and 0 < resting.memory < 64 * 1024**2
        assert (working.cpu_given, working.memory_given) == (0.05, 64 * 1024**2)
        await backend.stop(handles[0], 1)
        assert set(await backend.usage(handles)) == {idle.id}
