"""Start, observe, adopt, stop: what holds for every workload on every engine."""

from __future__ import annotations

import asyncio
import time

import pytest

from atelier_core.errors import Invalid
from atelier_core.states import State
from atelier_core.workload import Handle, Observation
from tests.contract.engine import Engine

STAGES = 4


async def test_runs_to_its_end(engine: Engine) -> None:
    spec = engine.spec("mark(ID); print('hello')")
    backend = await engine.backend()
    handle = await engine.start(backend, spec)
    seen = await engine.final(backend, spec.id)
    assert (seen.state, seen.exit_code, seen.reported) == (State.DONE, 0, True)
    assert [replica.name for replica in seen.replicas] == ["main-0"]
    assert engine.api.marks(spec.id) == 1
    assert b"hello\n" in await engine.log(backend, handle)


async def test_handles_say_how_far_the_start_is(engine: Engine) -> None:
    spec = engine.spec("pass")
    backend = await engine.backend()
    handles = [handle async for handle in backend.start(spec)]
    assert all(handle.workload == spec.id for handle in handles)
    assert len({handle.stage for handle in handles}) == len(handles) >= 2
    await engine.final(backend, spec.id)


async def test_started_twice_runs_once(engine: Engine) -> None:
    spec = engine.spec("mark(ID); wait()")
    backend = await engine.backend()
    await engine.start(backend, spec)
    await engine.marked(spec.id)
    await engine.start(backend, spec)
    other = await engine.backend()
    await engine.start(other, spec)
    await asyncio.sleep(0.5)
    assert engine.api.marks(spec.id) == 1


async def test_started_again_after_its_end_stays_ended(engine: Engine) -> None:
    spec = engine.spec("mark(ID)")
    backend = await engine.backend()
    await engine.start(backend, spec)
    await engine.final(backend, spec.id)
    await engine.start(backend, spec)
    assert (await engine.final(backend, spec.id)).state is State.DONE
    assert engine.api.marks(spec.id) == 1


@pytest.mark.parametrize("stage", range(1, STAGES + 1))
@pytest.mark.parametrize("then", ["start", "stop"])
async def test_a_start_cut_short(engine: Engine, stage: int, then: str) -> None:
    spec = engine.spec("mark(ID)")
    backend = await engine.backend()
    starting = backend.start(spec)
    for _ in range(stage):
        handle = await anext(starting, None)
    await starting.aclose()  # type: ignore[attr-defined]
    await engine.crash(backend)
    after = await engine.backend()
    if then == "stop":
        await after.stop(handle or Handle(workload=spec.id), 1)
        assert await engine.left_over(spec.id) == []
        assert engine.api.marks(spec.id) <= 1
        return
    await engine.start(after, spec)
    assert (await engine.final(after, spec.id)).state is State.DONE
    assert engine.api.marks(spec.id) == 1


async def test_stopping_leaves_nothing(engine: Engine) -> None:
    spec = engine.spec("mark(ID); wait()")
    backend = await engine.backend()
    handle = await engine.start(backend, spec)
    await engine.marked(spec.id)
    await backend.stop(handle, 1)
    assert await engine.left_over(spec.id) == []
    assert all(item.workload != spec.id for item in await backend.list())
    await backend.stop(handle, 1)


async def test_stopping_what_never_was(engine: Engine) -> None:
    backend = await engine.backend()
    await backend.stop(Handle(workload="never-was"), 1)


async def test_stopping_asks_first(engine: Engine) -> None:
    source = """
import signal, sys, time
def bye(*_):
    mark(ID + "-asked"); sys.exit(0)
signal.signal(signal.SIGTERM, bye); mark(ID); time.sleep(600)
"""
    spec = engine.spec(source)
    backend = await engine.backend()
    handle = await engine.start(backend, spec)
    await engine.marked(spec.id)
    await backend.stop(handle, 10)
    assert engine.api.marks(spec.id + "-asked") == 1


async def test_stopping_ends_what_does_not_listen(engine: Engine) -> None:
    source = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); mark(ID); wait()"
    spec = engine.spec(source, grace=0.5)
    backend = await engine.backend()
    handle = await engine.start(backend, spec)
    await engine.marked(spec.id)
    started = time.monotonic()
    await backend.stop(handle, 0.5)
    assert time.monotonic() - started < engine.patience
    assert await engine.left_over(spec.id) == []


async def test_adopts_what_runs(engine: Engine) -> None:
    spec = engine.spec(f"mark(ID)\nimport time\ntime.sleep({4 + 2 * engine.lag})\nmark(ID + '-end')")
    first = await engine.backend()
    await engine.start(first, spec)
    await engine.marked(spec.id)
    await engine.crash(first)
    second = await engine.backend()
    await asyncio.sleep(engine.lag)
    assert [item.state for item in await second.list() if item.workload == spec.id] == [State.RUNNING]
    seen = await _watched_end(engine, second.watch(), spec.id)
    assert seen.state is State.DONE
    assert engine.api.marks(spec.id) == engine.api.marks(spec.id + "-end") == 1


async def test_what_ended_unwatched_is_in_the_list(engine: Engine) -> None:
    spec = engine.spec("import time; time.sleep(0.5); mark(ID)")
    first = await engine.backend()
    await engine.start(first, spec)
    await engine.crash(first)
    await engine.marked(spec.id)
    second = await engine.backend()
    assert (await engine.final(second, spec.id)).state is State.DONE


async def test_watch_tells_the_end(engine: Engine) -> None:
    spec = engine.spec("mark(ID)")
    backend = await engine.backend()
    watching = asyncio.create_task(_watched_end(engine, backend.watch(), spec.id))
    await asyncio.sleep(0.1)
    await engine.start(backend, spec)
    assert (await watching).state is State.DONE


async def test_logs_follow(engine: Engine) -> None:
    pause = 0.4 + engine.lag
    spec = engine.spec(f"import time\nfor n in range(3):\n    print('line', n, flush=True); time.sleep({pause})")
    backend = await engine.backend()
    handle = await engine.start(backend, spec)
    arrivals, text = [], b""
    async with asyncio.timeout(engine.patience):
        async for piece in backend.logs(handle, "main-0", True):
            text += piece
            arrivals.append(time.monotonic())
    assert text == b"line 0\nline 1\nline 2\n"
    assert arrivals[-1] - arrivals[0] > 0.3
    assert await engine.log(backend, handle, follow=False) == text


async def test_log_keeps_the_order_of_both_streams(engine: Engine) -> None:
    spec = engine.spec(
        "import sys\nfor n in range(50):\n    print(n, file=(sys.stdout, sys.stderr)[n % 2], flush=True)"
    )
    backend = await engine.backend()
    handle = await engine.start(backend, spec)
    assert (await engine.log(backend, handle)).split() == [str(n).encode() for n in range(50)]


async def test_an_unknown_image_is_refused(engine: Engine) -> None:
    engine.needs("slots")
    spec = engine.spec("pass", role={"image": "no-such-image"})
    backend = await engine.backend()
    with pytest.raises(Invalid) as caught:
        await engine.start(backend, spec)
    assert "no-such-image" in caught.value.message
    assert engine.image in caught.value.hint


async def _watched_end(engine: Engine, watching: object, workload: str) -> Observation:
    async with asyncio.timeout(engine.patience):
        async for seen in watching:  # type: ignore[attr-defined]
            if seen.workload == workload and seen.final:
                return seen
    raise AssertionError("the watch ended")
