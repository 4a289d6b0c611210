"""Two people on one machine: each in a notebook of their own, one of them attacks."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from tests.atelier_cli.platform.installation import Browser, Installation, wait_for

pytestmark = pytest.mark.root

ATTACK = """
import json, os, signal
from pathlib import Path

data, victim = Path({data!r}), {victim!r}

def attempt(action):
    try:
        return repr(action())
    except OSError as error:
        return type(error).__name__

def look(path):
    return path.read_bytes()[:20] if path.is_file() else os.listdir(path)

places = ["users/ada", "users/ada/secret.txt", "hub", "hub/jupyterhub.sqlite", "hub/accounts.sqlite", "run", "logs",
          "control-plane", "control-plane/atelier.sqlite", "control-plane/secret.key", "secrets/platform.json",
          "secrets/gateway", "gateway", "gateway.py", "token", "control-plane.py", "platform.json", "users", "projects"]
found = {{"whoami": [os.getuid(), os.getgid(), os.getgroups()]}}
found["read"] = {{place: attempt(lambda: look(data / place)) for place in places}}
targets = ["users/ada", "users", "", "run"]
found["write"] = {{place: attempt(lambda: (data / place / "mine").touch()) for place in targets}}
found["environ"] = attempt(lambda: Path(f"/proc/{{victim}}/environ").read_bytes())
found["memory"] = attempt(lambda: open(f"/proc/{{victim}}/mem", "rb"))
found["folder"] = attempt(lambda: os.listdir(f"/proc/{{victim}}/cwd"))
found["signal"] = attempt(lambda: os.kill(victim, signal.SIGTERM))
found["signal root"] = attempt(lambda: os.kill({supervisor}, signal.SIGTERM))
found["become root"] = attempt(lambda: os.setuid(0))
found["become ada"] = attempt(lambda: os.setuid({ada}))
found["own"] = attempt(lambda: Path("own.txt").write_text("works"))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def people(shared: Installation) -> Iterator[dict[str, Browser]]:
    """Both signed in, with running notebooks and a secret in ada's folder."""
    browsers = {name: Browser(shared.url) for name in ("ada", "bob")}
    for name, browser in browsers.items():
        browser.sign_in(name)
        browser.start_server(name)
        assert browser.http.get(f"/user/{name}/lab").status_code == 200
    (shared.data / "users/ada/secret.txt").write_text("ada's")
    yield browsers
    for browser in browsers.values():
        browser.http.close()


def server(shared: Installation, name: str) -> int:
    return int(json.loads((shared.layout.servers / f"{name}.json").read_text())["pid"])


def in_notebook(browser: Browser, user: str, code: str) -> str:
    """What `code` prints in a kernel of the user's notebook."""
    base = f"/user/{user}/api/kernels"
    browser.http.get(f"/user/{user}/lab")
    xsrf = next(c.value for c in browser.http.cookies.jar if c.name == "_xsrf" and c.path.startswith("/user"))
    made = browser.http.post(base, headers={"X-XSRFToken": xsrf or ""}, json={"name": "python3"})
    assert made.status_code == 201, made.text
    url = f"{browser.url.replace('http', 'ws', 1)}{base}/{made.json()['id']}/channels"
    request = browser.http.build_request("GET", f"{base}/{made.json()['id']}/channels")
    return asyncio.run(_execute(url, {"Cookie": request.headers["Cookie"], "Origin": browser.url}, code))


async def _execute(url: str, headers: dict[str, str], code: str) -> str:
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": "execute_request",
        "version": "5.3",
        "session": "s",
        "username": "",
    }
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
    printed = ""
    async with asyncio.timeout(60), websockets.connect(url, additional_headers=headers) as socket:
        await socket.send(json.dumps(message))
        while True:
            answer: dict[str, Any] = json.loads(await socket.recv())
            if answer["parent_header"].get("msg_id") != header["msg_id"]:
                continue
            if answer["msg_type"] == "stream":
                printed += answer["content"]["text"]
            if answer["msg_type"] == "error":
                raise AssertionError(answer["content"])
            # The reply comes on a channel of its own and may overtake what was printed; nothing is printed after this.
            if answer["msg_type"] == "status" and answer["content"]["execution_state"] == "idle":
                return printed


def test_each_server_runs_under_its_own_number(shared: Installation, people: dict[str, Browser]) -> None:
    uids = [Path(f"/proc/{server(shared, name)}").stat().st_uid for name in ("ada", "bob")]
    assert len(set(uids)) == 2 and all(20_000 <= uid < 60_000 for uid in uids)
    assert [(shared.data / "users" / name).stat().st_uid for name in ("ada", "bob")] == uids
    assert shared.data.stat().st_mode & 0o7777 == 0o711


def test_attack_from_a_notebook_gets_nowhere(shared: Installation, people: dict[str, Browser]) -> None:
    victim = server(shared, "ada")
    ada = Path(f"/proc/{victim}").stat().st_uid
    code = ATTACK.format(data=str(shared.data), victim=victim, supervisor=shared.pid("supervisor"), ada=ada)
    found = json.loads(in_notebook(people["bob"], "bob", code))
    bob = Path(f"/proc/{server(shared, 'bob')}").stat().st_uid
    assert found["whoami"] == [bob, bob, []] or found["whoami"] == [bob, bob, [bob]]
    for kind in ("read", "write"):
        for place, outcome in found[kind].items():
            assert outcome == "PermissionError", f"{kind} {place}: {outcome}"
    for kind in ("environ", "memory", "folder", "signal", "signal root", "become root", "become ada"):
        assert found[kind] == "PermissionError", f"{kind}: {found[kind]}"
    assert found["own"] == "5" and (shared.data / "users/bob/own.txt").read_text() == "works"
    assert server(shared, "ada") == victim and Path(f"/proc/{victim}").exists()


def test_other_peoples_server_is_closed(shared: Installation, people: dict[str, Browser]) -> None:
    assert people["bob"].http.get("/user/ada/api/status").status_code in {403, 404}
    assert people["bob"].api("DELETE", "/users/ada/server").status_code in {403, 404}
    assert people["bob"].api("GET", "/users").status_code == 403


def test_server_of_a_project_needs_membership(shared: Installation, people: dict[str, Browser]) -> None:
    service = f"{shared.url}/services/atelier/api"
    bearer = {"Authorization": f"Bearer {shared.layout.token.read_text().strip()}"}
    assert httpx.post(f"{service}/projects", json={"name": "vision"}, headers=bearer).status_code == 201
    people["ada"].start_server("ada", "vision")
    folder = shared.data / "projects/vision"
    assert folder.stat().st_mode & 0o7777 == 0o2770
    groups = (
        Path(f"/proc/{server(shared, 'ada+vision')}/status").read_text().split("Groups:")[1].splitlines()[0].split()
    )
    assert groups == [str(folder.stat().st_gid)]

    refused = people["bob"].api("POST", "/users/bob/servers/vision")
    wait_for(lambda: not people["bob"].api("GET", "/users/bob").json()["servers"].get("vision", {}).get("pending"))
    assert not people["bob"].api("GET", "/users/bob").json()["servers"].get("vision", {}).get("ready"), refused.text
    assert "not a member" in shared.layout.log("hub").read_text()
    member = {"kind": "user", "name": "bob", "role": "member"}
    assert httpx.post(f"{service}/projects/vision/members", json=member, headers=bearer).status_code == 201
    people["bob"].start_server("bob", "vision")
