"""Ports for servers of the tests: nobody's connection goes out from them, and each process has its own."""

from __future__ import annotations

import itertools
import os
import random
import socket

# Below those that the system gives to connections, above those of the cluster rig; several runs may be at work at once.
_FIRST, _EACH, _PROCESSES = 12_000, 2_000, 8
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PROCESSES
_numbers = itertools.count(random.randrange(_EACH))


def free_port(host: str = "127.0.0.1") -> int:
    """A port that was free a moment ago, and is given to nobody else soon."""
    for _ in range(_EACH):
        port = _FIRST + _worker * _EACH + next(_numbers) % _EACH
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise OSError(f"no port is free at {host}")
