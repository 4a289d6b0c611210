"""Code archives are kept for those who need them again, and not for ever."""

from __future__ import annotations

import os
import time
from pathlib import Path

from atelier_core.states import State
from atelier_spawner.local.code_cache import CodeCache
from tests.atelier_spawner.local.conftest import NewEngine

HOUR = 3600.0


def _archive(folder: Path, name: str, hours: float, size: int = 10) -> Path:
    path = folder / name
    path.write_bytes(b"x" * size)
    os.utime(path, (time.time() - hours * HOUR,) * 2)
    return path


def test_what_nobody_used_for_long_and_what_is_too_much_is_removed(tmp_path: Path) -> None:
    cache = CodeCache(tmp_path / "code", seconds=100 * HOUR, size=100)
    cache.open()
    folder = cache.of(None)
    now, large, older = _archive(folder, "now", 0.1, 90), _archive(folder, "large", 2, 20), _archive(folder, "older", 3)
    old, part = _archive(folder, "old", 101), _archive(folder, "x.17.part", 101)
    cache.trim()
    assert [path.exists() for path in (now, large, older, old, part)] == [True, False, False, False, False]
    _archive(folder, "now", 0.1, 200)
    cache.trim()
    assert now.exists()  # somebody may be at it


async def test_an_archive_that_is_used_again_stays(new_engine: NewEngine) -> None:
    engine = new_engine()
    backend = await engine.backend()
    first, second = engine.spec(("true",), id="t-code-1"), engine.spec(("true",), id="t-code-2")
    assert first.code == second.code
    await engine.start(backend, first)
    assert (await engine.final(backend, first.id)).state is State.DONE
    (path,) = (engine.data_dir / "code" / "own").iterdir()
    os.utime(path, (1, 1))
    await engine.start(backend, second)
    assert (await engine.final(backend, second.id)).state is State.DONE
    assert time.time() - path.stat().st_mtime < HOUR
    os.utime(path, (1, 1))
    await engine.clean()
    await (await engine.backend()).close()
    assert not path.exists()
