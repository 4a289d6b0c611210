"""The shim on a cluster: `init` and `sidecar` in our own containers, `main` around the command in the step's image.

They share the attempt's folder (a volume) and meet in `ROOT/.atelier`:

- `runtime/`      the runtime, copied by `init`, executed by `main`
- `main.json`     the spec without token and address, written by `init` for `main`
- `main.lock`     held while the wrapper lives; a container's death frees it, whatever killed it
- `log`           what the command wrote
- `exit.json`     how the command ended, written by `main`
- `usage-wanted`, `usage.json`  what it uses now, when somebody asks (`gauge`)
- `over`          made by `sidecar` when it hears that the attempt is over; `main` ends the command then
- `stored.json`   what became of it, written by `sidecar`; `main` ends then
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from atelier_runtime import files, outcome, process
from atelier_runtime.log import CopiedLog, add
from atelier_runtime.outcome import Failure, Outcome, Stopped
from atelier_runtime.spec import ShimSpec

_SHARED, _OVER = ".atelier", "over"
_PIECE = 65536
_WAIT = 0.05
_REFUSED = 75
_LAST_WORDS = "/dev/termination-log"
_LAST_WORDS_LIMIT = 4096
_MESSAGE_LIMIT = 500


def init(spec_path: str, root: str, runtime: str = "") -> int:
    """Copy the runtime, claim, fetch code and inputs. A failure is left for `main` and `sidecar` to report."""
    from atelier_runtime.api import Api, ApiError, AttemptOver, Unreachable
    from atelier_runtime.stage import stage

    spec = _load(spec_path, root)
    os.makedirs(_shared(root), exist_ok=True)
    if runtime and not os.path.isdir(_file(root, "runtime")):
        _copy_runtime(runtime, _file(root, "runtime"))
    api = Api(spec.url, spec.attempt, spec.token)
    try:
        if spec.claim == "http":
            api.post("claim", {"replica": spec.replica, "uid": os.environ.get("ATELIER_POD_UID", "")})
        stage(spec, api)
    except AttemptOver as error:
        return _say(f"The attempt is over: {error}")
    except ApiError as error:
        return _say(f"Another pod carries this replica: {error}")
    except Unreachable as error:
        return _say(str(error))
    except Failure as failure:
        _write(root, "exit.json", Outcome().fail(failure.reason, failure.message).document())
    _touch_metric(root)
    _write(root, "main.json", spec.without_secrets().document())
    _share(root)
    return 0


def main(spec_path: str, root: str) -> int:
    """Run the command, write `exit.json`, wait for `stored.json`, and return the command's exit code."""
    spec = _load(spec_path or _file(root, "main.json"), root)
    process.become_reaper()
    lock = os.open(_file(root, "main.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    fcntl.flock(lock, fcntl.LOCK_EX)
    signal.signal(signal.SIGTERM, _stop)
    try:
        if spec.kind == "service":
            # Its container is started again by the cluster, and each start counts.
            return _exit_code(_run(spec, root).document(), {"stored": True})
        return _run_once(spec, root)
    except Stopped:
        return 128 + signal.SIGTERM


def _run_once(spec: ShimSpec, root: str) -> int:
    ended = files.read_json(_file(root, "exit.json"))
    if ended is None:
        try:
            files.claim(_shared(root), spec.replica)
        except files.AlreadyClaimed:
            return _say("The command was started here before, and its wrapper was killed.")
        ended = _run(spec, root).document()
        _share(spec.path("outputs"))
        _share(spec.path("results"))
        _write(root, "exit.json", ended)
        # Not before: what was done must be known, however the pod ends.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
    stored = _wait_stored(root)
    _leave_last_words(ended, stored)
    return _exit_code(ended, stored)


def sidecar(spec_path: str, root: str) -> int:
    """Ship logs while the command runs, then store outputs and report."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # it must not end what has hardly begun
    from atelier_runtime.sidecar import Sidecar

    return Sidecar(_load(spec_path, root), _shared(root)).run()


def node_name() -> str:
    """Where this pod runs."""
    return os.environ.get("ATELIER_NODE", "") or socket.gethostname()


def wrapper_alive(shared: str) -> bool | None:
    """Whether the wrapper runs; None if it has not started yet."""
    try:
        lock = os.open(os.path.join(shared, "main.lock"), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def end_command(shared: str) -> None:
    """Have the wrapper end its command. On a full disk it stays until somebody else ends it."""
    with contextlib.suppress(OSError), open(os.path.join(shared, _OVER), "wb"):
        pass


def _run(spec: ShimSpec, root: str) -> Outcome:
    """The command, its output to the container's own log and to the file that the sidecar ships."""
    from atelier_runtime.command import Command, block_signals
    from atelier_runtime.store import gather_results

    started, result = time.time(), Outcome()
    receive, send = os.pipe()
    log = os.open(_file(root, "log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    block_signals()
    tee = threading.Thread(target=_tee, args=(receive, CopiedLog(log, spec.log_limit)), daemon=True)
    try:
        command = Command(spec, spec.environment(dict(os.environ)), send)
        command.tend = _tending(_shared(root))
        command.start()
        os.close(send)
        tee.start()
        result = _as_seen_from_a_pod(command.wait())
        tee.join(10)
    except Failure as failure:
        result.fail(failure.reason, failure.message)
        result.exit_code = 127 if failure.reason == outcome.COMMAND_NOT_FOUND else None
        os.write(log, (failure.message + "\n").encode())
        print(failure.message, file=sys.stderr)
    if spec.stores and not result.reason:
        gather_results(spec, started, partial(add, _file(root, "log")))
    result.started_at, result.ended_at = started, time.time()
    return result


def _tending(shared: str) -> Callable[[], None]:
    """What is done now and then while the command runs."""
    from atelier_runtime.gauge import Measure

    measure, over = Measure(shared), os.path.join(shared, _OVER)

    def tend() -> None:
        if os.path.exists(over):
            os.kill(os.getpid(), signal.SIGTERM)  # blocked, and waited for: as if the pod were asked to end
        measure.tend()

    return tend


def _as_seen_from_a_pod(result: Outcome) -> Outcome:
    """A pod is asked to end by whoever drains or deletes it; if it was the platform, it knows better than we do."""
    if result.reason == outcome.CANCELLED:
        result.reason, result.message = outcome.GONE, "Its pod was asked to end: it was deleted, or its node drained."
    return result


def _tee(source: int, log: CopiedLog) -> None:
    for piece in iter(lambda: os.read(source, _PIECE), b""):
        log.write(piece)
        with contextlib.suppress(OSError):  # the container runtime's log is a convenience; ours is the record
            os.write(1, piece)
    log.close()


def _wait_stored(root: str) -> dict[str, Any]:
    while True:
        stored = files.read_json(_file(root, "stored.json"))
        if stored is not None:
            return stored
        time.sleep(_WAIT)


def _leave_last_words(ended: dict[str, Any], stored: dict[str, Any]) -> None:
    """The cluster keeps these with the container's status: how it ended, for who missed the report."""
    if not os.path.exists(_LAST_WORDS):
        return
    reason = stored.get("reason") or ended.get("reason", "")
    message = str(stored.get("message") or ended.get("message", ""))[:_MESSAGE_LIMIT]
    words = outcome.plain({"exit_code": ended.get("exit_code"), "reason": reason, "message": message})
    whole = json.dumps({**words, "stored": stored.get("stored", False), "values": stored.get("values", {})})
    with contextlib.suppress(OSError), open(_LAST_WORDS, "w", encoding="utf-8") as file:
        file.write(whole if len(whole.encode()) <= _LAST_WORDS_LIMIT else json.dumps(words))


def _exit_code(ended: dict[str, Any], stored: dict[str, Any]) -> int:
    """The command's code; never 0 unless everything was stored."""
    code = ended.get("exit_code")
    if isinstance(code, int) and code:
        return code
    return 0 if stored.get("stored") and not ended.get("reason") else 1


def _load(path: str, root: str) -> ShimSpec:
    """The spec placed at `root`; a pod of an indexed Job learns its replica from its completion index."""
    index = os.environ.get("JOB_COMPLETION_INDEX", "")
    return ShimSpec.load(path).placed(os.path.abspath(root), int(index) if index else None)


def _copy_runtime(source: str, target: str) -> None:
    temporary = target + ".part"
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(source, temporary, symlinks=True)
    os.replace(temporary, target)


def _share(folder: str) -> None:
    """Let init, step and sidecar, which may run as different users, use a folder of the volume that only they mount."""
    for place, names, leaves in os.walk(folder):
        names[:] = [name for name in names if name != "runtime" or os.path.basename(place) != _SHARED]
        for path in [place] + [os.path.join(place, leaf) for leaf in leaves]:
            status = os.lstat(path)
            if status.st_uid == os.geteuid() and not stat.S_ISLNK(status.st_mode):
                os.chmod(path, stat.S_IMODE(status.st_mode) | (0o777 if stat.S_ISDIR(status.st_mode) else 0o666))


def _touch_metric(root: str) -> None:
    """The step's `/metric.json` is a mount of this file, which must be there before."""
    path = os.path.join(root, "results", "metric.json")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "ab"):
        pass


def _write(root: str, name: str, document: dict[str, Any]) -> None:
    files.write_json(_file(root, name), document, mode=0o644)


def _shared(root: str) -> str:
    return os.path.join(root, _SHARED)


def _file(root: str, name: str) -> str:
    return os.path.join(root, _SHARED, name)


def _say(text: str) -> int:
    print(text, file=sys.stderr)
    return _REFUSED


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped
