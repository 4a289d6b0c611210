"""The control plane and its zygotes killed at any instant: no attempt is lost, none runs twice."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from atelier_core.states import State
from atelier_core.workload import WorkloadSpec
from tests.atelier_spawner.local.conftest import NewEngine
from tests.contract.engine_local import LocalEngine

DRIVER = """
import asyncio, json, sys
from pathlib import Path
from atelier_core.workload import WorkloadSpec
from tests.contract.engine_local import LocalEngine
from tests.harness.attempt_api import AttemptApi

async def main(data, cache, python, specs):
    engine = LocalEngine(None, Path(data), Path(cache), python)
    backend = await engine.backend()
    print("open", flush=True)
    for spec in specs:
        async for handle in backend.start(WorkloadSpec.model_validate(spec)):
            print(handle.stage, flush=True)
    await asyncio.sleep(600)

asyncio.run(main(*json.loads(sys.stdin.readline())))
"""
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def engine(new_engine: NewEngine) -> LocalEngine:
    """A local engine with a folder of its own."""
    return new_engine()


@pytest.mark.parametrize("light", [False, True])
async def test_control_plane_killed_while_it_starts(engine: LocalEngine, tmp_path: Path, light: bool) -> None:
    first = engine.spec("pass")
    await engine.run(first)  # the environment is ready from here on
    await engine.crash(engine._opened[-1])
    chance = random.Random(7)
    for _ in range(4):
        specs = [engine.spec("mark(ID)\nimport time; time.sleep(0.1)", light=light) for _ in range(3)]
        await asyncio.to_thread(_killed_driver, engine, tmp_path, specs, chance.uniform(0, 0.15))
        after = await engine.backend()
        for spec in specs:
            await engine.start(after, spec)
        for spec in specs:
            assert (await engine.final(after, spec.id)).state is State.DONE
            assert engine.api.marks(spec.id) == 1
        await engine.crash(after)
    await engine.clean()


async def test_zygote_killed(engine: LocalEngine) -> None:
    backend = await engine.backend()
    running = engine.spec("mark(ID)\nimport time; time.sleep(1)")
    await engine.start(backend, running)
    await engine.marked(running.id)
    (zygote,) = backend._launcher._zygotes.values()  # type: ignore[attr-defined]
    os.kill(zygote._process.pid, signal.SIGKILL)
    later = engine.spec("mark(ID)")
    await engine.start(backend, later)
    for spec in (later, running):
        assert (await engine.final(backend, spec.id)).state is State.DONE
        assert engine.api.marks(spec.id) == 1
    await engine.clean()


async def test_a_cancelled_start_does_not_confuse_the_next(engine: LocalEngine) -> None:
    backend = await engine.backend()
    await engine.run(engine.spec("pass"))
    specs = [engine.spec("mark(ID)") for _ in range(6)]
    tasks = [asyncio.create_task(engine.start(backend, spec)) for spec in specs]
    await asyncio.sleep(0.01)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for spec in specs:
        await engine.start(backend, spec)
        assert (await engine.final(backend, spec.id)).state is State.DONE
        assert engine.api.marks(spec.id) == 1
    await engine.clean()


def _killed_driver(engine: LocalEngine, tmp_path: Path, specs: list[WorkloadSpec], delay: float) -> None:
    """Start workloads in another process and kill it `delay` seconds after it was ready."""
    orders = [str(engine.data_dir), str(tmp_path / "cache"), VERSION, [spec.model_dump(mode="json") for spec in specs]]
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert driver.stdin and driver.stdout
    driver.stdin.write(json.dumps(orders) + "\n")
    driver.stdin.flush()
    assert driver.stdout.readline() == "open\n"
    try:
        driver.wait(delay)
    except subprocess.TimeoutExpired:
        driver.kill()
    driver.communicate()
