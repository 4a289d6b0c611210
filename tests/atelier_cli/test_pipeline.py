"""Pipelines from the command line, on a real platform."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from atelier_cli import exits
from atelier_sdk import Credentials, credentials
from tests.atelier_cli.conftest import Shell
from tests.harness.control_plane import ControlPlane, pipeline

NewShell = Callable[[], Shell]


def write(shell: Shell, code: Mapping[str, str], steps: Mapping[str, Mapping[str, Any]], **extras: Any) -> Path:
    """A folder with a pipeline and the code of its steps; returns the pipeline."""
    folder = shell.home / "project"
    folder.mkdir(exist_ok=True)
    for name, text in code.items():
        (folder / name).write_text(text)
    file = folder / "my.pipeline"
    file.write_text(json.dumps(pipeline(steps, **extras)))
    return file


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_run_is_watched_to_its_end(shell: NewShell) -> None:
    anna = shell()
    steps = {"first": {"file": "a.py"}, "second": {"file": "b.py", "needs": ["first"]}}
    file = write(anna, {"a.py": "print('one')", "b.py": "print('two')"}, steps)
    done = anna.run("pipeline", "run", str(file))
    assert done.returncode == exits.OK, done.stderr
    assert [line.split()[1:3] for line in done.stdout.splitlines() if " done " in line and "Run" not in line] == [
        ["done", "first"],
        ["done", "second"],
    ]
    logs = anna.run("pipeline", "logs", "last", "second")
    assert logs.stdout.strip().splitlines()[-1] == "two"
    assert "last" not in anna.run("pipeline", "list").stdout


def test_json_is_one_object_per_line_and_ends_with_the_run(shell: NewShell) -> None:
    anna = shell()
    file = write(anna, {"a.py": "print('one')"}, {"only": {"file": "a.py"}})
    done = anna.run("pipeline", "run", str(file), "--json")
    assert done.returncode == exits.OK, done.stderr
    told = records(done.stdout)
    assert told[-1]["type"] == "run"
    assert told[-1]["state"] == "done"
    assert {one["name"] for one in told if one["type"] == "step"} == {"only"}
    listed = records(anna.run("pipeline", "list", "--json").stdout)
    assert [run["id"] for run in listed] == [told[-1]["id"]]
    lines = records(anna.run("pipeline", "logs", told[-1]["id"], "only", "--json").stdout)
    assert {"line": "one"} in lines


def test_a_failed_run_shows_the_end_of_the_log(shell: NewShell) -> None:
    anna = shell()
    code = "for n in range(50): print('line', n)\nraise SystemExit('too few rows')"
    file = write(anna, {"a.py": code}, {"bad": {"file": "a.py"}, "after": {"file": "a.py", "needs": ["bad"]}})
    done = anna.run("pipeline", "run", str(file))
    assert done.returncode == exits.FAILED
    assert "too few rows" in done.stdout
    assert "line 49" in done.stdout
    assert "line 5\n" not in done.stdout
    assert "atelier pipeline logs" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_watch_then_watch(shell: NewShell) -> None:
    anna = shell()
    file = write(anna, {"a.py": "import time; time.sleep(1)"}, {"only": {"file": "a.py"}})
    started = anna.run("pipeline", "run", str(file), "--no-watch")
    assert started.returncode == exits.OK, started.stderr
    run = started.stdout.split()[-1]
    assert anna.client.runs.get(anna.name, run).state != "done"
    assert anna.run("pipeline", "watch", run).returncode == exits.OK


def test_interrupting_the_watch_leaves_the_run(shell: NewShell) -> None:
    anna = shell()
    file = write(anna, {"a.py": "import time; print('up', flush=True); time.sleep(60)"}, {"slow": {"file": "a.py"}})
    process = anna.start("pipeline", "run", str(file))
    assert process.stdout is not None
    for line in process.stdout:
        if "running" in line:
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == exits.INTERRUPTED
    assert "goes on" in errors
    run = anna.client.runs.page(anna.name).items[0]
    assert run.state == "running"
    cancelled = anna.run("pipeline", "cancel", run.id)
    assert cancelled.returncode == exits.OK, cancelled.stderr
    assert anna.run("pipeline", "watch", run.id).returncode == exits.FAILED
    assert anna.client.runs.get(anna.name, run.id).state == "stopped"


def test_a_log_is_followed_as_it_grows(shell: NewShell) -> None:
    anna = shell()
    code = "import time\nfor n in range(3):\n    print('tick', n, flush=True)\n    time.sleep(0.5)"
    file = write(anna, {"a.py": code}, {"only": {"file": "a.py"}})
    run = anna.run("pipeline", "run", str(file), "--no-watch").stdout.split()[-1]
    followed = anna.run("pipeline", "logs", run, "only", "-f")
    assert [line for line in followed.stdout.splitlines() if line.startswith("tick")] == ["tick 0", "tick 1", "tick 2"]


def test_parameters_arrive_typed(shell: NewShell) -> None:
    anna = shell()
    code = "import json, os; print('got', json.load(open(os.environ['ATELIER_PARAMETERS'])))"
    rows = {"name": "rows", "type": "integer", "default": 1}
    steps = {"only": {"file": "a.py", "parameters": {"rows": "{{ parameters.rows }}"}}}
    file = write(anna, {"a.py": code}, steps, parameters=[rows])
    done = anna.run("pipeline", "run", str(file), "-p", "rows=500")
    assert done.returncode == exits.OK, done.stderr
    assert "500" in anna.run("pipeline", "logs", "last", "only").stdout
    wrong = anna.run("pipeline", "run", str(file), "-p", "rows=many")
    assert wrong.returncode == exits.USAGE
    assert "rows" in wrong.stderr
    unknown = anna.run("pipeline", "run", str(file), "-p", "row=5")
    assert unknown.returncode == exits.USAGE
    assert "Traceback" not in unknown.stderr


def test_every_problem_is_told_before_anything_runs(shell: NewShell) -> None:
    anna = shell()
    steps = {"a": {"file": "missing.py"}, "b": {"file": "gone.py", "needs": ["a"]}}
    file = write(anna, {}, steps)
    for verb in ("check", "run"):
        done = anna.run("pipeline", verb, str(file))
        assert done.returncode == exits.USAGE
        assert "missing.py" in done.stderr
        assert "gone.py" in done.stderr
    found = records(anna.run("pipeline", "check", str(file), "--json").stdout)
    assert {problem["node"] for problem in found} == {"a", "b"}
    assert anna.client.runs.page(anna.name).items == []
    file.write_text('{"doc_type": ')
    assert "line 1" in anna.run("pipeline", "check", str(file)).stderr


def test_secrets_stay_at_home(shell: NewShell) -> None:
    anna = shell()
    code = "import os; print('files', sorted(os.listdir('.')))"
    file = write(anna, {"a.py": code, ".env": "PASSWORD=hush"}, {"only": {"file": "a.py"}})
    done = anna.run("pipeline", "run", str(file))
    assert done.returncode == exits.OK, done.stderr
    assert ".env" in done.stderr
    assert ".env" not in anna.run("pipeline", "logs", "last", "only").stdout


def test_somebody_elses_run_is_nobodys(shell: NewShell) -> None:
    anna, ben = shell(), shell()
    file = write(anna, {"a.py": ""}, {"only": {"file": "a.py"}})
    run = anna.run("pipeline", "run", str(file), "--no-watch").stdout.split()[-1]
    for project in (ben.name, anna.name):
        for verb in ("watch", "cancel"):
            done = ben.run("pipeline", verb, run, "--project", project)
            assert done.returncode == exits.FAILED
            assert run not in done.stdout
    assert ben.run("pipeline", "watch", "last").returncode == exits.USAGE


def test_sign_in(shell: NewShell, platform: ControlPlane) -> None:
    anna = shell()
    (anna.home / ".config/atelier/credentials.json").unlink()
    wrong = anna.run("login", platform.url, "--token", "nonsense")
    assert wrong.returncode == exits.USAGE
    assert not (anna.home / ".config/atelier/credentials.json").exists()
    done = anna.run("login", platform.url, "--token", "-", stdin=f"{anna.token}\n")
    assert done.returncode == exits.OK, done.stderr
    assert anna.token not in done.stdout + done.stderr
    assert (anna.home / ".config/atelier/credentials.json").stat().st_mode & 0o077 == 0
    assert anna.run("pipeline", "list").returncode == exits.OK


def test_projects_members_and_secrets(shell: NewShell) -> None:
    anna, ben = shell(), shell()
    name = f"team-{anna.name}"
    assert anna.run("project", "create", name, "--description", "Ours").returncode == exits.OK
    assert ben.run("project", "members", "--project", name).returncode == exits.FAILED
    for role in ("viewer", "member"):
        added = anna.run("project", "add", ben.name, role, "--project", name)
        assert added.returncode == exits.OK, added.stderr
    members = records(ben.run("project", "members", "--project", name, "--json").stdout)
    assert {member["name"]: member["role"] for member in members} == {anna.name: "owner", ben.name: "member"}
    for value in ("first", "second"):
        assert anna.run("secret", "set", "KEY", "--project", name, stdin=value).returncode == exits.OK
    listed = anna.run("secret", "list", "--project", name, "--json").stdout
    assert [secret["name"] for secret in records(listed)] == ["KEY"]
    assert "second" not in listed
    table = anna.run("secret", "list", "--project", name).stdout
    assert anna.name in table and f"{datetime.now():%Y-%m-}" in table
    assert anna.run("secret", "delete", "KEY", "--project", name).returncode == exits.OK
    assert anna.run("project", "remove", ben.name, "--project", name).returncode == exits.OK
    assert anna.run("project", "delete", name, "--yes").returncode == exits.OK
    assert name not in anna.run("project", "list").stdout


def test_whose_name_is_a_project_of_others_is_told(shell: NewShell, platform: ControlPlane, tmp_path: Path) -> None:
    """The command must not take that project for theirs."""
    owner = shell()
    owner.client.projects.create("newcomer")
    owner.client.members.set("newcomer", "newcomer", "member")
    late = Shell(tmp_path / "late", "newcomer", platform.hub.add_user("newcomer"), owner.client)
    credentials.save(Credentials(url=platform.url, token=late.token), late.home / ".config/atelier/credentials.json")
    done = late.run("pipeline", "list")
    assert done.returncode != 0 and "There is a project 'newcomer' that is not yours" in done.stderr
    assert "administrator" in done.stderr and done.stdout == ""
    owner.client.projects.delete("newcomer")
    assert late.run("pipeline", "list").returncode == 0


def test_what_no_platform_can_understand_is_said_before_it_is_sent(shell: NewShell, platform: ControlPlane) -> None:
    anna = shell()
    half = anna.home / "half.pipeline"
    half.write_text('{"doc_type": "pipeline", "x": "\\ud83d"}')
    label = f"http://{'a' * 70}.example"
    for arguments, stdin, code in (
        (("pipeline", "check", str(half)), "", "not_json"),
        (("pipeline", "watch", "."), "", "bad_name"),
        (("pipeline", "watch", "\udcff"), "", "bad_name"),
        (("secret", "set", "BINARY"), "\udcff\udcfe", "not_text"),
        (("login", label, "--token", "x"), "", "usage"),
        (("--url", label, "--token", "x", "project", "list"), "", "bad_url"),
        (("login", platform.url, "--token", "t\u00f6k"), "", "bad_token"),
    ):
        done = anna.run("--json", *arguments, stdin=stdin)
        error = json.loads(done.stderr.splitlines()[-1])["error"]
        assert (done.returncode, error["code"]) == (exits.USAGE, code), (arguments, done.stderr)
        assert error["hint"] or code == "usage"
