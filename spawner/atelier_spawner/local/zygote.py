"""The engine's side of a zygote: starts it, asks it for shims, starts it again when it died."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from atelier_core.errors import BackendUnavailable
from atelier_runtime.inplace import Marker

_ANSWER_LIMIT = 60.0  # the first one comes once the image's modules are imported
_ANSWER_SIZE = 65536  # a user's own zygote may have been tampered with by its user


class Zygote:
    """One zygote process: interpreter, user with further groups, modules to import and their variables are fixed.

    `users` counts who holds it now, `used` is when the last of them let go.
    """

    def __init__(
        self,
        python: list[str],
        runtime: Path,
        log: Path,
        uid: int | None = None,
        groups: tuple[int, ...] = (),
        preload: tuple[str, ...] = (),
        variables: Mapping[str, str] = MappingProxyType({}),
    ):
        self._command = [*python, str(runtime), "zygote"]
        self._preload = [item for name in preload for item in ("--preload", name)]
        self._log = log
        self._uid = uid
        self._groups = groups
        self._variables = variables
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._lock = asyncio.Lock()
        self.users = 0
        self.used = time.monotonic()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep it for as long as the body runs."""
        self.users += 1
        try:
            yield
        finally:
            self.users -= 1
            self.used = time.monotonic()

    async def start(self, spec: Path, in_place: bool) -> dict[str, Any] | None:
        """Fork a shim for `spec`; its claim of the attempt, or None if another shim had claimed it.

        Safe to repeat: the claim lets one shim through, however often this is called.
        """
        async with self._lock:
            order = json.dumps({"spec": str(spec), "in_place": in_place}).encode() + b"\n"
            try:
                answer = await self._ask(order)
            except (OSError, EOFError):
                answer = await self._ask(order)  # it had died; this one is new
        if "error" in answer:
            raise BackendUnavailable(f"The step could not be started: {answer['error']}", code="start_failed")
        claim = answer.get("claim")
        return claim if isinstance(claim, dict) else None

    def idle(self, seconds: float) -> bool:
        """Whether nobody has used it for so long."""
        return not self.users and time.monotonic() - self.used >= seconds

    def warm_up(self) -> None:
        """Start the process now, so that the first step does not wait for it."""
        self._connect()

    def close(self) -> None:
        """Let the zygote end; its shims live on."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            try:
                self._process.wait(1)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    async def _ask(self, order: bytes) -> dict[str, Any]:
        connection = self._connect()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_ANSWER_LIMIT):
                await loop.sock_sendall(connection, order)
                text = b""
                while not text.endswith(b"\n"):
                    piece = await loop.sock_recv(connection, 65536)
                    if not piece or len(text) > _ANSWER_SIZE:
                        raise EOFError
                    text += piece
        except TimeoutError as error:
            self.close()
            raise BackendUnavailable("The step could not be started in time.", code="start_failed") from error
        except BaseException:
            self.close()  # its answer must not be taken for the next one's
            raise
        return _parsed(text)

    def _connect(self) -> socket.socket:
        if self._socket is None:
            ours, theirs = socket.socketpair()
            with theirs:
                self._process = self._spawn(theirs.fileno())
            ours.setblocking(False)
            self._socket = ours
        return self._socket

    def _spawn(self, descriptor: int) -> subprocess.Popen[bytes]:
        with open(self._log, "ab") as log:
            return subprocess.Popen(
                [*self._command, "--socket", str(descriptor), *self._preload],
                env={"PATH": os.defpath, "LANG": "C.UTF-8", **self._variables, **Marker.room()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                pass_fds=(descriptor,),
                start_new_session=True,
                user=self._uid,
                group=self._uid,
                extra_groups=None if self._uid is None else list(self._groups),
            )


def _parsed(answer: bytes) -> dict[str, Any]:
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        document = None
    return document if isinstance(document, dict) else {"error": "its answer cannot be read"}
