"""Steps of two people on one machine, through the platform that root runs: one of them attacks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atelier_sdk import Client
from tests.atelier_cli.platform.installation import Browser, Installation, wait_for
from tests.harness import control_plane

pytestmark = pytest.mark.root

KEY = "ada's key"
HOLD = """
import os, time
from pathlib import Path

assert os.environ["KEY"]
print("holding", flush=True)
while not Path(os.environ["ATELIER_USER_DIR"], "go").exists():
    time.sleep(0.05)
Path("result.txt").write_text("ada's result")
"""
ATTACK = """
import json, os, signal
from pathlib import Path

orders = json.loads(Path("orders.json").read_text())

def attempt(action):
    try:
        return repr(action())
    except OSError as error:
        return type(error).__name__

def look(path):
    return os.listdir(path) if path.is_dir() else path.read_bytes()[:40]

found = {"whoami": [os.getuid(), os.getgid(), os.getgroups()]}
found["read"] = {place: attempt(lambda: look(Path(place))) for place in orders["read"]}
found["write"] = {place: attempt(lambda: (Path(place) / "mine").touch()) for place in orders["write"]}
found["process"] = {}
for pid in orders["processes"]:
    found["process"][f"signal {pid}"] = attempt(lambda: os.kill(pid, signal.SIGTERM))
    found["process"][f"memory {pid}"] = attempt(lambda: open(f"/proc/{pid}/mem", "rb"))
    found["process"][f"environment {pid}"] = attempt(lambda: look(Path(f"/proc/{pid}/environ")))
