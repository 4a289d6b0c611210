"""One small model behind three servers: Atelier's (also through the gateway), MLServer and KServe's Python server.

Each server has one core for itself, the load generator (wrk) another one. All take turns.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil

from tests.atelier_gateway.gateway import Key, service
from tests.atelier_serve import environments
from tests.atelier_serve.model_server import CODE
from tests.benchmarks import peers
from tests.benchmarks.gateway import running_gateway
from tests.benchmarks.next_pod import Skipped
from tests.benchmarks.report import Aim, Row, Table
from tests.harness.ports import free_port

OURS = "Atelier"
THROUGH = "Atelier through its gateway"
ROW = [5.1, 3.5, 1.4, 0.2]
CALLERS = (1, 16)
START_SECONDS = 180
# Twice as fast as the best of the others: half its time for a request.
AIM = (Aim("median", 0.5),)
_DONE = """
done = function(summary, latency, requests)
  local failed = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  io.stderr:write(string.format('{"requests": %d, "seconds": %f, "p99": %f, "failed": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(99) / 1e6, failed))
end
"""


@dataclass(frozen=True)
class Contender:
    """How one server is started on a model; `output` is which of its outputs it is asked for."""

    name: str
    command: Sequence[str]
    port: int
    output: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where requests go."""
        return f"http://127.0.0.1:{self.port}{self.prefix}/v2/models/model/infer"


def measure(pairs: int, quick: bool) -> list[Table]:
    """One table for each format, then what a start costs."""
    if not shutil.which("wrk"):
        raise Skipped("it needs the load generator wrk: apt-get install -y wrk")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise Skipped("server and load generator need a core each")
    models = environments.models()
    formats = {"ONNX": models / "onnx_plain" / "model.onnx", "scikit-learn": models / "joblib_file" / "model.joblib"}
    tables, starts = [], []
    for name, file in formats.items():
        with TemporaryDirectory(prefix="serving-") as folder:
            contenders = _contenders(file, Path(folder))
            starts += _starts(name, contenders, 2 if quick else 5, cores, Path(folder))
            tables.append(_load(name, contenders, pairs, 1.0 if quick else 2.0, cores, Path(folder)))
    note = "From the start of the process to its first right answer; memory is proportional (PSS), of the whole tree."
    return [*tables, Table("serving: start and memory", starts, [note])]


def _contenders(file: Path, folder: Path) -> list[Contender]:
    image = "serve-onnx" if file.suffix == ".onnx" else "serve-sklearn"
    port = free_port()
    ours = [str(environments.image(image)), "-m", "atelier_serve", str(file), "--name", "model", "--port", str(port)]
    kserve = free_port()
    program = [str(peers.environment("kserve")), str(peers.HERE / "kserve_model.py"), str(kserve), str(file)]
    return [
        Contender(OURS, ours, port, _output(file), {"PYTHONPATH": str(CODE)}),
        _mlserver(file, folder / "mlserver"),
        Contender(f"KServe {peers.version('kserve')}", program, kserve),
    ]


def _mlserver(file: Path, folder: Path) -> Contender:
    """Without processes of its own for inference: with them it is slower, and this release fails with its uvloop."""
    folder.mkdir()
    kind = "mlserver_onnx.OnnxModel" if file.suffix == ".onnx" else "mlserver_sklearn.SKLearnModel"
    model = {"name": "model", "implementation": kind, "parameters": {"uri": str(file)}}
    port = free_port()
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    (folder / "model-settings.json").write_text(json.dumps(model))
    (folder / "settings.json").write_text(json.dumps({"parallel_workers": 0, "host": "127.0.0.1", **ports}))
    program = str(peers.environment("mlserver").with_name("mlserver"))
    name = f"MLServer {peers.version('mlserver')}"
    return Contender(name, [program, "start", str(folder)], port, _output(file), {"PYTHONPATH": str(peers.HERE)})


def _output(file: Path) -> str:
    return "label" if file.suffix == ".onnx" else "predict"


@contextmanager
def _running(one: Contender, core: int, folder: Path) -> Iterator[psutil.Process]:
    """Until its first right answer."""
    log = folder / f"{one.name}.log"
    settings = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    with log.open("ab") as out:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *one.command], env=settings | one.settings, stdout=out, stderr=out, cwd=folder
        )
    tree = psutil.Process(process.pid)
    try:
        until = time.monotonic() + START_SECONDS
        while not _answers(one):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{one.name} does not answer:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.01)
        yield tree
    finally:
        for child in [*tree.children(recursive=True), tree]:
            child.kill()
        process.wait(10)


def _body(one: Contender) -> bytes:
    """One row, one output; KServe gives the first whatever is asked for."""
    given = {"name": "X", "shape": [1, len(ROW)], "datatype": "FP32", "data": ROW}
    chosen = {"outputs": [{"name": one.output}]} if one.output else {}
    return json.dumps({"inputs": [given], **chosen}).encode()


