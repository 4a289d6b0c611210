"""The local shim: claims the replica, stages, runs, stores, and leaves its exit in a file that outlives everything."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from types import FrameType

from atelier_runtime import files, outcome, process
from atelier_runtime.api import PATIENCE, Api, AttemptOver
from atelier_runtime.command import Command, block_signals
from atelier_runtime.log import OwnLog, add
from atelier_runtime.outcome import Failure, Outcome, Stopped
from atelier_runtime.spec import ShimSpec
from atelier_runtime.stage import stage
from atelier_runtime.store import gather_results, store

ALREADY_CLAIMED = 75
_LITTLE = 1024**2  # bytes: with less, a command could not even say what was wrong
# Makes a program that runs in place of the command's file, or None to execute the file.
InPlace = Callable[[ShimSpec, "list[str]", "dict[str, str]"], "Callable[[], int] | None"]


def main(spec_path: str) -> int:
    """Carry the attempt that `spec_path` describes."""
    spec = ShimSpec.load(spec_path)
    os.umask(0o077)
    try:
        files.claim(spec.root, spec.replica)
    except files.AlreadyClaimed:
        return ALREADY_CLAIMED
    return carry(spec)


def carry(spec: ShimSpec, in_place: InPlace | None = None) -> int:
    """Everything after the claim; the exit file is the last thing it writes."""
    process.become_reaper()
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    started = time.time()
    api = Api(spec.url, spec.attempt, spec.token) if spec.url else None
    result = Outcome()
    try:
        _carry(spec, api, result, in_place)
    except Stopped:
        result.fail(outcome.CANCELLED, "It was stopped.")
    except AttemptOver as error:
        result.fail(outcome.CANCELLED, f"The control plane says that the attempt is over. {error}")
    except Failure as failure:
        result.fail(failure.reason, failure.message)
        if failure.reason == outcome.COMMAND_NOT_FOUND:
            result.exit_code = 127
    except Exception as error:  # a bug or a full disk: said, not hidden in a lost shim
        result.fail(outcome.START_FAILED, f"The shim failed: {type(error).__name__}: {error}.")
    block_signals()
    process.end_descendants()
    result.started_at, result.ended_at = started, time.time()
    _leave_exit(spec, result)
    return 0


def _leave_exit(spec: ShimSpec, result: Outcome) -> None:
    """Write the exit file; on a full disk wait for room, or what was done would be done again."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return files.write_json(files.exit_path(spec.root, spec.replica), result.document())
        except FileNotFoundError:  # the command removed the folder; the engine sees this process end and says so
            return None
        except OSError as error:
            if error.errno not in files.FULL or time.monotonic() > until:
                raise
        time.sleep(1)


def _carry(spec: ShimSpec, api: Api | None, result: Outcome, in_place: InPlace | None) -> None:
    stage(spec, api)
    ended = _run(spec, in_place)
    result.exit_code = ended.exit_code
    if ended.reason:
        result.fail(ended.reason, ended.message + _no_room(spec.root))
    elif spec.stores:
        store(spec, api, result, _say_in_log(spec))
    else:
        result.stored = True


def _no_room(folder: str) -> str:
    """What to add to a failure on a full disk, where the command's own last words may be lost."""
    disk = os.statvfs(folder)
    if disk.f_bavail * disk.f_frsize >= _LITTLE:
        return ""
    return " There is no room left on the disk where steps work: delete old runs or make it larger."


def _run(spec: ShimSpec, in_place: InPlace | None) -> Outcome:
    log = OwnLog(files.log_path(spec.root, spec.replica), spec.log_limit)
    environment = spec.environment({})
    since = time.time()
    block_signals()
    try:
        command = Command(spec, environment, log.descriptor)
        command.tend = log.trim
        if in_place:
            command.program = in_place(spec, command.items, environment)
        _note_command(spec, command.start())
        result = command.wait()
    finally:
        log.close()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
    if spec.stores:
        gather_results(spec, since, _say_in_log(spec))
    return result


def _say_in_log(spec: ShimSpec) -> Callable[[str], None]:
    return partial(add, files.log_path(spec.root, spec.replica))


def _note_command(spec: ShimSpec, pid: int) -> None:
    """Add the command to the claim: whoever finds this shim dead ends the command's session."""
    path = files.claim_path(spec.root, spec.replica)
    claim = files.read_json(path) or {}
    claim["command_pid"] = pid
    files.write_json(path, claim, durable=False)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped
