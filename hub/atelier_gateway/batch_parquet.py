"""Parquet files as JSON lines. What is in such a file stands at its end, so it is stored first, on the disk; then a
process of its own with little memory reads it (`parquet_reader`), as fast as its rows are taken."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import IO

from atelier_gateway.body import Body
from atelier_gateway.errors import Refusal, VisitorGone

MOST_BYTES = 1024**3
AT_ONCE = 2
_PIECE = 64 * 1024
_LAST_WORDS = 1000


async def lines(body: Body, folder: Path, turns: asyncio.Semaphore) -> AsyncGenerator[bytes, None]:
    """The rows, piece by piece. `turns` says how many files are read at a time."""
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        await _store(body, file)
        async with turns, aclosing(_read(file, body)) as rows:
            async for piece in rows:
                yield piece


async def _store(body: Body, file: IO[bytes]) -> None:
    async for piece in body.pieces():
        if body.total > MOST_BYTES:
            raise Refusal(
                413,
                f"The file is larger than {MOST_BYTES:,} bytes, up to which Parquet is taken.",
                code="too_large",
                hint="Send several files, or CSV, which may be as large as it likes.",
                closes=True,
            )
        try:
            await asyncio.to_thread(_write_all, file, piece)
        except OSError as error:
            raise Refusal(
                507,
                f"The file cannot be kept until it is read: {error.strerror}.",
                code="storage_full",
                hint="Send CSV, which is read as it comes.",
                closes=True,
            ) from error
    file.seek(0)


def _write_all(file: IO[bytes], data: bytes) -> None:
    done = 0
    while done < len(data):
        done += file.write(data[done:])


async def _read(file: IO[bytes], body: Body) -> AsyncGenerator[bytes, None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "atelier_gateway.parquet_reader",
        stdin=file, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.defpath, "ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    watch = asyncio.create_task(_end_with_visitor(body, process))
    try:
        while not watch.done() and (piece := await process.stdout.read(_PIECE)):
            yield piece
        said = (await process.stderr.read(_LAST_WORDS)).decode("utf-8", "replace").strip()
        code = await process.wait()
        if watch.done():
            raise VisitorGone
        if code:
            raise _unreadable(said)
    finally:
        watch.cancel()
        await _end(process)


async def _end_with_visitor(body: Body, process: asyncio.subprocess.Process) -> None:
    """A small file may have very many rows: nobody is asked about them when nobody wants to know."""
    await body.until_gone()
    await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _unreadable(said: str) -> Refusal:
    return Refusal(
        422,
        f"The file cannot be read as Parquet: {said.rstrip('.') or 'its reader broke off'}.",
        code="bad_file",
        hint="Write it anew, in smaller row groups, or send CSV.",
        closes=True,
    )
