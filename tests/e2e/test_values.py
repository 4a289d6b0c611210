"""What goes into a step and what comes out: parameters, variables, values, secrets."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx

from tests.e2e.conftest import Person

TELL = """\
import json, os
from pathlib import Path
given = json.loads(Path(os.environ["ATELIER_PARAMETERS"]).read_text())
names = ("GREETING", "REGION", "BUCKET", "KFJ_CREATOR", "KFJ_RUN_ID", "KFJ_TASK_NAME", "ATELIER_RUN", "ATELIER_STEP")
seen = {"given": given, "env": {name: os.environ.get(name) for name in names}}
Path(os.environ["ATELIER_OUTPUTS"], "outputs.json").write_text(json.dumps({"seen": seen}))
"""


def test_parameters_and_variables_are_filled_in(everywhere: Person) -> None:
    person = everywhere
    steps = {
        "tell": {
            "file": "tell.py",
            "outputs": {"seen": "value"},
            "parameters": {
                "rows": "{{ parameters.rows }}",
                "names": "{{ parameters.names }}",
                "title": "{{ parameters.title }} of {{ project }}",
                "when": "{{ execution_date }}",
                "day": "{{ datetime.datetime.now().strftime('%Y%m%d') }}",
                "id": "{{ uuid.uuid4().hex }}",
            },
            "env": {"GREETING": "{{ creator }} {{ runner }} {{ run_id }} {{ cluster_name }} {{ BUCKET }}"},
        }
    }
    parameters = [
        {"name": "rows", "type": "integer", "default": 1, "maximum": 1000},
        {"name": "names", "type": "array", "default": []},
        {"name": "title", "type": "string", "required": True},
    ]
    given = {"rows": "500", "names": ["a b", "{{ creator }}"], "title": 'Ann\'s "daily" run'}
    run = person.submit(
        {"tell.py": TELL},
        steps,
        run={"parameters": given},
        parameters=parameters,
        environment="# where\nREGION=eu-1\nBUCKET=data-{{ REGION }}",
    )
    done = person.wait(run)
    assert done.state == "done", person.steps(run)
    assert done.parameters == {**given, "rows": 500}
    seen = person.values(run, "tell")["seen"]
    assert seen["given"]["rows"] == 500
    assert seen["given"]["names"] == ["a b", "{{ creator }}"], "what a run is given is no expression"
    assert seen["given"]["title"] == f'Ann\'s "daily" run of {person.name}'
    assert re.fullmatch(r"[0-9a-f]{32}", seen["given"]["id"])
    when = datetime.strptime(seen["given"]["when"], "%Y-%m-%d %H:%M:%S")
    assert abs(when - done.created_at.replace(tzinfo=None)) < timedelta(seconds=2)
    assert seen["given"]["day"] == when.strftime("%Y%m%d")
    name = person.name
    assert seen["env"] == {
        "GREETING": f"{name} {name} {run} {person.on} data-eu-1",
        "REGION": "eu-1",
        "BUCKET": "data-eu-1",
        "KFJ_CREATOR": name,
        "KFJ_RUN_ID": run,
        "KFJ_TASK_NAME": "tell",
        "ATELIER_RUN": run,
        "ATELIER_STEP": "tell",
    }


MAKE = """\
import json, os
from pathlib import Path
outputs = Path(os.environ["ATELIER_OUTPUTS"])
outputs.joinpath("outputs.json").write_text(json.dumps({"rows": 41, "columns": ["a", "b"], "nothing": None}))
outputs.joinpath("data").mkdir()
outputs.joinpath("data", "sub folder").mkdir()
outputs.joinpath("data", "sub folder", "one.txt").write_text("one")
Path("table.csv").write_text("a,b\\n1,2\\n")
"""
TAKE = """\
import json, os
from pathlib import Path
given = json.loads(Path(os.environ["ATELIER_PARAMETERS"]).read_text())
text = Path(os.environ["ATELIER_INPUTS"], "folder", "sub folder", "one.txt").read_text()
found = [given["count"] + 1, given["columns"], given["nothing"], text, Path("table.csv").read_text()]
Path(os.environ["ATELIER_OUTPUTS"], "outputs.json").write_text(json.dumps({"found": found}))
"""


def test_what_one_step_leaves_the_next_one_gets(everywhere: Person) -> None:
    person = everywhere
    values = {"rows": "value", "columns": "value", "nothing": "value"}
    taken = {"count": "rows", "columns": "columns", "nothing": "nothing", "folder": "data"}
    steps = {
        "make": {"file": "make.py", "outputs": values | {"data": "dataset"}, "outputs_files": ["table.csv"]},
        "take": {
            "file": "take.py",
            "needs": ["make"],
            "outputs": {"found": "value"},
            "inputs": {name: {"node": "make", "output": output} for name, output in taken.items()},
        },
    }
    run = person.submit({"make.py": MAKE, "take.py": TAKE}, steps)
    assert person.wait(run).state == "done", person.log(run, "take")
    assert person.values(run, "take")["found"] == [42, ["a", "b"], None, "one", "a,b\n1,2\n"]


SPY = """\
import glob, hashlib, os, sys, time
secret = os.environ["DB_PASSWORD"]
print("sha", hashlib.sha256(secret.encode()).hexdigest(), "length", len(secret))
for path in glob.glob("/proc/[0-9]*/cmdline"):
    try:
        with open(path, "rb") as file:
            if secret.encode() in file.read():
                sys.exit("the secret is in " + path)
    except OSError:
        pass
