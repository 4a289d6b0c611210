"""Control planes by `fork` from a process that has imported them: a start takes half of the processor's time.

`tests/atelier_hub/test_app.py` starts them as the platform does.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from atelier_hub import features
from atelier_hub.app import main

_LONGEST = 1024 * 1024  # what a request may take: arguments and environment


class Forked:
    """The part of `subprocess.Popen` that tests need, for `python -m atelier_hub ARGUMENTS`."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        request = {"arguments": list(arguments), "env": dict(os.environ), "folder": os.getcwd()}
        self._end, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # pid and status stay apart
        with theirs, log.open("ab") as output:
            socket.send_fds(_server(), [json.dumps(request).encode()], [theirs.fileno(), output.fileno()])
        self.pid = int(self._end.recv(64))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit status, negative for a signal; none while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, once there is one."""
        if self.returncode is None:
            self._end.settimeout(timeout)
            try:
                self.returncode = int(self._end.recv(64))
            except (BlockingIOError, TimeoutError):
                raise subprocess.TimeoutExpired("atelier_hub", timeout or 0) from None
            self._end.close()
        return self.returncode

    def terminate(self) -> None:
        """Ask it to end."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)


@functools.cache
def _server() -> socket.socket:
    """One for each process of tests; it ends with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for side in (ours, theirs):
        side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LONGEST)
    with theirs:
        process = subprocess.Popen([sys.executable, "-m", __name__, str(theirs.fileno())], pass_fds=[theirs.fileno()])
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


def _serve(requests: socket.socket) -> None:
    """Fork for each request, and say how each child ended."""
    running = selectors.DefaultSelector()
    running.register(requests, selectors.EVENT_READ)
    while True:
        for key, _ in running.select():
            if key.data is None:
                message, fds, _, _ = socket.recv_fds(requests, _LONGEST, 2)
                if not message:
                    return
                asked, output = socket.socket(fileno=fds[0]), fds[1]
                pid = os.fork()
                if pid == 0:
                    asked.close()
                    _forget(running)
                    _become(json.loads(message), output)
                    return
                os.close(output)
                _tell(asked, pid)
                running.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, asked))
            else:
                pid, asked = key.data
                running.unregister(key.fd)
                os.close(key.fd)
                with asked:
                    _tell(asked, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _tell(asked: socket.socket, number: int) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # nobody may want to know
        asked.send(str(number).encode())


def _forget(running: selectors.BaseSelector) -> None:
    """What the server has open is not the child's."""
    for key in list(running.get_map().values()):
        if key.data is None:
            cast("socket.socket", key.fileobj).close()
        else:
            os.close(key.fd)
            key.data[1].close()
    running.close()


def _become(request: Mapping[str, Any], output: int) -> None:
    """Be the control plane."""
    gc.disable()  # as it does itself
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    for standard in (1, 2):
        os.dup2(output, standard)
    os.close(output)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["folder"])
    sys.argv = ["atelier_hub", *request["arguments"]]
    main()


if __name__ == "__main__":
    for part in ("store", "routes", "startup"):
        features.modules(part)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _serve(socket.socket(fileno=int(sys.argv[1])))
