"""Listening: one main socket, and extra ones on which only workloads are answered."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import resource
import signal
import socket
from collections.abc import Iterator, Sequence

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from atelier_core.errors import AtelierError, NotFound
from atelier_hub.http.errors import answer

_FOR_WORKLOADS = re.compile(r"(/api/(?:attempts/.*|health))", re.DOTALL)
GRACE_SECONDS = 10
MOST_CONNECTIONS = 10_000
KEPT_DESCRIPTORS = 256


class CannotListen(AtelierError):
    """An address cannot be had."""

    code = "cannot_listen"


def bind(ip: str, port: int, extra: Sequence[str]) -> list[socket.socket]:
    """Open the main socket and the extra ones; says which address is taken and what to do."""
    sockets = [_listen(ip, port, "port")]
    for address in extra:
        host, _, number = address.rpartition(":")
        if not host or not number.isdecimal():
            raise CannotListen(
                f"{address!r} in extra_binds is not host:port.", hint="Correct c.AtelierHub.extra_binds."
            )
        sockets.append(_listen(host.strip("[]"), int(number), "extra_binds"))
    return sockets


def _listen(host: str, port: int, trait: str) -> socket.socket:
    try:
        family = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)[0][0]  # noqa: S104
        listening = socket.create_server((host, port), family=family, backlog=512)
        # Connections inherit it; asyncio sets it only where a socket names its protocol. Without it every answer on a
        # connection that is used again waits 40 ms for its second packet.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None)
        why = "is in use by another program" if number == errno.EADDRINUSE else f"cannot be used ({error})"
        raise CannotListen(
            f"The address {host}:{port} {why}.",
            hint=f"Stop the other program, or set c.AtelierHub.{trait} to another address.",
        ) from error


class ForWorkloads:
    """Answers `/api/attempts/*` and `/api/health` only, with or without the base path."""

    def __init__(self, app: ASGIApp, base_path: str) -> None:
        self._app = app
        self._base = base_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a workload's request on; everything else does not exist here."""
        if scope["type"] != "http":
            return
        path = _FOR_WORKLOADS.fullmatch(scope["path"].removeprefix(self._base))
        if path is None:
            await answer(NotFound("There is nothing at this address."))(scope, receive, send)
            return
        full = self._base + path[1]
        await self._app({**scope, "path": full, "raw_path": full.encode()}, receive, send)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: several servers share one pair of ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(app: FastAPI, sockets: Sequence[socket.socket], base_path: str) -> None:
    """Serve until SIGTERM or SIGINT."""
    asyncio.run(_serve(app, sockets, base_path))


async def _serve(app: FastAPI, sockets: Sequence[socket.socket], base_path: str) -> None:
    most = _most_connections() // len(sockets)
    main = _Server(_config(app, lifespan="on", most=most))
    others = [_Server(_config(ForWorkloads(app, base_path), lifespan="off", most=most)) for _ in sockets[1:]]
    servers = [main, *others]

    def stop() -> None:
        app.state.context.feed.end_streams()
        for server in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    parent = asyncio.create_task(_announce(sockets))
    await asyncio.gather(*(server.serve([one]) for server, one in zip(servers, sockets, strict=True)))
    await parent
    if not main.started:
        raise CannotListen("The control plane failed while starting.", hint="The log above says why.")


async def _announce(sockets: Sequence[socket.socket]) -> None:
    host, port = sockets[0].getsockname()[:2]
    print(f"atelier-hub listens on http://{host}:{port} (pid {os.getpid()})", flush=True)


def _most_connections() -> int:
    """So many that files and the database can still be opened when all are taken; more are answered with 503."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else soft - KEPT_DESCRIPTORS
    return max(64, min(most, MOST_CONNECTIONS))


def _config(app: ASGIApp, lifespan: str, most: int | None = None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan=lifespan,  # type: ignore[arg-type]
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=most,
        # Longer than clients keep an idle connection: else one is used in the moment in which it is closed here.
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
