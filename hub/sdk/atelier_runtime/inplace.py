"""Running a Python command inside a fork of the warm worker, as if a new interpreter had been started."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
import types
from collections.abc import Callable
from typing import Any

from atelier_runtime.spec import ShimSpec

_ROOM = 64
_OUTPUT_LOST = 120  # the exit code of an interpreter that could not write all that was printed
_NAMES = ("ATELIER_ATTEMPT", "ATELIER_REPLICA")


class Marker:
    """The attempt's marker in the environment that the kernel shows for this process.

    A forked process shows the environment its ancestor was executed with, so the engine starts the zygote with room
    in these variables, and each fork writes its attempt there. Must be made before anything changes the environment.
    """

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        try:
            import ctypes
        except ImportError:
            return
        self._ctypes = ctypes
        getenv = ctypes.CDLL(None).getenv
        getenv.restype = ctypes.c_void_p
        for name in _NAMES:
            if len(os.environ.get(name, "")) == _ROOM:
                self._places[name] = getenv(name.encode())

    def write(self, spec: ShimSpec) -> None:
        """Show `spec`'s attempt and replica from now on."""
        for name, value in zip(_NAMES, (spec.attempt, spec.replica)):  # noqa: B905  # Python 3.9
            place = self._places.get(name)
            if place and len(value) <= _ROOM:
                self._ctypes.memmove(place, value.encode().ljust(_ROOM, b"\0"), _ROOM)

    @staticmethod
    def room() -> dict[str, str]:
        """The variables that a zygote must be started with."""
        return {name: "-" * _ROOM for name in _NAMES}


def run(items: list[str], environment: dict[str, str], marker: Marker, spec: ShimSpec) -> int:
    """Run `python FILE …` or `python -m MODULE …` here and return its exit code. The caller leaves by `os._exit`."""
    marker.write(spec)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # both as an interpreter has them from its start
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _fresh_state()
    sys.path[:0] = [entry for entry in environment.get("PYTHONPATH", "").split(os.pathsep) if entry]
    code = _guarded(items)
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as the interpreter does at its end
    atexit._run_exitfuncs()
    written = [_flush(stream) for stream in (sys.stdout, sys.stderr)]
    return code if code or all(written) else _OUTPUT_LOST


def _flush(stream: Any) -> bool:
    """Whether all that was printed is written. The step may have closed the stream, or put another in its place."""
    try:
        if stream is not None and not getattr(stream, "closed", False):
            stream.flush()
    except Exception:
        return False
    return True


def _fresh_state() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, encoding="utf-8")  # type: ignore[union-attr]
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        tempfile.tempdir = None  # type: ignore[attr-defined]
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()  # forks would all draw the same numbers


def _guarded(items: list[str]) -> int:
    try:
        if items[1] == "-m":
            _run_module(items[2], items[2:])
        else:
            _run_file(items[1], items[1:])
    except SystemExit as leaving:
        return _exit_code(leaving.code)
    except BaseException as error:
        _tell_error(error)
        return 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _run_file(path: str, arguments: list[str]) -> None:
    sys.argv[:] = arguments
    sys.path.insert(0, os.path.dirname(os.path.realpath(path)))
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        print(f"python: can't open file {path!r}: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    main = types.ModuleType("__main__")
    main.__file__ = path
    main.__builtins__ = __builtins__  # type: ignore[attr-defined]
    sys.modules["__main__"] = main
    exec(compile(source, path, "exec", dont_inherit=True), main.__dict__)  # noqa: S102  # the step's own code


def _run_module(name: str, arguments: list[str]) -> None:
    import runpy

    sys.argv[:] = arguments
    sys.path.insert(0, os.getcwd())
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _exit_code(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    _tell(lambda: print(code, file=sys.stderr))
    return 1


def _tell_error(error: BaseException) -> None:
    """Print the error, as the step wants it to be, without the frames of the runtime."""
    frames = error.__traceback__
    own = os.path.dirname(os.path.abspath(__file__))
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(own):
        frames = frames.tb_next
    _tell(lambda: sys.excepthook(type(error), error.with_traceback(frames), frames))


def _tell(say: Callable[[], None]) -> None:
    """Say something where that is possible: standard error may be closed, or its disk full."""
    with contextlib.suppress(Exception):
        say()