found["become root"] = attempt(lambda: os.setuid(0))
found["become ada"] = attempt(lambda: os.setuid(orders["ada"]))
found["folders"] = [os.environ["ATELIER_USER_DIR"], os.environ["ATELIER_PROJECT_DIR"]]
found["own"] = attempt(lambda: Path(os.environ["ATELIER_USER_DIR"], "own.txt").write_text("works"))
Path("found.json").write_text(json.dumps(found))
"""
PRIVATE = [
    "users/ada",
    "users/ada/secret.txt",
    "users",
    "projects",
    "hub",
    "hub/jupyterhub.sqlite",
    "hub/accounts.sqlite",
    "hub/identities.sqlite",
    "control-plane",
    "control-plane/atelier.sqlite",
    "control-plane/secret.key",
    "control-plane/store",
    "secrets",
    "secrets/platform.json",
    "run",
    "logs",
    "token",
    "control-plane.py",
    "platform.json",
    "workloads",
    "workloads/attempts",
    "workloads/code",
    "workloads/zygote.log",
    "cache",
]


@pytest.fixture(scope="module")
def clients(shared: Installation) -> Iterator[dict[str, Client]]:
    """Both people with tokens of their own."""
    service = f"{shared.url}/services/atelier"
    found = {"ada": Client(service, shared.layout.token.read_text().strip())}
    with Browser(shared.url) as browser:
        browser.sign_in("bob")
        scopes = ["access:services!service=atelier", "custom:atelier:use"]
        made = browser.api("POST", "/users/bob/tokens", json={"scopes": scopes})
        assert made.status_code == 201, made.text
        found["bob"] = Client(service, made.json()["token"])
    yield found
    for client in found.values():
        client.close()


def submit(
    client: Client, project: str, folder: Path, files: dict[str, str], steps: dict[str, Any], **extras: Any
) -> str:
    """A run of Python steps that need no packages."""
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    document = control_plane.pipeline({name: {"image": "python", **step} for name, step in steps.items()}, **extras)
    return control_plane.submit(client, project, folder, document)


def texts(client: Client, project: str, run: str, name: str, target: Path) -> dict[str, str]:
    """A stored file by step."""
    artifacts = [one for one in client.runs.artifacts(project, run) if one.name == name]
    return {one.step: client.artifacts.download(project, one.id, target / one.id).read_text() for one in artifacts}


def only_attempt(shared: Installation) -> Path:
    """The folder of the one attempt that there is, once its command runs."""

    def running() -> Path | None:
        logs = list(shared.layout.workloads.glob("attempts/*/main-0/log-main-0"))
        return logs[0].parent.parent if len(logs) == 1 and "holding" in logs[0].read_text() else None

    found: Path = wait_for(running, 120)
    return found


def test_a_step_cannot_reach_anothers(shared: Installation, clients: dict[str, Client], tmp_path: Path) -> None:
    ada, bob = clients["ada"], clients["bob"]
    ada.secrets.set("ada", "KEY", KEY)
    step = {"file": "hold.py", "outputs_files": ["result.txt"], "secrets": {"KEY": "KEY"}}
    victim = submit(ada, "ada", tmp_path / "ada", {"hold.py": HOLD}, {"hold": step})
    attempt = only_attempt(shared)
    (shared.data / "users/ada/secret.txt").write_text("ada's")
    claim = json.loads((attempt / "main-0/claim-main-0").read_text())
    uid = Path(f"/proc/{claim['command_pid']}").stat().st_uid
    assert uid == (shared.data / "users/ada").stat().st_uid >= 20_000
    record = shared.layout.workloads / "records" / attempt.name
    assert KEY in (record / "shim-main-0.json").read_text()

    closed = [attempt, attempt / "main-0", *(attempt / "main-0").iterdir(), record, *record.iterdir()]
    closed += [shared.data / place for place in PRIVATE] + list(shared.layout.workloads.glob("code/*"))
    assert any(path.name == f"uid-{uid}" for path in closed)
    environments = [path.parent for path in shared.layout.cache.glob("envs/*/pyvenv.cfg")]
    writable = [shared.data, *shared.layout.workloads.glob("*/"), attempt, attempt / "main-0", record]
    writable += [
        *environments,
        shared.layout.cache,
        shared.layout.cache / "envs",
        shared.data / "users/ada",
        shared.layout.run,
    ]
    processes = [claim["pid"], claim["command_pid"], shared.pid("control-plane"), shared.pid("supervisor")]
    orders = {"read": closed, "write": writable, "processes": processes, "ada": uid}
    files = {"attack.py": ATTACK, "orders.json": json.dumps(orders, default=str)}
    attack = {"file": "attack.py", "outputs_files": ["found.json"]}
    run = submit(bob, "bob", tmp_path / "bob", files, {"plain": attack, "warm": {**attack, "light": True}})
    ended = control_plane.wait_for(bob, "bob", run, 120)
    assert ended.state == "done", [step.message for step in bob.steps.list("bob", run)]

    own = (shared.data / "users/bob").stat().st_uid
    reports = texts(bob, "bob", run, "found.json", tmp_path)
    assert set(reports) == {"plain", "warm"} and own != uid
    for step_name, text in reports.items():
        found = json.loads(text)
        assert found["whoami"] in ([own, own, []], [own, own, [own]])
        for kind in ("read", "write", "process"):
            assert len(found[kind]) >= 5
            for place, outcome in found[kind].items():
                assert outcome == "PermissionError", f"{step_name}: {kind} {place}: {outcome}"
        assert found["become root"] == found["become ada"] == "PermissionError"
        assert found["folders"] == [str(shared.data / "users/bob")] * 2 and found["own"] == "5"

    (shared.data / "users/ada/go").touch()
    assert control_plane.wait_for(ada, "ada", victim).state == "done"
    assert texts(ada, "ada", victim, "result.txt", tmp_path) == {"hold": "ada's result"}


def test_members_share_their_projects_folder(shared: Installation, clients: dict[str, Client], tmp_path: Path) -> None:
    ada, bob = clients["ada"], clients["bob"]
    ada.projects.create("shared")
    ada.members.set("shared", "bob", "member")
    write = "import os\nopen(os.environ['ATELIER_PROJECT_DIR'] + '/notes.txt', 'a').write('line\\n')"
    for name, light in (("ada", True), ("bob", True), ("bob", False)):
        folder = tmp_path / f"{name}-{light}"
        run = submit(clients[name], "shared", folder, {"write.py": write}, {"w": {"file": "write.py", "light": light}})
        assert control_plane.wait_for(bob, "shared", run).state == "done"
    notes = shared.data / "projects/shared/notes.txt"
    assert notes.read_text() == "line\n" * 3
    assert notes.stat().st_mode & 0o777 == 0o660 and notes.parent.stat().st_mode & 0o7777 == 0o2770
    assert notes.stat().st_gid == notes.parent.stat().st_gid
