"""How runs go on and how they end: retries, limits, cancelling, side by side, failures."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.e2e.conftest import NewPerson, Person
from tests.harness.control_plane import pipeline, submit

# Notes each start, then does as it is told until it has been started often enough.
RELUCTANT = """\
import os, signal, sys, time
from pathlib import Path
file = Path(os.environ["MARKS"], os.environ["ATELIER_STEP"])
with file.open("a") as marks:
    marks.write(os.environ["ATELIER_ATTEMPT"] + "\\n")
starts = len(file.read_text().split())
print("start", starts, flush=True)
if starts <= int(os.environ["TROUBLE"]):
    how = os.environ["HOW"]
    if how == "exit":
        sys.exit("not today")
    if how == "shim":
        os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)
"""


def test_only_named_causes_are_tried_again(anna: Person, marks: Path) -> None:
    def step(how: str, trouble: int, **extras: Any) -> dict[str, Any]:
        env = {"MARKS": str(marks), "HOW": how, "TROUBLE": str(trouble)}
        return {"file": "a.py", "env": env, **extras}

    often = {"limit": 2, "delay": 0.1}
    steps = {
        "own-fault": step("exit", 9),
        "own-fault-again": step("exit", 2, retry=often | {"causes": ["user"]}),
        "own-fault-too-often": step("exit", 9, retry=often | {"causes": ["user", "timeout"]}),
        "engine-fault": step("shim", 1),
        "engine-fault-never": step("shim", 1, retry={"limit": 0}),
        "slow": step("sleep", 9, timeout=4, grace=1),
        "slow-again": step("sleep", 1, timeout=8, grace=1, retry=often | {"causes": ["timeout"]}),
    }
    run = anna.submit({"a.py": RELUCTANT}, steps)
    assert anna.wait(run).state == "failed"
    found = {name: (step.state, step.reason, step.attempt) for name, step in anna.steps(run).items()}
    assert found == {
        "own-fault": ("failed", "ExitCode", 1),
        "own-fault-again": ("done", "", 3),
        "own-fault-too-often": ("failed", "ExitCode", 3),
        "engine-fault": ("done", "", 2),
        "engine-fault-never": ("failed", "ShimLost", 1),
        "slow": ("failed", "DeadlineExceeded", 1),
        "slow-again": ("done", "", 2),
    }
    for name, (_, _, attempts) in found.items():
        starts = (marks / name).read_text().split()
        assert len(starts) == len(set(starts)) == attempts, name
    first, second, third = anna.attempts(run, "own-fault-again")
    assert (first.reason, first.exit_code, second.state, third.state) == ("ExitCode", 1, "failed", "done")
    assert anna.log(run, "own-fault-again", attempt=1) == "start 1\nnot today\n"
    assert anna.log(run, "own-fault-again") == "start 3\n"
    slow = anna.steps(run)["slow"]
    assert "4 s" in slow.message, slow.message


# A child of its own session that does not want to end, as data loaders and servers leave them.
STUBBORN = """\
import os, signal, time
from pathlib import Path
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        break
signal.signal(signal.SIGTERM, signal.SIG_IGN)
Path(os.environ["MARKS"], f"pid-{os.getpid()}").touch()
time.sleep(600)
"""


def test_a_cancelled_run_leaves_no_process(anna: Person, marks: Path) -> None:
    step = {"file": "a.py", "env": {"MARKS": str(marks)}, "grace": 0.5}
    run = anna.submit({"a.py": STUBBORN}, {"stuck": step, "next": {"file": "a.py", "needs": ["stuck"]}})
    until(lambda: len(list(marks.glob("pid-*"))) == 3)
    told = anna.command("pipeline", "cancel", run)
    assert told.returncode == 0, told.stderr
    done = anna.wait(run, 30)
    assert (done.state, done.reason) == ("stopped", "Cancelled")
    assert {name: step.state for name, step in anna.steps(run).items()} == {"stuck": "stopped", "next": "stopped"}
    pids = [int(path.name.removeprefix("pid-")) for path in marks.glob("pid-*")]
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert anna.client.runs.cancel(anna.name, run).state == "stopped", "cancelling twice is no error"


def test_a_run_has_a_limit(anna: Person) -> None:
    steps = {
        "quick": {"file": "quick.py"},
        "slow": {"file": "slow.py", "needs": ["quick"], "grace": 0.5},
        "never": {"file": "quick.py", "needs": ["slow"]},
    }
    run = anna.submit({"quick.py": "", "slow.py": "import time; time.sleep(600)"}, steps, timeout="15s")
    done = anna.wait(run, 60)
    assert (done.state, done.reason) == ("failed", "DeadlineExceeded")
    assert "15 s" in done.message
    found = {name: (step.state, step.reason) for name, step in anna.steps(run).items()}
    assert found["quick"] == ("done", "")
    assert found["slow"] == ("failed", "DeadlineExceeded")
    assert found["never"][0] == "stopped"


# Ends only when all of them are there at the same time.
MEET = """\
import os, sys, time
from pathlib import Path
marks = Path(os.environ["MARKS"])
(marks / os.environ["ATELIER_STEP"]).touch()
for _ in range(1200):
    if len(list(marks.iterdir())) == 4:
        sys.exit()
    time.sleep(0.05)
