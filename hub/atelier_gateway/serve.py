"""Listening and stopping."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
from collections.abc import Iterator, Sequence

import uvicorn
import uvloop

from atelier_core.errors import AtelierError
from atelier_gateway.application import Gateway
from atelier_gateway.bounded_http import BoundedHttp
from atelier_gateway.websocket import MOST_MESSAGE

GRACE_SECONDS = 10
_MOST_FILES = 65_536


class CannotListen(AtelierError):
    """The address cannot be had."""

    code = "cannot_listen"


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(ip: str, port: int) -> socket.socket:
    """Open the socket; says which address is taken."""
    try:
        family = socket.getaddrinfo(ip or "0.0.0.0", port, type=socket.SOCK_STREAM)[0][0]  # noqa: S104
        return socket.create_server((ip, port), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        raise CannotListen(
            f"The address {ip}:{port} cannot be used ({error}).",
            hint="Stop the other program, or set c.AtelierGateway.port to another.",
        ) from error


def bind_address(address: str) -> socket.socket:
    """The same for `host:port`."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise CannotListen(f"{address!r} is not host:port.", hint="Correct c.AtelierGateway.extra_binds.")
    return bind(host.strip("[]"), int(port))


def run(gateway: Gateway, listening: Sequence[socket.socket]) -> None:
    """Serve until SIGTERM or SIGINT."""
    _allow_many_connections()
    logging.getLogger("uvicorn.error").addFilter(_not_our_own_breaking_off)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(gateway, listening))


def _allow_many_connections() -> None:
    """Every visitor takes a descriptor, and so does every request under way; the usual 1,024 are soon used up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(gateway: Gateway, listening: Sequence[socket.socket]) -> None:
    server = _Server(_config(gateway))

    def stop() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    caring = asyncio.create_task(gateway.parts.look_after())
    host, port = listening[0].getsockname()[:2]
    print(f"atelier-gateway listens on http://{host}:{port} (pid {os.getpid()})", flush=True)
    try:
        await server.serve(list(listening))
    finally:
        caring.cancel()
        await gateway.close()


def _config(gateway: Gateway) -> uvicorn.Config:
    return uvicorn.Config(
        gateway,
        interface="asgi3",
        http=BoundedHttp,
        ws="websockets-sansio",
        ws_max_size=MOST_MESSAGE,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,  # the service's own date is passed on
        proxy_headers=False,
        # Longer than proxies in front keep a connection: they should be the ones to end it.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _not_our_own_breaking_off(record: logging.LogRecord) -> bool:
    """An answer that a service broke off is broken off here, too; that is said elsewhere."""
    return "without completing response" not in record.getMessage()
