"""A chain of 40 steps of 10 ms: all contenders take turns, so that whatever else happens on the machine hits all."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks import peers
from tests.benchmarks.installation import Installation, chain, installation
from tests.benchmarks.report import Aim, Row, Table
from tests.benchmarks.statistics import median

LENGTH = 40
WARM, PER_PROCESS = "Atelier, warm worker", "Atelier, process per step"
AIMS = {WARM: (Aim("median", 1.0),), PER_PROCESS: (Aim("median", 2.0),)}
# What a contender cleans up after its run (Atelier does a second later) must not slow the next one.
PAUSE = 2.0
Contender = Callable[[], float]


def measure(pairs: int, quick: bool) -> list[Table]:
    """Rounds over all contenders, each round in another order; the first round only warms up."""
    length = 5 if quick else LENGTH
    with ExitStack() as stack:
        here = stack.enter_context(installation())
        runs: dict[str, list[str]] = {WARM: [], PER_PROCESS: []}
        contenders, notes = _peers(stack, length)
        contenders |= {name: _atelier(here, length, runs[name], light=name == WARM) for name in runs}
        seconds = _take_turns(contenders, pairs)
        stages = [_stages(here, name, runs[name][1:]) for name in runs]
    return [_table(seconds, length, notes), *stages]


def _atelier(here: Installation, length: int, runs: list[str], light: bool) -> Contender:
    revision = here.revision(chain(length, light=light))

    def run() -> float:
        name, seconds = here.run(revision)
        runs.append(name)
        return seconds

    return run


def _peers(stack: ExitStack, length: int) -> tuple[dict[str, Contender], list[str]]:
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="peers-", ignore_cleanup_errors=True)))
    found: dict[str, Contender] = {}
    notes = []
    for name, start in (("prefect", _prefect), ("dagster", _dagster)):
        try:
            found |= start(stack, folder, {"CHAIN_LENGTH": str(length)})
        except peers.PeerFailed as error:
            notes.append(f"{name} did not take part: {error}")
    return found, notes


def _prefect(stack: ExitStack, folder: Path, settings: dict[str, str]) -> dict[str, Contender]:
    settings |= {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "WARNING",
    }
    peer = peers.Peer(peers.environment("prefect"), "prefect_chain", folder / "prefect", settings)
    stack.callback(peer.close)
    return {f"Prefect {peers.version('prefect')}, one flow process": lambda: peer.ask("chain")}


def _dagster(stack: ExitStack, folder: Path, settings: dict[str, str]) -> dict[str, Contender]:
    settings |= {"DAGSTER_HOME": str(folder / "dagster"), "DAGSTER_DISABLE_TELEMETRY": "1"}
    peer = peers.Peer(peers.environment("dagster"), "dagster_chain", folder / "dagster", settings)
    stack.callback(peer.close)
    name = f"Dagster {peers.version('dagster')}"
    return {
        f"{name}, in process": lambda: peer.ask("in_process"),
        f"{name}, process per step": lambda: peer.ask("process_per_step"),
    }


def _take_turns(contenders: dict[str, Contender], pairs: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    order = list(contenders)
    for number in range(pairs + 1):
        for name in order:
            took = contenders[name]()
            if number:
                seconds[name].append(took)
            time.sleep(PAUSE)
        order = [*order[1:], order[0]]
        print(f"chain: round {number} of {pairs}", file=sys.stderr)
    return seconds


def _table(seconds: dict[str, list[float]], length: int, notes: list[str]) -> Table:
    rows = [Row(name, seconds[name], AIMS.get(name, ()) if length == LENGTH else ()) for name in sorted(seconds)]
    for own, kind in ((WARM, "process"), (PER_PROCESS, "per step")):
        rows += [
            Row(f"{name} : {own}", [b / a for a, b in zip(seconds[own], seconds[name], strict=True)], unit="x")
            for name in sorted(set(seconds) - set(AIMS))
            if (kind == "per step") == name.endswith("per step")
        ]
    about = [
        f"{length} steps of 10 ms, each after the other: from the client's call to its seeing the success.",
        "Atelier: HTTP API with the user's token, success seen by the event feed; SQLite with synchronous=FULL.",
        "Peers with their own defaults, warm: Prefect's flow runs in the client itself against a local API server,",
        "Dagster's job in or below the client, in forks of a warm server where each step has a process.",
    ]
    return Table("chain: time of a whole run", rows, [*about, *notes])


def _stages(here: Installation, name: str, runs: list[str]) -> Table:
    """Where the time of a step goes, by the events of its attempt: one sample per run, the median of its steps."""
    names = (
        ("attempt launched → started", "attempt.launched", "attempt.started"),
        ("attempt started → finished", "attempt.started", "attempt.finished"),
        ("finished → next launched", "attempt.finished", "next"),
    )
    samples: dict[str, list[float]] = {what: [] for what, _, _ in names}
    for run in runs:
        attempts = list(here.feed.of_attempts(run).values())
        for before, after in pairwise(attempts):
            before["next"] = after.get("attempt.launched", 0.0)
        for what, first, last in names:
            took = [one[last] - one[first] for one in attempts if one.get(first) and one.get(last)]
            samples[what] += [median(took)] if took else []
    rows = [Row(what, values, unit="ms") for what, values in samples.items() if values]
    note = (
        "launched: asked for, saved; started and finished: seen by the engine. One sample per run: its steps' median."
    )
    return Table(f"chain: where a step's time goes ({name})", rows, [note])
