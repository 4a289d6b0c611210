"""What only an engine of processes has: slots, the warm worker, users."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from atelier_core.errors import Invalid, QuotaExceeded
from atelier_core.states import Reason, State
from atelier_core.workload import Output, Resources
from tests.contract.engine import Engine


async def test_slots(engine: Engine) -> None:
    engine.needs("slots")
    engine.options.update(cpu=2, accelerators={"nvidia.com/gpu": 2})  # type: ignore[attr-defined]
    backend = await engine.backend()
    named = {"resources": Resources(cpu=1, accelerator="nvidia.com/gpu", accelerators=1)}
    unnamed = {"resources": Resources(cpu=1, accelerators=1)}
    source = "print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); mark(ID); wait()"
    specs = [engine.spec(source, role=role) for role in (named, unnamed, named)]
    first, second = [await engine.start(backend, spec) for spec in specs[:2]]
    for spec in specs[:2]:
        await engine.marked(spec.id)
    with pytest.raises(QuotaExceeded):
        await engine.start(backend, specs[2])
    assert await engine.left_over(specs[2].id) == []
    capacity = await backend.capacity()  # type: ignore[attr-defined]
    assert capacity["cpu"] == {"total": 2, "free": 0} and capacity["nvidia.com/gpu"] == {"total": 2, "free": 0}
    logs = {await engine.log(backend, handle, follow=False) for handle in (first, second)}
    assert logs == {b"0\n", b"1\n"}
    await engine.crash(backend)
    after = await engine.backend()
    assert (await after.capacity())["cpu"]["free"] == 0  # type: ignore[attr-defined]
    await after.stop(first, 1)
    await engine.start(after, specs[2])
    await engine.marked(specs[2].id)


async def test_memory_is_a_slot_too(engine: Engine) -> None:
    engine.needs("slots")
    engine.options.update(memory=2**30)  # type: ignore[attr-defined]
    backend = await engine.backend()
    most, rest = ({"resources": Resources(memory=size * 2**20)} for size in (800, 224))
    first = await engine.start(backend, engine.spec("wait()", role=most))
    with pytest.raises(QuotaExceeded, match="memory"):
        await engine.start(backend, engine.spec("pass", role=most))
    await engine.start(backend, engine.spec("wait()", role=rest))
    assert (await backend.capacity())["memory"] == {"total": 2**30, "free": 0}  # type: ignore[attr-defined]
    await backend.stop(first, 1)
    await engine.start(backend, engine.spec("wait()", role=most))


async def test_a_slot_is_free_when_the_command_ends(engine: Engine) -> None:
    engine.needs("slots")
    backend = await engine.backend()
    spec = engine.spec("pass", role={"resources": Resources(cpu=8)})
    await engine.start(backend, spec)
    await engine.final(backend, spec.id)
    assert await backend._tracker.ended(spec.id, engine.patience)  # type: ignore[attr-defined]
    assert (await backend.capacity())["cpu"]["free"] == 8  # type: ignore[attr-defined]


async def test_what_another_process_ended_is_not_counted_after_an_interval(engine: Engine) -> None:
    engine.needs("slots")
    backend = await engine.backend()
    spec = engine.spec("wait()", role={"resources": Resources(cpu=8)})
    handle = await engine.start(backend, spec)
    await backend.close()
    await (await engine.backend()).stop(handle, 0)
    await backend.open()
    assert (await backend.capacity())["cpu"]["free"] == 8  # type: ignore[attr-defined]


async def test_what_never_fits_is_refused(engine: Engine) -> None:
    engine.needs("slots")
    backend = await engine.backend()
    with pytest.raises(Invalid, match="100 cpu"):
        await engine.start(backend, engine.spec("pass", role={"resources": Resources(cpu=100)}))


async def test_a_log_that_never_ends_takes_no_more_room(engine: Engine) -> None:
    engine.needs("processes")
    limit = engine.options["log_limit"] = 200_000  # type: ignore[attr-defined]
    source = """
