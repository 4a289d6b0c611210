"""Warm workers: kept while they are of use, and no more of them than may be."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from atelier_core.image import Image
from atelier_core.states import State
from atelier_spawner.local.backend import LocalBackend
from tests.atelier_spawner.local.conftest import NewEngine
from tests.contract.engine_local import LocalEngine


def _warm(backend: LocalBackend) -> list[int]:
    zygotes = [zygote for key, zygote in backend._launcher._zygotes.items() if key[-1]]
    return [zygote._process.pid for zygote in zygotes if zygote._process]


async def _until(condition: object, limit: float = 10) -> bool:
    deadline = time.monotonic() + limit
    while not condition() and time.monotonic() < deadline:  # type: ignore[operator]
        await asyncio.sleep(0.02)
    return bool(condition())  # type: ignore[operator]


async def _run(
    engine: LocalEngine, backend: LocalBackend, image: str = "", source: str = "mark(ID)", **variables: str
) -> None:
    spec = engine.spec(source, light=True, role={"image": image or engine.image, "env": variables})
    await engine.start(backend, spec)
    assert (await engine.final(backend, spec.id)).state is State.DONE


async def test_a_warm_worker_that_nobody_uses_ends(new_engine: NewEngine) -> None:
    engine = new_engine(warm_seconds=2)
    backend = await engine.backend()
    assert isinstance(backend, LocalBackend)
    spec = engine.spec("mark(ID); import time; time.sleep(5)", light=True)
    await engine.start(backend, spec)
    (first,) = _warm(backend)
    assert await _until(lambda: not _warm(backend))
    assert (await engine.final(backend, spec.id)).state is State.DONE  # what it forked runs on
    again = engine.spec("mark(ID)", light=True)
    await engine.start(backend, again)
    (second,) = _warm(backend)
    assert second != first
    assert (await engine.final(backend, again.id)).state is State.DONE
    await engine.clean()


async def test_there_are_at_most_so_many(new_engine: NewEngine) -> None:
    engine = new_engine(warm_limit=2)
    lock = engine._images[engine.image].lock
    for number in range(4):
        lock_of_its_own = lock.with_name(f"{number}.lock")  # type: ignore[union-attr]
        lock_of_its_own.write_text(f"# {number}\n")
        engine._images[f"other{number}"] = Image(
            name=f"other{number}",
            reference=f"other{number}",
            python=engine._images[engine.image].python,
            lock=lock_of_its_own,
        )
    backend = await engine.backend()
    assert isinstance(backend, LocalBackend)
    used = []
    for number in range(4):
        await _run(engine, backend, f"other{number}")
        used += _warm(backend)[-1:]
        assert len(_warm(backend)) <= 2
    assert _warm(backend) == used[-2:]  # the latest ones stay
    await engine.clean()


async def test_it_has_the_modules_of_its_image(new_engine: NewEngine) -> None:
    engine = new_engine()
    image = engine._images[engine.image]
    engine._images["warm"] = image.model_copy(
        update={"name": "warm", "reference": "warm", "warm": ("wave", "no_such_module")}
    )
    backend = await engine.backend()
    assert isinstance(backend, LocalBackend)
    await _run(engine, backend, "warm", "import sys; assert 'wave' in sys.modules")
    await _run(engine, backend, source="import sys; assert 'wave' not in sys.modules")
    await engine.clean()


async def test_what_libraries_read_when_they_are_loaded_is_there_by_then(new_engine: NewEngine) -> None:
    engine = new_engine()
    backend = await engine.backend()
    assert isinstance(backend, LocalBackend)
    for number in ("1", "2", "1"):
        await _run(engine, backend, OMP_NUM_THREADS=number, OTHER=number)
    one, two = (Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") for pid in _warm(backend))
    assert b"OMP_NUM_THREADS=1" in one and b"OMP_NUM_THREADS=2" in two
    assert not [item for item in one if item.startswith(b"OTHER")]
    await engine.clean()
