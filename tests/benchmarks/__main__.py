"""`python -m tests.benchmarks [gateway|chain|graph|next-pod|events|lab|canvas|serving|all] [--pairs N] [--quick]`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from tests.benchmarks import canvas, chain, events, gateway, graph, lab, machine, next_pod, serving
from tests.benchmarks.report import Table

BENCHMARKS: dict[str, Callable[[int, bool], Table | list[Table]]] = {
    "graph": graph.measure,
    "events": events.measure,
    "chain": chain.measure,
    "gateway": gateway.measure,
    "next-pod": next_pod.measure,
    "lab": lab.measure,
    "canvas": canvas.measure,
    "serving": serving.measure,
}


def main() -> int:
    """Run what was asked for; falling short of an aim is a result, not a failure."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("what", nargs="?", default="all", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--pairs", type=int, default=30, help="interleaved rounds (default 30)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes and 3 rounds: to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything that was measured, as data")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    pairs = 3 if options.quick else max(1, options.pairs)
    names = list(BENCHMARKS) if options.what == "all" else [options.what]
    found = {name: _measure(name, pairs, options.quick) for name in names}
    if options.json:
        options.json.write_text(json.dumps({"machine": machine.describe(), "benchmarks": found}, indent=1))
    return 1 if any("failed" in one for one in found.values()) else 0


def _measure(name: str, pairs: int, quick: bool) -> dict[str, Any]:
    before = machine.load()
    try:
        found = BENCHMARKS[name](pairs, quick)
    except next_pod.Skipped as reason:
        print(f"{name}: skipped: {reason}\n")
        return {"skipped": str(reason)}
    except Exception as error:  # one benchmark that fails must not hide the others
        print(f"{name}: failed: {type(error).__name__}: {error}\n", file=sys.stderr)
        return {"failed": f"{type(error).__name__}: {error}"}
    tables = [found] if isinstance(found, Table) else found
    print("\n".join(table.text() for table in tables))
    print(_circumstances(before, quick))
    return {"load": [before, machine.load()], "tables": [table.document() for table in tables]}


def _circumstances(before: float, quick: bool) -> str:
    lines = [f"  {machine.describe()}; load {before:.1f} before, {machine.load():.1f} after"]
    if machine.busy(before):
        lines.append("  WARNING: the machine was busy with something else; these figures are too high.")
    if quick:
        lines.append("  WARNING: --quick: smaller than what the aims are about.")
    return "\n".join([*lines, ""])


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(f"ended by signal {number}")


if __name__ == "__main__":
    sys.exit(main())