def _answers(one: Contender) -> bool:
    try:
        answer = httpx.post(one.url, content=_body(one), headers={"Content-Type": "application/json"}, timeout=5)
        return answer.status_code == 200 and answer.json()["outputs"][0]["data"] == [0]
    except httpx.HTTPError:
        return False


def _starts(kind: str, contenders: Sequence[Contender], times: int, cores: list[int], folder: Path) -> list[Row]:
    seconds: dict[str, list[float]] = {one.name: [] for one in contenders}
    memory: dict[str, list[float]] = {one.name: [] for one in contenders}
    for number in range(times + 1):
        for one in contenders:
            start = time.monotonic()
            with _running(one, cores[0], folder) as tree:
                if number:  # the first one only fills the disk cache
                    seconds[one.name].append(time.monotonic() - start)
                    parts = [tree, *tree.children(recursive=True)]
                    memory[one.name].append(sum(part.memory_full_info().pss for part in parts) / 2**20)
    rows = [Row(f"{kind}: start, {name}", found) for name, found in seconds.items()]
    return rows + [Row(f"{kind}: memory, {name}", found, unit="MiB") for name, found in memory.items()]


def _load(
    kind: str, contenders: Sequence[Contender], pairs: int, seconds: float, cores: list[int], folder: Path
) -> Table:
    samples: dict[tuple[str, int], list[tuple[float, float]]] = {}
    with ExitStack() as stack:
        for one in contenders:
            stack.enter_context(_running(one, cores[0], folder))
        ways = [*contenders, stack.enter_context(_through(contenders[0], cores[0]))]
        for number in range(pairs + 1):
            for callers in CALLERS:
                for one in ways:
                    found = _wrk(one, callers, seconds if number else 1.0, cores[1], folder)
                    if number:
                        samples.setdefault((one.name, callers), []).append(found)
            print(f"serving, {kind}: round {number} of {pairs}", file=sys.stderr)
    return _table(kind, ways, samples)


@contextmanager
def _through(ours: Contender, core: int) -> Iterator[Contender]:
    """The same server behind the gateway, which shares its core and checks a key each time."""
    key = Key()
    with running_gateway() as gateway:
        assert gateway.process is not None
        os.sched_setaffinity(gateway.process.pid, {core})
        gateway.put({"vision/m": service(f"http://127.0.0.1:{ours.port}")}, [key.route])
        port = int(gateway.url.rpartition(":")[2])
        headers = {"Authorization": f"Bearer {key.token}"}
        yield replace(ours, name=THROUGH, command=(), port=port, prefix="/s/vision/m", headers=headers)


def _wrk(one: Contender, callers: int, seconds: float, core: int, folder: Path) -> tuple[float, float]:
    """Requests per second, and the time that 99 of 100 did not exceed."""
    script = folder / f"{one.port}.lua"
    body = _body(one).decode()
    headers = {"Content-Type": "application/json", **one.headers}
    lines = [f"wrk.headers['{name}'] = '{value}'" for name, value in headers.items()]
    script.write_text("\n".join(["wrk.method = 'POST'", *lines, f"wrk.body = [==[{body}]==]", _DONE]))
    command = [
        "taskset",
        "-c",
        str(core),
        "wrk",
        "-t1",
        f"-c{callers}",
        f"-d{round(seconds)}s",
        "--timeout",
        "30s",
        "-s",
        str(script),
    ]
    done = subprocess.run([*command, one.url], capture_output=True, text=True, timeout=60, check=True)
    found = json.loads(done.stderr)
    if found["failed"]:
        raise RuntimeError(f"{one.name}: {found['failed']} of {found['requests']} requests failed")
    return found["requests"] / found["seconds"], found["p99"]


def _table(
    kind: str, contenders: Sequence[Contender], samples: Mapping[tuple[str, int], list[tuple[float, float]]]
) -> Table:
    rows = []
    for callers in CALLERS:
        of = {one.name: samples[one.name, callers] for one in contenders}
        rows += [Row(f"c={callers}: {name}", [rate for rate, _ in found], unit="/s") for name, found in of.items()]
        rows += [Row(f"c={callers}: p99, {name}", [p99 for _, p99 in found], unit="ms") for name, found in of.items()]
        others = [found for name, found in of.items() if name not in (OURS, THROUGH)]
        best = [max(rate for rate, _ in round_) for round_ in zip(*others, strict=True)]
        ratio = [other / own for (own, _), other in zip(of[OURS], best, strict=True)]
        rows.append(Row(f"c={callers}: time of a request, Atelier : the better of the others", ratio, AIM, unit="x"))
    notes = [
        "Iris by logistic regression, one row as JSON in the Open Inference Protocol; one output.",
        "Each server alone on one core, wrk on the other; one worker, one thread for the model.",
        "The gateway shares the core of its server, and checks a key each time.",
    ]
    return Table(f"serving: {kind}", rows, notes)