sys.exit("the others did not come")
"""


def test_branches_run_at_the_same_time(anna: Person, marks: Path) -> None:
    branch = {"file": "meet.py", "needs": ["first"], "env": {"MARKS": str(marks)}, "resources": {"cpu": 1}}
    steps = {"first": {"file": "empty.py"}, **{f"branch{number}": branch for number in range(4)}}
    last = {"last": {"file": "empty.py", "needs": [f"branch{number}" for number in range(4)]}}
    run = anna.submit({"meet.py": MEET, "empty.py": ""}, steps | last)
    assert anna.wait(run).state == "done", anna.steps(run)
    done = anna.steps(run)
    assert all(done["first"].ended_at <= done[f"branch{n}"].started_at for n in range(4))
    assert all(done[f"branch{n}"].ended_at <= done["last"].started_at for n in range(4))


COUNT = """\
import os, time
with open(os.path.join(os.environ["MARKS"], "at-once"), "a") as file:
    file.write("+")
    file.flush()
    time.sleep(0.4)
    file.write("-")
"""


def test_parallelism_is_a_limit_that_is_used(anna: Person, marks: Path) -> None:
    step = {"file": "count.py", "env": {"MARKS": str(marks)}}
    run = anna.submit({"count.py": COUNT}, {f"s{number}": step for number in range(7)}, parallelism=2)
    assert anna.wait(run).state == "done"
    now, most = 0, 0
    for sign in (marks / "at-once").read_text():
        now += 1 if sign == "+" else -1
        most = max(most, now)
    assert (now, most) == (0, 2)


def test_a_failure_says_why_and_what_did_not_run(anna: Person) -> None:
    code = {
        "ok.py": "print('fine')",
        "bad.py": "print('reading'); raise ValueError('row 17 has no label')",
        "promise.py": "",
        "values.py": "import os; open(os.environ['ATELIER_OUTPUTS'] + '/outputs.json', 'w').write('[1]')",
    }
    steps = {
        "start": {"file": "ok.py"},
        "bad": {"file": "bad.py", "needs": ["start"]},
        "side": {"file": "ok.py", "needs": ["start"]},
        "after": {"file": "ok.py", "needs": ["bad", "side"]},
        "last": {"file": "ok.py", "needs": ["after"]},
        "promise": {"file": "promise.py", "outputs": {"model": "model"}},
        "values": {"file": "values.py", "outputs": {"rows": "value"}},
        "no-command": {"file": "ok.py", "secrets": {"TOKEN": "nobody-set-it"}},
    }
    run = anna.submit(code, steps)
    done = anna.wait(run)
    assert (done.state, done.reason) == ("failed", "UpstreamFailed")
    found = anna.steps(run)
    assert {name: (step.state, step.reason) for name, step in found.items()} == {
        "start": ("done", ""),
        "bad": ("failed", "ExitCode"),
        "side": ("done", ""),
        "after": ("skipped", "UpstreamFailed"),
        "last": ("skipped", "UpstreamFailed"),
        "promise": ("failed", "OutputMissing"),
        "values": ("failed", "OutputMissing"),
        "no-command": ("failed", "BadSpec"),
    }
    assert found["bad"].exit_code == 1
    assert "ended with" in found["bad"].message
    assert "ValueError: row 17 has no label" in anna.log(run, "bad")
    assert found["after"].message == found["last"].message == "Step 'bad' did not succeed."
    assert "'model'" in found["promise"].message
    assert "outputs/model" in found["promise"].message
    assert "one JSON object" in found["values"].message
    assert found["no-command"].attempt == 1
    assert "no secret 'nobody-set-it'" in found["no-command"].message
    assert f"atelier secret set nobody-set-it --project {anna.name}" in found["no-command"].message
    told = anna.command("pipeline", "watch", run)
    assert told.returncode == 1
    assert "row 17 has no label" in told.stdout
    assert "Traceback" not in told.stderr


VIEWS = {
    "not-json": "[{'metric_type': 'text'}]",
    "no-file": json.dumps([{"metric_type": "image", "image": "gone.png"}, {"metric_type": "text", "text": "still"}]),
    "unknown-kind": json.dumps({"metric_type": "hologram", "text": "x"}),
    "no-list": json.dumps("hello"),
    "no-number": '[{"metric_type": "metrics", "metrics": {"loss": NaN}}, {"metric_type": "text", "text": "still"}]',
}


def test_broken_results_do_not_fail_the_step_and_say_what_is_wrong(anna: Person) -> None:
    code = "import os, sys; open(os.environ['ATELIER_RESULTS'] + '/metric.json', 'w').write(os.environ['VIEWS'])"
    steps = {name: {"file": "a.py", "env": {"VIEWS": text}} for name, text in VIEWS.items()}
    run = anna.submit({"a.py": code}, steps)
    assert anna.wait(run).state == "done"
    views = {name: anna.client.steps.results(anna.name, run, name) for name in VIEWS}
    problems = {name: [view["problem"] for view in found if view["problem"]] for name, found in views.items()}
    assert {name: len(found) for name, found in problems.items()} == dict.fromkeys(VIEWS, 1)
    assert "not JSON" in problems["not-json"][0]
    assert "'gone.png'" in problems["no-file"][0]
    assert "'hologram'" in problems["unknown-kind"][0]
    assert "not an object" in problems["no-list"][0]
    assert "'loss'" in problems["no-number"][0]
    for name in ("no-file", "no-number"):
        assert [view["data"] for view in views[name] if view["kind"] == "text"] == ["still"]
    told = anna.command("pipeline", "results", run)
    assert told.returncode == 0, told.stderr
    assert "hologram" in told.stdout


def test_the_same_key_is_the_same_run(anna: Person) -> None:
    folder = anna.folder({"a.py": ""})
    document = pipeline({"only": {"file": "a.py", "image": "python"}})

    def once(_: int) -> str:
        return submit(anna.client, anna.name, folder, document, on="local", idempotency_key="nightly")

    first = once(0)
    revision = anna.client.runs.get(anna.name, first).revision
    body = {"revision": revision, "idempotency_key": "at once"}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: anna.http("POST", "runs", json=body), range(8)))
    assert {answer.status_code for answer in answers} == {201}, [answer.text for answer in answers]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert once(1) == first
    assert len(anna.client.runs.page(anna.name).items) == 2


def test_a_stranger_sees_nothing_and_a_viewer_only_reads(new_person: NewPerson) -> None:
    anna, viewer, stranger = new_person(), new_person(), new_person()
    code = "import os; print('mine'); open(os.environ['ATELIER_OUTPUTS'] + '/data', 'w').write('mine')"
    run = anna.submit({"a.py": code}, {"only": {"file": "a.py", "outputs": {"data": "any"}}})
    assert anna.wait(run).state == "done"
    anna.client.members.set(anna.name, viewer.name, "viewer")
    artifact = anna.artifact(run, "only", "data").id
    revision = anna.client.runs.get(anna.name, run).revision
    step = f"runs/{run}/steps/only"
    reading = ["runs", f"runs/{run}", f"runs/{run}/steps", f"runs/{run}/artifacts", f"revisions/{revision}"]
    reading += [step, f"{step}/logs", f"{step}/attempts", f"{step}/results", f"artifacts/{artifact}/content"]
    writing = [("runs", {"revision": revision}), (f"runs/{run}/cancel", None)]

    def asked(who: Person, method: str, path: str, **options: Any) -> int:
        return Person(anna.name, who.token, who.client, who.home, who.plane).http(method, path, **options).status_code

    assert [asked(viewer, "GET", path) for path in reading] == [200] * len(reading)
    assert [asked(viewer, "POST", path, json=body) for path, body in writing] == [403, 403]
    assert [asked(stranger, "GET", path) for path in reading] == [404] * len(reading)
    assert [asked(stranger, "POST", path, json=body) for path, body in writing] == [404, 404]
    own = {stranger.http("GET", path).status_code for path in reading[1:]}
    assert own == {404}, "ids of somebody else's things lead nowhere in one's own project"
    told = viewer.command("pipeline", "logs", run, "only", "--project", anna.name)
    assert (told.returncode, told.stdout) == (0, "mine\n")
    file = viewer.folder({"a.py": "", "my.pipeline": json.dumps(pipeline({"only": {"file": "a.py"}}))}) / "my.pipeline"
    refused = viewer.command("pipeline", "run", str(file), "--project", anna.name)
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    unseen = stranger.command("pipeline", "list", "--project", anna.name)
    assert unseen.returncode == 1
    assert run not in unseen.stdout + unseen.stderr
    assert len(anna.client.runs.page(anna.name).items) == 1


def until(condition: Any, seconds: float = 60) -> None:
    """Wait until it is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