import time
for number in range(20_000): print(f"line {number:8} of a talkative step", flush=number % 100 == 0)
mark(ID); time.sleep(3); print("last words", flush=True); mark(ID); time.sleep(0.5)
"""
    backend = await engine.backend()
    spec = engine.spec(source)
    handle = await engine.start(backend, spec)
    followed = asyncio.ensure_future(engine.log(backend, handle))
    await engine.marked(spec.id, 2)
    path = engine.attempt(spec.id).root("main-0") / "log-main-0"  # type: ignore[attr-defined]
    assert path.stat().st_size <= limit
    assert (await engine.final(backend, spec.id)).state is State.DONE
    kept = await engine.log(backend, handle)
    assert (
        len(kept) <= limit and kept.startswith(b"line        0 of") and kept.count(b"[Atelier: this log is longer") == 1
    )
    assert kept.endswith(b"line    19999 of a talkative step\nlast words\n")
    assert (await followed).endswith(b"last words\n")


async def test_light_step(engine: Engine) -> None:
    engine.needs("light")
    source = """
import sys
assert __name__ == "__main__" and sys.argv == ["main.py"]
open(os.environ["ATELIER_OUTPUTS"] + "/model", "w").write("x")
print("in place", os.environ["ATELIER_ATTEMPT"]); mark(ID)
"""
    backend = await engine.backend()
    for _ in range(2):
        spec = engine.spec(source, light=True, outputs=(Output(name="model"),))
        handle = await engine.start(backend, spec)
        assert (await engine.final(backend, spec.id)).state is State.DONE
        assert await engine.log(backend, handle) == f"in place {spec.id}\n".encode()
        assert engine.api.marks(spec.id) == 1
        assert "model" in engine.api.attempts[spec.id].outputs


@pytest.mark.parametrize(
    ("source", "code", "text"),
    [
        ("import sys; sys.exit(5)", 5, b""),
        ("raise ValueError('broken')", 1, b"ValueError: broken"),
        ("os._exit(9)", 9, b""),
        ("import sys; sys.exit('said')", 1, b"said\n"),
        ("import sys; sys.stdout.close(); sys.exit(5)", 5, b""),
        ("import sys; sys.stderr.close(); raise ValueError", 1, b""),
        ("os.dup2(os.open('/dev/full', os.O_WRONLY), 1); print('x', end=''); raise ValueError('broken')", 1, b"broken"),
        ("os.close(1); print('x', end='')", 120, b""),
    ],
)
async def test_light_step_ends_like_any_other(engine: Engine, source: str, code: int, text: bytes) -> None:
    engine.needs("light")
    backend = await engine.backend()
    spec = engine.spec(source, light=True)
    handle = await engine.start(backend, spec)
    seen = await engine.final(backend, spec.id)
    assert (seen.reason, seen.exit_code) == (Reason.EXIT_CODE, code)
    log = await engine.log(backend, handle)
    assert text in log
    assert b"atelier_runtime" not in log


async def test_light_step_runs_like_any_other(engine: Engine) -> None:
    """The time zone, signals, the hook for errors, and nothing of the runtime's own `from __future__`."""
    engine.needs("light")
    source = """
import signal, socket, sys, time
def annotated(a: list[int]): pass
assert annotated.__annotations__ == {"a": list[int]}
print(time.strftime("%H %Z", time.localtime(0)))
a, b = socket.socketpair(); b.close()
try: a.send(b"x")
except BrokenPipeError: print("broken pipe")
try: os.kill(os.getpid(), signal.SIGINT); time.sleep(5)
except KeyboardInterrupt: print("interrupted")
sys.excepthook = lambda kind, error, frames: print("told", error, frames.tb_frame.f_code.co_filename)
raise ValueError("so")
"""
    backend = await engine.backend()
    spec = engine.spec(source, light=True, role={"env": {"TZ": "CST-8"}})
    handle = await engine.start(backend, spec)
    assert (await engine.final(backend, spec.id)).exit_code == 1
    assert await engine.log(backend, handle) == b"08 CST\nbroken pipe\ninterrupted\ntold so main.py\n"


async def test_light_step_with_variables_for_the_interpreter(engine: Engine) -> None:
    engine.needs("light")
    source = "import sys; assert (sys.flags.hash_randomization, sys.warnoptions) == (0, ['error'])"
    spec = engine.spec(source, light=True, role={"env": {"PYTHONHASHSEED": "0", "PYTHONWARNINGS": "error"}})
    assert (await engine.run(spec)).state is State.DONE


