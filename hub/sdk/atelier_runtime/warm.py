"""The zygote: one process that has everything imported and forks a shim per attempt.

The local engine sends one JSON line per attempt over a socket pair, `{"spec": PATH, "in_place": bool}`, and gets one
back, `{"claim": …}` (null if another shim had it) or `{"error": text}`. The zygote ends when the engine closes the
socket; shims live on.
With `in_place` the command, a Python file or module, runs in a fork of this process instead of a new interpreter.
"""

from __future__ import annotations

import codecs
import contextlib
import gc
import importlib
import json
import os
import re
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import NoReturn

from atelier_runtime import files, inplace, shim
from atelier_runtime.spec import ShimSpec

_LINE = 65536
# A shim of another user may not be able to read this interpreter's files, so nothing is imported after the fork.
_CODECS = ("ascii", "idna", "latin-1", "utf-8")
_MODULES = ("linecache", "runpy", "tokenize", "zlib")
_HEEDED = frozenset({"PYTHONPATH", "PYTHONUNBUFFERED"})
# Read by the interpreter, the dynamic linker and the C library when a process starts.
_AT_START = ("GLIBC_", "LD_", "MALLOC_", "PYTHON")
_PYTHON = re.compile(r"python(3(\.\d+)?)?")


def main(descriptor: int, preload: list[str]) -> int:
    """Serve until the socket closes."""
    connection = socket.socket(fileno=descriptor)
    connection.set_inheritable(False)
    marker = inplace.Marker()
    for codec in _CODECS:
        codecs.lookup(codec)
    for name in (*_MODULES, *preload):
        _preload(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps shims that ended
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()  # what is imported stays as it is, so forks share its memory
    with connection, connection.makefile("rb") as reader, contextlib.suppress(OSError):
        for line in iter(lambda: reader.readline(_LINE), b""):
            answer = _fork(json.loads(line), connection, marker)
            connection.sendall(json.dumps(answer).encode() + b"\n")
    return 0


def _preload(name: str) -> None:
    try:
        importlib.import_module(name)
    except Exception as error:
        print(f"warm worker: {name} was not imported: {error}", file=sys.stderr)


def _fork(order: dict[str, object], connection: socket.socket, marker: inplace.Marker) -> dict[str, object]:
    """Fork a shim and wait for its claim, which tells whether it carries the attempt."""
    receive, send = os.pipe()
    if not os.fork():
        os.close(receive)
        os.close(connection.fileno())  # not close(): the reader shares it; the engine must see the zygote's end
        _become_shim(order, send, marker)
    os.close(send)
    with os.fdopen(receive, "rb") as pipe:
        text = pipe.read()
    if not text:
        return {"error": "The shim died before it claimed the attempt."}
    answer: dict[str, object] = json.loads(text)
    return answer


def _become_shim(order: dict[str, object], send: int, marker: inplace.Marker) -> NoReturn:
    """In the child: never returns, whatever happens: the zygote's stack must not run twice."""
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        spec = ShimSpec.load(str(order["spec"]))
        _drop_rights(spec)
        os.umask(0o007 if spec.groups else 0o077)  # what is made in the project's folder is for its members
        claim = _claim(spec)
        os.write(send, json.dumps({"claim": claim}).encode())
        os.close(send)
        send = -1  # the number may belong to another file soon
        if claim is not None:
            shim.carry(spec, _runner(marker) if order.get("in_place") else None)
        os._exit(0)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(send, json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
        traceback.print_exc()
    finally:
        os._exit(1)


def _claim(spec: ShimSpec) -> dict[str, object] | None:
    try:
        return files.claim(spec.root, spec.replica)
    except files.AlreadyClaimed:
        return None


def _drop_rights(spec: ShimSpec) -> None:
    if spec.uid is None or spec.uid == os.geteuid():
        return
    os.setgroups(spec.groups)
    os.setresgid(spec.uid, spec.uid, spec.uid)
    os.setresuid(spec.uid, spec.uid, spec.uid)


def _runner(marker: inplace.Marker) -> shim.InPlace:
    def program(spec: ShimSpec, items: list[str], environment: dict[str, str]) -> Callable[[], int] | None:
        if not runs_in_place(items, environment):
            return None
        return lambda: inplace.run(items, environment, marker, spec)

    return program


def runs_in_place(items: list[str], environment: Mapping[str, str]) -> bool:
    """Whether a command is `python FILE …` or `python -m MODULE …` of the image's own interpreter, as it is.

    Variables that are heeded only when a process starts need a new one.
    """
    if len(items) < 2 or not _PYTHON.fullmatch(items[0]):
        return False
    if any(name.startswith(_AT_START) and name not in _HEEDED for name in environment):
        return False
    return not items[1].startswith("-") or (items[1] == "-m" and len(items) > 2)
