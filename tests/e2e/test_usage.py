"""What running steps use, as people ask for it."""

from __future__ import annotations

import json
import time

from tests.e2e.conftest import Person

MIB = 1024**2
# Works a third of the time: enough to be seen, and it leaves room for what runs beside.
BUSY = f"import time\nheld = b'x' * (120 * {MIB})\nwhile True:\n    sum(range(300_000))\n    time.sleep(0.01)\n"


def test_a_busy_step_is_seen_and_one_that_ended_is_not(everywhere: Person) -> None:
    steps = {"busy": {"file": "busy.py"}, "later": {"file": "busy.py", "needs": ["busy"]}}
    run = everywhere.submit({"busy.py": BUSY}, steps)
    until = time.monotonic() + 90
    while True:
        rows = list(everywhere.client.runs.usage(everywhere.name, run))
        if rows and rows[0].cpu is not None and rows[0].cpu > 0.15 and (rows[0].memory or 0) > 110 * MIB:
            break
        assert time.monotonic() < until, rows
        time.sleep(0.5)
    (row,) = rows
    assert (row.step, row.attempt, row.replicas, row.message) == ("busy", 1, 1, "")
    assert row.memory is not None and row.memory < 300 * MIB
    assert row.cpu_given and row.memory_given
    told = everywhere.command("pipeline", "usage", run, "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout.splitlines()[0])["step"] == "busy"
    everywhere.client.runs.cancel(everywhere.name, run)
    everywhere.wait(run)
    assert list(everywhere.client.runs.usage(everywhere.name, run)) == []
