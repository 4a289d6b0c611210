"""How a replica ends, and the reason that is told."""

from __future__ import annotations

import asyncio
import time

import pytest

from atelier_core.states import Reason, State
from atelier_core.workload import Output
from atelier_runtime import process
from tests.contract.engine import Engine

DAEMON = """
import os, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
print(os.getpid(), flush=True); time.sleep(600)
"""


@pytest.mark.parametrize("code", [1, 3, 137, 255])
async def test_exit_code(engine: Engine, code: int) -> None:
    seen = await engine.run(engine.spec(f"import sys; sys.exit({code})"))
    assert (seen.state, seen.reason, seen.exit_code) == (State.FAILED, Reason.EXIT_CODE, code)
    assert f"exit code {code}" in seen.message


async def test_killed_by_a_signal(engine: Engine) -> None:
    seen = await engine.run(engine.spec("os.kill(os.getpid(), 11)"))
    assert (seen.state, seen.reason, seen.exit_code) == (State.FAILED, Reason.EXIT_CODE, 139)
    assert "SIGSEGV" in seen.message


async def test_command_not_found(engine: Engine) -> None:
    seen = await engine.run(engine.spec(("no-such-program", "x")))
    assert (seen.state, seen.reason) == (State.FAILED, Reason.COMMAND_NOT_FOUND)
    assert "no-such-program" in seen.message


async def test_variable_that_no_program_can_be_given(engine: Engine) -> None:
    engine.needs("processes")  # a cluster refuses it itself
    seen = await engine.run(engine.spec("mark(ID)", role={"env": {"MINE": "a\0b"}}))
    assert (seen.state, seen.reason) == (State.FAILED, Reason.BAD_SPEC)
    assert "'MINE'" in seen.message


async def test_timeout(engine: Engine) -> None:
    started = time.monotonic()
    seen = await engine.run(engine.spec("mark(ID); wait()", timeout=1, grace=1))
    assert (seen.state, seen.reason) == (State.FAILED, Reason.DEADLINE_EXCEEDED)
    assert time.monotonic() - started < engine.patience


async def test_timeout_ends_what_does_not_listen(engine: Engine) -> None:
    source = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); mark(ID); wait()"
    seen = await engine.run(engine.spec(source, timeout=1, grace=0.5))
    assert seen.reason is Reason.DEADLINE_EXCEEDED


async def test_missing_output(engine: Engine) -> None:
    """What is told of it can be stored, although a file's name that lies there could not."""
    source = "open(os.environb[b'ATELIER_OUTPUTS'] + b'/caf\\xe9.csv', 'w').close()"
    seen = await engine.run(engine.spec(source, outputs=(Output(name="model"),)))
    assert (seen.state, seen.reason) == (State.FAILED, Reason.OUTPUT_MISSING)
    assert "model" in seen.message and "caf\ufffd.csv" in seen.message


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("os.mkfifo(path)", "neither a file nor a folder"),
        ("os.mkdir(path); os.symlink('/etc/hostname', path + '/weights')", "leads out of the folder"),
    ],
)
async def test_output_that_is_not_what_can_be_stored(engine: Engine, source: str, text: str) -> None:
    """The step's own fault: it would be so the next time, too."""
    spec = engine.spec(f"path = os.environ['ATELIER_OUTPUTS'] + '/model'; {source}", outputs=(Output(name="model"),))
    seen = await engine.run(spec)
    assert (seen.state, seen.reason) == (State.FAILED, Reason.OUTPUT_MISSING)
    assert text in seen.message


async def test_missing_input(engine: Engine) -> None:
    spec = engine.spec("mark(ID)", inputs=({"name": "data", "artifact": "a1"},))
    seen = await engine.run(spec)
    assert (seen.state, seen.reason) == (State.FAILED, Reason.INPUT_UNAVAILABLE)
    assert "data" in seen.message
    assert engine.api.marks(spec.id) == 0


async def test_output_that_cannot_be_stored(engine: Engine) -> None:
    spec = engine.spec(
        "open(os.environ['ATELIER_OUTPUTS'] + '/model', 'w').write('x')", outputs=(Output(name="model"),)
    )
    engine.api.refuse_outputs = 1
    try:
        seen = await engine.run(spec)
    finally:
        engine.api.refuse_outputs = 0
    assert (seen.state, seen.reason) == (State.FAILED, Reason.OUTPUT_UNSTORED)
    assert "no room" in seen.message


async def test_unknown_variable_in_the_command(engine: Engine) -> None:
    seen = await engine.run(engine.spec(("echo", "${ATELIER_NO_SUCH}")))
    assert (seen.state, seen.reason) == (State.FAILED, Reason.BAD_SPEC)
    assert "ATELIER_NO_SUCH" in seen.message


async def test_nothing_survives_the_command(engine: Engine) -> None:
    """A daemon that left its session, closed its files and cleared its environment ends with the command."""
    engine.needs("processes")
    source = f"""
import subprocess, sys
daemon = subprocess.Popen([sys.executable, "-c", {DAEMON!r}], env={{}}, stdout=subprocess.PIPE, text=True)
print(daemon.stdout.readline())
"""
    spec = engine.spec(source)
    backend = await engine.backend()
    handle = await engine.start(backend, spec)
    assert (await engine.final(backend, spec.id)).state is State.DONE
    assert not _alive(int(await engine.log(backend, handle)))


async def test_shim_killed(engine: Engine) -> None:
    """A lost shim is told as such, and only when nothing that it started survives."""
    engine.needs("processes")
    source = f"""
import subprocess, sys
daemon = subprocess.Popen([sys.executable, "-c", {DAEMON!r}], stdout=subprocess.PIPE, text=True)
print(os.getpid(), int(daemon.stdout.readline()), flush=True)
mark(ID); wait()
"""
    spec = engine.spec(source)
    backend = await engine.backend()
    handle = await engine.start(backend, spec)
    await engine.marked(spec.id)
    pids = [int(word) for word in (await engine.log(backend, handle, follow=False)).split()]
    assert len(pids) == 2
    await engine.kill_shim(handle, "main-0")
    seen = await engine.final(backend, spec.id)
    assert (seen.state, seen.reason, seen.reported) == (State.FAILED, Reason.SHIM_LOST, False)
    assert not [pid for pid in pids if _alive(pid)]
    await engine.start(backend, spec)
    await asyncio.sleep(0.3)
    assert engine.api.marks(spec.id) == 1, "a lost attempt must not be started again"


async def test_shim_killed_while_nobody_watched(engine: Engine) -> None:
    engine.needs("processes")
    spec = engine.spec("mark(ID); wait()")
    first = await engine.backend()
    handle = await engine.start(first, spec)
    await engine.marked(spec.id)
    await engine.crash(first)
    await engine.kill_shim(handle, "main-0")
    second = await engine.backend()
    assert (await engine.final(second, spec.id)).reason is Reason.SHIM_LOST
    assert not [item for item in await engine.left_over(spec.id) if item.startswith("process")]


def _alive(pid: int) -> bool:
    found = process.read(pid)
    return found is not None and found.alive
