"""Steps that destroy what they were given, and files that cannot be read: each is told, and harms no other."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator

import pytest

from atelier_core.errors import BackendUnavailable
from atelier_core.states import Reason, State
from atelier_core.workload import Observation
from atelier_runtime import process
from atelier_spawner.local import backend
from atelier_spawner.local.attempt import Attempt, known
from tests.atelier_spawner.local.conftest import NewEngine
from tests.contract.engine_local import LocalEngine

# Until nothing is left: a file that the shim writes meanwhile comes after the folder was read.
REMOVE = """
import shutil
folder = os.path.realpath(os.path.dirname(os.environ["TMPDIR"]) + {up!r})
while os.path.exists(folder):
    shutil.rmtree(folder, ignore_errors=True)
mark(ID)
"""


@pytest.fixture
async def engine(new_engine: NewEngine) -> AsyncIterator[LocalEngine]:
    """A local engine with a folder of its own."""
    found = new_engine()
    yield found
    await found.clean()


@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize("up", ["", "/.."])
async def test_a_step_that_removes_its_own_folder_ends(engine: LocalEngine, up: str, light: bool) -> None:
    running = await engine.backend()
    changes = asyncio.ensure_future(_last_change(running.watch()))
    spec = engine.spec(REMOVE.format(up=up), light=light)
    handle = await engine.start(running, spec)
    seen = await asyncio.wait_for(changes, engine.patience)  # told by itself, not only when somebody asks
    assert (seen.workload, seen.state, seen.reason) == (spec.id, State.FAILED, Reason.OUTPUT_MISSING)
    assert "removed the folder" in seen.message
    assert (await engine.final(running, spec.id)).message == seen.message
    assert await engine.log(running, handle) == b""
    assert (await running.capacity())["cpu"]["free"] == 8
    await running.stop(handle, 0)
    assert await engine.left_over(spec.id) == []


async def test_what_removed_its_folder_is_not_started_again(engine: LocalEngine) -> None:
    """Not even by a control plane that has only the files to go by."""
    first = await engine.backend()
    spec = engine.spec(REMOVE.format(up="") + "wait()")
    handle = await engine.start(first, spec)
    await engine.marked(spec.id)
    await engine.crash(first)
    second = await engine.backend()
    await engine.start(second, spec)
    (seen,) = await second.list()
    assert seen.state is State.RUNNING
    pid = engine.attempt(spec.id).shim("main-0")
    await second.stop(handle, 0.2)
    found = process.read(pid or 0)
    assert pid and (found is None or not found.alive)
    assert await engine.left_over(spec.id) == [] and engine.api.marks(spec.id) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"workload": 7}'])
async def test_a_damaged_record_is_told_and_harms_no_other(engine: LocalEngine, content: str) -> None:
    first = await engine.backend()
    hurt, fine = (engine.spec("mark(ID); wait()"), engine.spec("mark(ID); wait()"))
    handles = [await engine.start(first, spec) for spec in (hurt, fine)]
    for spec in (hurt, fine):
        await engine.marked(spec.id)
    (engine.attempt(hurt.id).kept / "workload.json").write_text(content)
    await engine.crash(first)
    second = await engine.backend()
    seen = {one.workload: one for one in await second.list()}
    assert (seen[hurt.id].state, seen[hurt.id].reason) == (State.FAILED, Reason.SHIM_LOST)
    assert "damaged" in seen[hurt.id].message
    assert seen[fine.id].state is State.RUNNING
    with pytest.raises(BackendUnavailable, match="damaged"):
        await engine.start(second, hurt)
    await second.stop(handles[0], 0)
    assert await engine.left_over(hurt.id) == []
    assert [one.workload for one in await second.list()] == [fine.id]
    assert engine.api.marks(hurt.id) == engine.api.marks(fine.id) == 1


class Unreadable(Attempt):
    """An attempt whose files lie on a part of the disk that has gone bad."""

    broken = ""

    def settle(self) -> list[str]:
        if self.workload == self.broken:
            raise OSError(errno.EIO, "Input/output error")
        return super().settle()


async def test_files_that_cannot_be_read_now_hide_no_other(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await engine.backend()
    specs = [engine.spec("mark(ID); wait()") for _ in range(2)]
    for spec in specs:
        await engine.start(first, spec)
        await engine.marked(spec.id)
    await engine.crash(first)
    monkeypatch.setattr(backend, "known", lambda folder: [Unreadable(folder, one.workload) for one in known(folder)])
    monkeypatch.setattr(Unreadable, "broken", specs[0].id)
    second = await engine.backend()
    seen = {one.workload: one for one in await second.list()}
    assert seen[specs[1].id].state is State.RUNNING
    assert not seen[specs[0].id].final and seen[specs[0].id].reason is Reason.BACKEND_UNAVAILABLE
    assert "Input/output error" in seen[specs[0].id].message
    monkeypatch.setattr(Unreadable, "broken", "")
    assert {one.state for one in await second.list()} == {State.RUNNING}


async def _last_change(changes: AsyncIterator[Observation]) -> Observation:
    async for seen in changes:
        if seen.final:
            return seen
    raise AssertionError("the watch ended")
