"""What the gateway costs: the same upstream asked directly and through it, one visitor and sixteen at a time."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvloop

from tests.atelier_gateway.gateway import GatewayProcess, Key, service
from tests.benchmarks.report import Aim, Row, Table
from tests.benchmarks.statistics import median, percentile
from tests.harness.ports import free_port

VISITORS = (1, 16)
PATH = "/v2/models/m/infer"
ROOT = Path(__file__).parents[2]
_QUESTION = b'{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP64","data":[5.1,3.5,1.4,0.2]}]}'
_ANSWER = b'{"model_name":"m","outputs":[{"name":"y","shape":[1],"datatype":"INT64","data":[3]}]}'
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_ANSWER))]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The upstream: as little as an answer can be."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _ANSWER})


def measure(pairs: int, quick: bool) -> Table:
    """Rounds of both ways in turn; the gateway's processor time is read from the system."""
    requests = 200 if quick else 2000
    found: dict[tuple[str, int], list[list[float]]] = {}
    rates: dict[tuple[str, int], list[float]] = {}
    burnt: dict[int, list[float]] = {visitors: [] for visitors in VISITORS}
    with ExitStack() as stack:
        upstream = stack.enter_context(_upstream())
        gateway = stack.enter_context(running_gateway())
        key = Key()
        gateway.put({"vision/m": service(f"http://127.0.0.1:{upstream}")}, [key.route])
        ways = {"direct": (upstream, PATH), "gateway": (int(gateway.url.rpartition(":")[2]), f"/s/vision/m{PATH}")}
        for _ in range(pairs + 1):  # the first one warms everything up
            for visitors in VISITORS:
                for way, (port, path) in ways.items():
                    before = _processor_time(gateway)
                    times, seconds = _load(port, path, key.token, visitors, requests)
                    found.setdefault((way, visitors), []).append(times)
                    rates.setdefault((way, visitors), []).append(len(times) / seconds)
                    if way == "gateway":
                        burnt[visitors].append((_processor_time(gateway) - before) / len(times))
    return _table(found, rates, burnt, requests)


def _table(
    found: dict[tuple[str, int], list[list[float]]],
    rates: dict[tuple[str, int], list[float]],
    burnt: dict[int, list[float]],
    requests: int,
) -> Table:
    rows = []
    for visitors in VISITORS:
        middle = {way: [median(times) for times in found[way, visitors][1:]] for way in ("direct", "gateway")}
        tail = {way: [percentile(times, 99) for times in found[way, visitors][1:]] for way in ("direct", "gateway")}
        added = [mine - theirs for mine, theirs in zip(middle["gateway"], middle["direct"], strict=True)]
        added_tail = [mine - theirs for mine, theirs in zip(tail["gateway"], tail["direct"], strict=True)]
        said = f"{visitors} visitor{'s' if visitors > 1 else ''}"
        one_visitor = visitors == 1
        rows += [
            *(Row(f"{way}, {said}: requests per second", rates[way, visitors][1:], unit="/s") for way in middle),
            *(Row(f"{way}, {said}: middle of a round", values, unit="ms") for way, values in middle.items()),
            *(Row(f"{way}, {said}: p99 of a round", values, unit="ms") for way, values in tail.items()),
            Row(f"{said}: added in the middle", added, (Aim("median", 0.0015),) if one_visitor else (), "ms"),
            Row(f"{said}: added at p99", added_tail, (Aim("median", 0.005),) if one_visitor else (), "ms"),
            Row(f"{said}: processor time of the gateway per request", burnt[visitors][1:], unit="µs"),
        ]
    notes = [
        f"{requests} requests a round, kept connections, a key checked on each.",
        "Load, gateway and upstream share the machine.",
    ]
    return Table("Gateway: the same upstream directly and through it", rows, notes)


@contextmanager
def _upstream() -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "tests.benchmarks.gateway:app", "--port", str(port)]
    quiet = ["--log-level", "error", "--no-access-log", "--lifespan", "off"]
    process = subprocess.Popen([*command, *quiet], cwd=ROOT)
    try:
        until = time.monotonic() + 30
        while not _answers(port):
            if time.monotonic() > until:
                raise RuntimeError("the upstream did not start")
            time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait(10)


def _answers(port: int) -> bool:
    try:
        return httpx.post(f"http://127.0.0.1:{port}{PATH}", content=_QUESTION, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


@contextmanager
def running_gateway() -> Iterator[GatewayProcess]:
    """A gateway of its own, for as long as the body lasts."""
    with tempfile.TemporaryDirectory() as folder:
        running = GatewayProcess(Path(folder)).start()
        try:
            yield running
        finally:
            running.stop()


def _processor_time(gateway: GatewayProcess) -> float:
    """Seconds that the process has used, of user and system."""
    assert gateway.process is not None
    fields = Path(f"/proc/{gateway.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _load(port: int, path: str, token: str, visitors: int, requests: int) -> tuple[list[float], float]:
    """Seconds of each request, and of the round; asked by a process of its own."""
    arguments = [str(port), path, token, str(visitors), str(requests)]
    command = [sys.executable, "-m", "tests.benchmarks.gateway", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
    found = json.loads(done.stdout)
    return found["times"], found["seconds"]


async def _ask(port: int, path: str, token: str, visitors: int, requests: int) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}\r\n"
    question = f"{head}Content-Length: {len(_QUESTION)}\r\n\r\n".encode() + _QUESTION
    times: list[float] = []

    async def visitor() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while len(times) < requests:
            begin = time.perf_counter()
            writer.write(question)
            answer = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(_ANSWER))
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(answer.decode())
            times.append(time.perf_counter() - begin)
        writer.close()

    begin = time.perf_counter()
    await asyncio.gather(*(visitor() for _ in range(visitors)))
    print(json.dumps({"times": times, "seconds": time.perf_counter() - begin}))


if __name__ == "__main__":
    port_, path_, token_, visitors_, requests_ = sys.argv[1:]
    uvloop.run(_ask(int(port_), path_, token_, int(visitors_), int(requests_)))