"""


def test_a_secret_reaches_its_step_and_nothing_else(everywhere: Person) -> None:
    person = everywhere
    value = f"s3cret-{secrets.token_hex(12)} ünd 'quotes'"
    told = person.command("secret", "set", "db-password", stdin=value)
    assert told.returncode == 0, told.stderr
    step = {"file": "spy.py", "secrets": {"DB_PASSWORD": "db-password"}}
    run = person.submit({"spy.py": SPY}, {"spy": step, "after": {"file": "spy.py", "needs": ["spy"]}})
    done = person.wait(run)
    assert person.steps(run)["spy"].state == "done", person.log(run, "spy")
    assert hashlib.sha256(value.encode()).hexdigest() in person.log(run, "spy")
    assert done.state == "failed", "the step that did not ask for it does not have it"
    assert "KeyError: 'DB_PASSWORD'" in person.log(run, "after")
    wanted = value.encode()
    for text in _everything_told(person, run):
        assert wanted not in text
        assert json.dumps(value).encode()[1:-1] not in text
    for path in _files_of(person):
        assert wanted not in path.read_bytes(), path


def _everything_told(person: Person, run: str) -> Iterator[bytes]:
    revision = person.client.runs.get(person.name, run).revision
    base = f"runs/{run}"
    paths = ["secrets", "runs", base, f"{base}/steps", f"{base}/artifacts", f"revisions/{revision}"]
    paths += [f"{base}/steps/spy/{kind}" for kind in ("attempts", "logs", "results")]
    for path in paths:
        answer = person.http("GET", path)
        assert answer.status_code == 200, (path, answer.text)
        yield answer.content
    yield _events(person, f"{run}")
    yield person.plane.log().encode()


def _events(person: Person, run: str) -> bytes:
    """All events of the project up to the end of the run, as the feed sends them."""
    told = b""
    with httpx.stream(
        "GET",
        f"{person.plane.url}/api/events",
        params={"project": person.name, "after": 0},
        headers={"Authorization": f"Bearer {person.token}"},
        timeout=30,
    ) as answer:
        for line in answer.iter_lines():
            told += line.encode()
            if line.startswith("data:") and json.loads(line[5:]).get("subject") == run and "failed" in line:
                return told
    raise AssertionError(f"the feed ended before the run did: {told[-2000:]!r}")


def _files_of(person: Person) -> Iterator[Path]:
    """Database, logs and artifacts; what a step's own folder held is gone with the step."""
    for path in (person.plane.folder / "data").rglob("*"):
        if path.is_file() and path.stat().st_size < 64 * 1024**2:
            yield path
