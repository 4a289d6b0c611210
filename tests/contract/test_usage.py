"""What replicas use now: whichever way an engine knows it, the figures are those of the processes."""

from __future__ import annotations

import asyncio
import time

from atelier_core.workload import Resources
from tests.contract.engine import Engine

MIB = 1024**2
# The work is done by a child, as training scripts do it; the memory is written to, or there would be none.
BUSY = f"""
held = b"x" * (150 * {MIB})
if os.fork() == 0:
    while os.getppid() != 1: sum(range(1000))
mark(ID); wait()
"""


async def test_a_busy_replica_and_an_idle_one(engine: Engine) -> None:
    given = {"resources": Resources(cpu=0.5, memory=512 * MIB)}
    busy, idle = engine.spec(BUSY, role=given), engine.spec("mark(ID); wait()", role=given)
    backend = await engine.backend()
    handles = [await engine.start(backend, spec) for spec in (busy, idle)]
    for spec in (busy, idle):
        await engine.marked(spec.id)
    deadline = time.monotonic() + engine.patience
    while True:
        found = await engine.usage(backend, handles)
        working, resting = found.get(busy.id, ()), found.get(idle.id, ())
        if working and resting and working[0].cpu > 0.15 and working[0].memory > 140 * MIB:
            break
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.5)
    assert [one.name for one in working] == [one.name for one in resting] == ["main-0"]
    assert 140 * MIB < working[0].memory < 260 * MIB
    assert resting[0].cpu < 0.1 and 1 * MIB < resting[0].memory < 100 * MIB
    assert working[0].gpu is None and working[0].gpu_memory is None
    for one in (*working, *resting):
        assert (one.cpu_given, one.memory_given) == (0.5, 512 * MIB)
    await backend.stop(handles[0], 1)
    assert not (await engine.usage(backend, handles)).get(busy.id)
