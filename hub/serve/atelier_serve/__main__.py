"""`python -m atelier_serve FOLDER --name NAME`: serves one model until it is told to stop."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from atelier_serve.errors import CannotServe
from atelier_serve.server import Options, run


def main(arguments: Sequence[str] | None = None) -> int:
    """The process's exit code; what went wrong stands in one line on standard error."""
    options = _options(arguments, os.environ)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        code = run(options)
    except CannotServe as error:
        print(f"error: {error.message}", file=sys.stderr, flush=True)
        code = error.exit_code
    return int(code)


def _options(arguments: Sequence[str] | None, environment: Mapping[str, str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m atelier_serve", description=__doc__)
    parser.add_argument("folder", type=Path, help="a model folder with MLmodel, a SavedModel, or a model's file")
    parser.add_argument("--name", required=True, help="the model's name in URLs")
    parser.add_argument("--version", default="1", help="the model's version in URLs (default 1)")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default 127.0.0.1)")
    port = environment.get("ATELIER_PORT_HTTP")
    parser.add_argument("--port", type=int, default=port, required=not port, help="default: $ATELIER_PORT_HTTP")
    parser.add_argument("--threads", type=_positive, default=1, help="predictions at the same time (default 1)")
    parser.add_argument(
        "--cores",
        type=_positive,
        default=environment.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)),
        help="threads of one prediction (default: $OMP_NUM_THREADS, else all cores)",
    )
    parser.add_argument(
        "--max-request-bytes", type=_positive, default=32 * 1024**2, help="larger requests are refused (default 32 MiB)"
    )
    parser.add_argument(
        "--drain", type=float, default=1.0, metavar="SECONDS", help="not ready, but answering, before stopping"
    )
    parser.add_argument(
        "--stop-timeout",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="from the signal to the end at most (default 30)",
    )
    given = parser.parse_args(arguments)
    return Options(
        folder=given.folder,
        name=given.name,
        version=given.version,
        host=given.host,
        port=given.port,
        threads=given.threads,
        cores=given.cores,
        max_bytes=given.max_request_bytes,
        drain_seconds=given.drain,
        stop_seconds=given.stop_timeout,
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _leave(code: int) -> None:
    """A thread that still loads or computes must not hold the process up."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _leave(main())