async def test_light_step_with_variables_for_the_linker(engine: Engine) -> None:
    engine.needs("light")
    source = "assert b'LD_LIBRARY_PATH=/nowhere' in open('/proc/self/environ', 'rb').read().split(b'\\0')"
    assert (
        await engine.run(engine.spec(source, light=True, role={"env": {"LD_LIBRARY_PATH": "/nowhere"}}))
    ).state is State.DONE


async def test_light_step_lost(engine: Engine) -> None:
    """The fork carries the attempt's marker, so that even a daemon of it is found after its shim was killed."""
    engine.needs("light")
    source = "if os.fork() == 0:\n    os.setsid()\n    if os.fork(): os._exit(0)\n    mark(ID); wait()\nwait()"
    backend = await engine.backend()
    spec = engine.spec(source, light=True)
    handle = await engine.start(backend, spec)
    await engine.marked(spec.id)
    await engine.kill_shim(handle, "main-0")
    assert (await engine.final(backend, spec.id)).reason is Reason.SHIM_LOST
    assert not [item for item in await engine.left_over(spec.id) if item.startswith("process")]


async def test_light_step_outlives_the_control_plane(engine: Engine) -> None:
    engine.needs("light")
    spec = engine.spec("mark(ID)\nimport time\ntime.sleep(1)\nmark(ID + '-end')", light=True)
    first = await engine.backend()
    await engine.start(first, spec)
    await engine.marked(spec.id)
    await engine.crash(first)
    second = await engine.backend()
    assert (await engine.final(second, spec.id)).state is State.DONE
    assert engine.api.marks(spec.id + "-end") == 1


async def test_light_timeout(engine: Engine) -> None:
    engine.needs("light")
    started = time.monotonic()
    seen = await engine.run(engine.spec("wait()", light=True, timeout=0.5, grace=0.5))
    assert seen.reason is Reason.DEADLINE_EXCEEDED
    assert time.monotonic() - started < 10


@pytest.mark.root
@pytest.mark.parametrize("light", [False, True])
async def test_runs_as_its_user(engine: Engine, light: bool) -> None:
    engine.needs("uid")
    if os.geteuid() != 0:
        pytest.fail("run this as root")
    source = """
import json
print(json.dumps([os.getresuid(), os.getresgid(), os.getgroups()]))
open(os.environ["ATELIER_OUTPUTS"] + "/x", "w").write("x")
"""
    backend = await engine.backend()
    spec = engine.spec(source, uid=61234, light=light, outputs=(Output(name="x"),))
    handle = await engine.start(backend, spec)
    seen = await engine.final(backend, spec.id)
    log = await engine.log(backend, handle)
    assert seen.state is State.DONE, (seen, log)
    assert log == b"[[61234, 61234, 61234], [61234, 61234, 61234], []]\n"


@pytest.mark.root
async def test_a_user_sees_no_other_users_attempt(engine: Engine) -> None:
    engine.needs("uid")
    backend = await engine.backend()
    victim = engine.spec("mark(ID); wait()", uid=61235, role={"secret_env": {"KEY": "v"}})
    await engine.start(backend, victim)
    await engine.marked(victim.id)
    attempt = engine.attempt(victim.id)  # type: ignore[attr-defined]
    root = attempt.root("main-0")
    places = [attempt.folder.parent, attempt.folder, root, root / "log-main-0", attempt.kept.parent, attempt.kept]
    source = f"""
import os
found = []
for path in {[str(path) for path in [*places, attempt.kept / "claim-main-0", attempt.kept / "workload.json"]]!r}:
    try: found.append(sorted(os.listdir(path)) if os.path.isdir(path) else open(path).read())
    except PermissionError: pass
    except FileNotFoundError: pass
try: found.append(open({str(attempt.orders("main-0"))!r}).read())
except PermissionError: pass
print(found)
"""
    spy = engine.spec(source, uid=61236)
    handle = await engine.start(backend, spy)
    assert (await engine.final(backend, spy.id)).state is State.DONE
    assert await engine.log(backend, handle) == b"[]\n"
