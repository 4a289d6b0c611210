"""Kills processes at random moments while pipelines run, and counts from outside what happened.

Every step appends its attempt id, fsynced, to a file that the platform does not know. Whatever is killed: each run ends
right, and no attempt id stands there twice.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from atelier_sdk import AtelierError, Client
from tests.harness.control_plane import ControlPlane, pipeline, submit

STEP = """\
import os, sys, time
from urllib.request import Request, urlopen
if "COUNT_URL" in os.environ:
    for n in range(100):
        try:
            urlopen(Request(os.environ["COUNT_URL"], os.environ["ATELIER_ATTEMPT"].encode()), timeout=5).close()
            break
        except OSError:
            time.sleep(0.1)
else:
    fd = os.open(os.environ["COUNT_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(fd, (os.environ["ATELIER_ATTEMPT"] + "\\n").encode())
    os.fsync(fd)
    os.close(fd)
time.sleep(float(os.environ.get("STEP_SECONDS", "0.25")))
total = 1
for name in sorted(os.listdir(os.environ["ATELIER_INPUTS"])):
    with open(os.path.join(os.environ["ATELIER_INPUTS"], name)) as file:
        total += int(file.read())
with open(os.path.join(os.environ["ATELIER_OUTPUTS"], "total"), "w") as file:
    file.write(str(total))
print("total", total)
"""


def two_second_pipeline(counting: Mapping[str, str], **extras: Any) -> dict[str, Any]:
    """Two chains of three between a first and a last step: eight steps, about two seconds, artifacts in between."""

    def step(*needs: str) -> dict[str, Any]:
        return {
            "file": "step.py",
            "needs": needs,
            "inputs": {need: {"node": need, "output": "total"} for need in needs},
            "outputs": {"total": "any"},
            "env": dict(counting),
            "image": "python",
            **extras,
        }

    chains = {f"{side}{i}": step(f"{side}{i - 1}" if i else "first") for side in "ab" for i in range(3)}
    return pipeline({"first": step(), **chains, "last": step("a2", "b2")})


EXPECTED_STARTS = 8


@dataclass
class Campaign:
    """Keeps `instances` runs going while `strike` hits again and again; then says what became of them."""

    plane: ControlPlane
    client: Client
    project: str
    folder: Path
    on: str
    instances: int = 3
    count_file: Path | None = None
    count_url: str = ""
    step_seconds: float = 0.25
    runs: list[str] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    phases: Counter[str] = field(default_factory=Counter)
    submitted: int = 0

    def prepare(self) -> None:
        """Write the pipeline's folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.count_file = self.count_file or self.folder.parent / "starts.txt"
        self.count_file.touch()
        self.count_file.chmod(0o666)
        (self.folder / "step.py").write_text(STEP)

    def start_run(self, **extras: Any) -> None:
        """Submit one more run; the same key is used until the platform has answered."""
        self.submitted += 1
        counting = {"COUNT_URL": self.count_url} if self.count_url else {"COUNT_FILE": str(self.count_file)}
        counting["STEP_SECONDS"] = str(self.step_seconds)
        document = two_second_pipeline(counting, **extras)
        key = f"campaign-{self.submitted}"
        self.runs.append(submit(self.client, self.project, self.folder, document, on=self.on, idempotency_key=key))

    def open_runs(self) -> list[str]:
        """Those that have not ended; one that has is not asked for again."""
        asked = [run for run in self.runs if run not in self.ended]
        self.ended |= {run for run in asked if self.client.runs.get(self.project, run).state in _ENDED}
        return [run for run in asked if run not in self.ended]

    def hit(self, times: int, strike: Callable[[], None], seed: int = 0, longest: float = 1.5) -> None:
        """Strike at random moments, each when some attempt is in a phase that was drawn, if one comes to it soon."""
        chance = random.Random(seed)
        for _ in range(times):
            for _ in range(self.instances - len(self.open_runs())):
                self.start_run()
            wanted = chance.choice(PHASES)
            time.sleep(chance.uniform(0.02, longest))
            self.phases[self._met(wanted)] += 1
            strike()

    def _met(self, wanted: str, seconds: float = 1.0) -> str:
        """Wait until some attempt is in the phase, and say so; else in which one some attempt is."""
        until = time.monotonic() + seconds
        while wanted not in (found := phases(self.plane)) and time.monotonic() < until:
            time.sleep(0.005)
        return wanted if wanted in found else min(found, default="idle")

    def finish(self, seconds: float = 120) -> None:
        """Wait until all runs have ended and nothing is left to clean."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if not self.open_runs() and not leftovers(self.plane):
                    return
            except AtelierError:
                pass
            time.sleep(0.2)
        raise AssertionError(f"still open: {self.open_runs()}; rows: {leftovers(self.plane)}")

    def starts(self) -> Counter[str]:
        """How often each attempt started its command, counted from outside."""
        assert self.count_file is not None
        return Counter(self.count_file.read_text().split())

    def states(self) -> Counter[str]:
        """How the runs ended."""
        return Counter(self.client.runs.get(self.project, run).state for run in self.runs)

    def second_attempts(self) -> list[str]:
        """Attempts of its runs beyond the first, with the reason of the one before."""
        rows = query(
            self.plane, "SELECT id, number, reason, message, project FROM attempts ORDER BY subject, step, number"
        )
        return [str(row) for row in rows if row[1] > 1 and row[4] == self.project]

    def cancelled_starts(self) -> int:
        """Attempts whose container could not be started: their command was never run, by the count from outside."""
        rows = query(self.plane, "SELECT id, project FROM attempts WHERE reason = 'StartFailed'")
        return sum(project == self.project and not self.starts()[attempt] for attempt, project in rows)

    def report(self) -> str:
        """One paragraph of figures."""
        phases = ", ".join(f"{name} {count}" for name, count in self.phases.most_common())
        return (
            f"{sum(self.phases.values())} strikes ({phases}); {len(self.runs)} runs: {dict(self.states())}; "
            f"{sum(self.starts().values())} starts of {len(self.starts())} attempts; "
            f"{len(self.second_attempts())} second attempts"
        )


LAST_ATTEMPT = 3  # a step that is hit in this one has failed, rightly
_ENDED = ("done", "failed", "stopped")


@contextmanager
def counting(file: Path, host: str) -> Iterator[str]:
    """The file that the platform does not know, behind a port, for steps that share no disk with us."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            line = self.rfile.read(int(self.headers["Content-Length"])) + b"\n"
            descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(descriptor, line)
            os.fsync(descriptor)
            os.close(descriptor)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((host, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{host}:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


def query(plane: ControlPlane, statement: str) -> list[Any]:
    """Look into the control plane's database from outside."""
    engine = create_engine(plane.db_url)
    try:
        with engine.connect() as connection:
            return list(connection.execute(text(statement)))
    finally:
        engine.dispose()


PHASES = ("queued", "starting", "running", "cleaning")


def phases(plane: ControlPlane) -> set[str]:
    """What the engine is busy with, from its rows; what has ended and is not cleaned yet is in `cleaning`."""
    states = {state for (state,) in query(plane, "SELECT DISTINCT state FROM attempts WHERE NOT cleaned")}
    return {state if state in PHASES else "cleaning" for state in states}


def leftovers(plane: ControlPlane) -> list[Any]:
    """Rows that are not where they end."""
    return query(
        plane,
        "SELECT 'attempt', id, state, reason FROM attempts WHERE NOT cleaned"
        " UNION ALL SELECT 'step', id, state, reason FROM steps"
        " WHERE state NOT IN ('done', 'failed', 'stopped', 'skipped')"
        " UNION ALL SELECT 'run', id, state, reason FROM runs WHERE state NOT IN ('done', 'failed', 'stopped')",
    )
