"""The process: listens at once, is ready when the model is loaded, and ends without losing a request."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn

from atelier_serve import arrange, folder, loading
from atelier_serve.app import App
from atelier_serve.errors import CannotServe, Exit
from atelier_serve.lanes import Lanes
from atelier_serve.metrics import Metrics
from atelier_serve.model import Settings
from atelier_serve.served import Served
from atelier_serve.state import State

log = logging.getLogger(__name__)
# A connection that the gateway keeps must not be closed just when it sends the next request.
_KEEP_ALIVE_SECONDS = 75
_BACKLOG = 2048
# Between the last answer and the end of the process.
_LAST_SECONDS = 0.5


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    folder: Path
    name: str
    version: str
    host: str
    port: int
    threads: int
    cores: int
    max_bytes: int
    drain_seconds: float
    stop_seconds: float


def run(options: Options) -> Exit:
    """Serve until a signal comes. `CannotServe` says why it could not."""
    found = folder.find(options.folder)  # what takes no time is said before anything listens
    listener = _listen(options.host, options.port)
    state = State(options.name, options.version, Metrics(options.name, options.version), options.max_bytes)
    config = uvicorn.Config(
        App(state),
        http="httptools",
        loop="auto",  # uvloop where it is installed
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, int(options.stop_seconds - options.drain_seconds - _LAST_SECONDS)),
    )
    server = _Server(config, state, options.drain_seconds)
    loader = _Loader(found, options, state, server)
    loader.start()
    with listener:
        server.run(sockets=[listener])
    if loader.problem:
        raise loader.problem
    return Exit.OK


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        # asyncio alone would let every answer on a connection that is used again wait 40 ms for its second packet.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        raise CannotServe(f"The address {host}:{port} cannot be listened on: {error.strerror}.", Exit.NO_PORT) from None


class _Server(uvicorn.Server):
    """Says that it is not ready before it stops to listen, and ends with 0 when it was told to end."""

    def __init__(self, config: uvicorn.Config, state: State, drain_seconds: float) -> None:
        super().__init__(config)
        self._state = state
        self._drain_seconds = drain_seconds
        self._told = 0.0

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's own, which would raise the signal once more at the end."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._tell)
        yield

    def _tell(self, number: int, frame: FrameType | None) -> None:
        if self._state.stopping:  # told twice: at once
            self.should_exit = self.force_exit = True
            return
        log.info("Told to stop by signal %d.", number)
        self._state.stopping = True
        self._told = time.monotonic()

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second."""
        if self._state.stopping and time.monotonic() - self._told >= self._drain_seconds:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answers that still have to be computed come first."""
        self._state.stopping = True
        await super().shutdown(sockets)
        if self._state.lanes:
            self._state.lanes.close()
        await asyncio.sleep(0)


class _Loader(threading.Thread):
    """Loads the model beside the server. As a daemon it holds nobody up who wants to stop meanwhile."""

    def __init__(self, found: folder.Found, options: Options, state: State, server: _Server) -> None:
        super().__init__(name="load", daemon=True)
        self._found = found
        self._options = options
        self._state = state
        self._server = server
        self.problem: CannotServe | None = None

    def run(self) -> None:
        try:
            self._load()
        except CannotServe as error:
            self.problem = error
        except BaseException:
            log.exception("The model could not be loaded.")
            self.problem = CannotServe("The model could not be loaded; the log says why.", Exit.BROKEN_MODEL)
        if self.problem:
            if self.problem.__cause__:
                log.error("The model could not be loaded.", exc_info=self.problem.__cause__)
            self._server.should_exit = True

    def _load(self) -> None:
        options, state, start = self._options, self._state, time.perf_counter()
        model = loading.load(self._found, Settings(options.cores))
        taken = self._found.signature
        served = Served(options.name, options.version, model, taken, arrange.arrangement(model, taken), state.metrics)
        lanes = Lanes(options.threads, model.concurrent)
        lanes.warm(served.warm_up())
        state.metrics.load_seconds = time.perf_counter() - start
        state.lanes, state.served = lanes, served
        log.info(
            "Serving %s, version %s (%s), loaded in %.2f s.",
            options.name,
            options.version,
            model.platform,
            state.metrics.load_seconds,
        )
