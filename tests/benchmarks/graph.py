"""The cost of deciding: layered graphs of 100, 1,000 and 10,000 steps from their first event to their last."""

from __future__ import annotations

import time

from atelier_core.pipeline.plan import Plan, StepPlan
from atelier_core.pipeline.run import AttemptEnded, RunStarted, StartAttempt, decide, new_run
from atelier_core.states import State
from tests.benchmarks.report import Aim, Row, Table

SIZES = (100, 1_000, 10_000)
WIDTH = 10


def measure(pairs: int, quick: bool) -> Table:
    """Interleaved rounds over all sizes."""
    sizes = SIZES[:2] if quick else SIZES
    plans = {size: layered(size) for size in sizes}
    seconds: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(pairs):
        for size, plan in plans.items():
            seconds[size].append(carry_through(plan))
    rows = [Row(f"{size:,} steps", seconds[size], (Aim("median", 1.0),) if size == SIZES[-1] else ()) for size in sizes]
    rows += [Row(f"{size:,} steps, each", [one / size for one in seconds[size]], unit="µs") for size in sizes]
    small, large = sizes[0], sizes[-1]
    ratios = [(many / large) / (few / small) for few, many in zip(seconds[small], seconds[large], strict=True)]
    rows.append(Row(f"one of {large:,} against one of {small:,}", ratios, (Aim("median", 2.0),), "x"))
    notes = [
        f"Layers of {WIDTH} steps, each waits for two; `decide` takes one event per step, from the fresh state on."
    ]
    return Table("graph: the engine decides", rows, notes)


def layered(size: int) -> Plan:
    """Each step waits for two of the layer above."""
    steps = []
    for i in range(size):
        layer, place = divmod(i, WIDTH)
        above = (layer - 1) * WIDTH
        needs = (f"s{above + place}", f"s{above + (place + 1) % WIDTH}") if layer else ()
        steps.append(StepPlan(id=f"n{i}", name=f"s{i}", image="python", command=("true",), needs=needs))
    return Plan(name="layered", steps=tuple(steps))


def carry_through(plan: Plan) -> float:
    """Seconds of deciding until the run is done, every attempt succeeding as soon as it is started."""
    began = time.perf_counter()
    state, commands = decide(new_run(plan), RunStarted())
    started = [command for command in commands if isinstance(command, StartAttempt)]
    decided = 0
    while decided < len(started):
        one = started[decided]
        state, commands = decide(state, AttemptEnded(step=one.step, number=one.number, state=State.DONE))
        started += [command for command in commands if isinstance(command, StartAttempt)]
        decided += 1
    took = time.perf_counter() - began
    if state.state is not State.DONE or decided != len(plan.steps):
        raise RuntimeError(f"the graph ended {state.state} after {decided} of {len(plan.steps)} steps")
    return took
