"""The platform as its user meets it, and what happens when one of its processes is killed."""

from __future__ import annotations

import json
import os
import signal
import stat
import threading
from pathlib import Path

import httpx
import pytest

from atelier_cli.platform import platform
from atelier_cli.platform.layout import Layout, load_secrets, load_settings
from atelier_core.errors import Invalid
from atelier_spawner.accounts.store import Accounts
from tests.atelier_cli.platform.installation import Browser, Installation, ok, wait_for
from tests.harness.ports import free_port

HEALTH = "/services/atelier/api/health"
GATEWAY = "/services/atelier-gateway"


def kill(installation: Installation, name: str) -> int:
    """kill -9, and wait until the next one has said who it is."""
    pid = installation.pid(name)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: installation.pid(name) != pid)
    return pid


def test_token_works_through_the_proxy_and_can_do_no_more_than_it_should(installation: Installation) -> None:
    path = installation.data.parent / "credentials.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    credentials = json.loads(path.read_text())
    assert credentials["url"] == f"{installation.url}/services/atelier"
    bearer = {"Authorization": f"Bearer {credentials['token']}"}
    me = httpx.get(f"{credentials['url']}/api/me", headers=bearer)
    assert me.status_code == 200 and me.json()["name"] == "ada"
    hub = httpx.get(f"{installation.url}/hub/api/user", headers=bearer).json()
    assert {scope.partition("!")[0] for scope in hub["scopes"]} >= {"custom:atelier:use", "custom:atelier:admin"}
    for refused in ("/users", "/services", "/proxy", "/users/ada/tokens"):
        assert httpx.get(f"{installation.url}/hub/api{refused}", headers=bearer).status_code in {403, 404}, refused


def test_up_again_changes_nothing(installation: Installation) -> None:
    before = {name: installation.pid(name) for name in ("supervisor", "proxy", "hub", "control-plane", "gateway")}
    token = installation.layout.token.read_text()
    again = installation.up()
    assert again["already_running"] and again["url"] == installation.url and again["link"] is None
    assert {name: installation.pid(name) for name in before} == before
    assert installation.layout.token.read_text() == token


def test_up_with_other_options_says_what_to_do(installation: Installation) -> None:
    done = installation.run("up", "--port", str(free_port()), "--json", check=False)
    error = json.loads(done.stderr)["error"]
    assert done.returncode != 0 and error["code"] == "already_running" and "atelier down" in error["hint"]


def test_port_in_use_names_the_port(installation: Installation, spare: Installation) -> None:
    port = int(installation.url.rpartition(":")[2])
    done = spare.run("up", "--port", str(port), "--json", check=False)
    error = json.loads(done.stderr.splitlines()[-1])["error"]
    assert error["code"] == "port_in_use" and str(port) in error["message"] and "--port" in error["hint"]
    assert not spare.processes()


def test_up_refuses_who_is_no_administrator(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    accounts = Accounts(layout.accounts)
    accounts.add("bob")
    with pytest.raises(Invalid, match="No account") as refused:
        platform.up(layout, {}, print)
    assert "atelier user add" in refused.value.hint
    accounts.add("ada", admin=True)
    for name in ("bob", "typo"):
        with pytest.raises(Invalid, match=f"'{name}' is no administrator") as refused:
            platform.up(layout, {"admin": name}, print)
        assert "ada" in refused.value.hint and load_settings(layout).admin == ""


def test_notebook_outlives_hub_and_proxy(installation: Installation, browser: Browser) -> None:
    browser.start_server("ada")
    record = installation.layout.servers / "ada.json"
    server = json.loads(record.read_text())["pid"]
    assert browser.http.get("/user/ada/lab").status_code == 200
    kill(installation, "hub")
    wait_for(lambda: ok(f"{installation.url}/hub/health"))
    assert browser.http.get("/user/ada/api/status").status_code == 200
    kill(installation, "proxy")
    wait_for(lambda: browser_reaches(browser, "/user/ada/api/status"))
    assert ok(f"{installation.url}{HEALTH}")
    assert json.loads(record.read_text())["pid"] == server
    assert browser.api("GET", "/users/ada").json()["servers"][""]["ready"]


def browser_reaches(browser: Browser, path: str) -> bool:
    try:
        return browser.http.get(path).status_code == 200
    except httpx.HTTPError:
        return False


def test_servers_own_token_uses_the_platform_but_does_not_administer_it(
    installation: Installation, browser: Browser
) -> None:
    if "" not in browser.api("GET", "/users/ada").json()["servers"]:
        browser.start_server("ada")
    pid = json.loads((installation.layout.servers / "ada.json").read_text())["pid"]
    environ = dict(item.split("=", 1) for item in Path(f"/proc/{pid}/environ").read_text().split("\0") if "=" in item)
    bearer = {"Authorization": f"Bearer {environ['JUPYTERHUB_API_TOKEN']}"}
    assert httpx.get(f"{environ['ATELIER_API_URL']}/api/me", headers=bearer).json()["name"] == "ada"
    granted = httpx.get(f"{installation.url}/hub/api/user", headers=bearer).json()["scopes"]
    assert "custom:atelier:use" in granted and "custom:atelier:admin" not in granted
    assert environ["ATELIER_USER_DIR"] == environ["ATELIER_PROJECT_DIR"] == str(installation.data / "users/ada")
    assert environ["MLFLOW_TRACKING_TOKEN"] == environ["JUPYTERHUB_API_TOKEN"] and environ["MLFLOW_WORKSPACE"] == "ada"
    search = f"{environ['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/experiments/search"
    wait_for(lambda: httpx.post(search, headers=bearer, json={"max_results": 1}, timeout=30).status_code == 200, 120)


def test_mlflow_comes_back(installation: Installation) -> None:
    def answers() -> bool:
        return bool(next(row for row in installation.status()["processes"] if row["name"] == "mlflow")["answers"])

    wait_for(answers, 120)
    kill(installation, "mlflow")
    wait_for(lambda: not answers())
    assert installation.status()["running"], "everything else goes on without it"
    wait_for(answers, 120)


@pytest.mark.parametrize("name", ["control-plane", "hub", "proxy", "gateway"])
def test_killed_process_comes_back(installation: Installation, name: str) -> None:
    kill(installation, name)
    wait_for(lambda: all(ok(f"{installation.url}{path}") for path in (HEALTH, "/hub/health", f"{GATEWAY}/health")))


def test_the_gateway_knows_people_by_their_tokens_and_keeps_its_inside_to_itself(installation: Installation) -> None:
    wait_for(lambda: ok(f"{installation.url}{GATEWAY}/health"))
    bearer = {"Authorization": f"Bearer {installation.layout.token.read_text().strip()}"}
    url = f"{installation.url}{GATEWAY}"
    assert httpx.get(f"{url}/s/ada/none/v2").status_code == 401
    assert httpx.get(f"{url}/s/ada/none/v2", headers=bearer).json()["code"] == "not_found"
    assert httpx.get(f"{url}/s/nobody/none/v2", headers=bearer).json()["code"] == "no_project"
    secret = {"X-Atelier-Gateway": load_secrets(installation.layout).gateway}
    inside = load_settings(installation.layout).gateway_url
    assert httpx.get(f"{inside}/internal/stats", headers=secret).status_code == 200
    for path in ("/internal/stats", "//internal/stats", "/%2e%2e/internal/stats"):
        answer = httpx.get(f"{url}{path}", headers=secret)
        # The proxy takes some of these for the hub's, which shows strangers its login page.
        assert answer.status_code in (302, 404) and "generation" not in answer.text, path


def test_killed_supervisor_is_replaced_and_the_others_go_on(installation: Installation) -> None:
    wait_for(lambda: ok(f"{installation.url}{HEALTH}"))
    before = {name: installation.pid(name) for name in ("proxy", "hub", "control-plane", "gateway")}
    os.kill(installation.pid("supervisor"), signal.SIGKILL)
    wait_for(lambda: installation.status()["processes"][0]["running"] is False)
    assert ok(f"{installation.url}{HEALTH}")
    assert installation.up()["already_running"] is False
    assert {name: installation.pid(name) for name in before} == before
    kill(installation, "control-plane")  # the new one looks after what it did not start
    wait_for(lambda: ok(f"{installation.url}{HEALTH}"))


def test_down_leaves_nothing_and_up_finds_everything_again(spare: Installation) -> None:
    port = str(free_port())
    started = spare.sharing().up("--port", port, "--admin", "ada")
    with Browser(started["url"]) as person:
        person.choose_password(started["link"])
        person.start_server("ada")
    token = spare.layout.token.read_text()
    assert len(spare.processes()) >= 5
    stopped = spare.json("down")["stopped"]
    assert set(stopped) - {"mlflow"} == {"supervisor", "control-plane", "gateway", "hub", "proxy", "1 notebook(s)"}
    assert not wait_gone(spare)
    assert spare.json("down")["stopped"] == []
    again = spare.up()  # the port is remembered
    assert again["url"].endswith(port) and again["link"] is None
    assert spare.layout.token.read_text() == token
    with Browser(again["url"]) as person:
        assert person.sign_in("ada").url.path != "/hub/login"
        person.start_server("ada")


def wait_gone(installation: Installation) -> dict[int, str]:
    """What is still there after a moment; ended processes take one to leave the table."""
    try:
        wait_for(lambda: not installation.processes(), 30)
    except AssertionError:
        return installation.processes()
    return {}


def test_two_ups_at_once_make_one_platform(spare: Installation) -> None:
    port, answers = str(free_port()), []
    threads = [threading.Thread(target=lambda: answers.append(spare.up("--port", port))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer["already_running"] for answer in answers) == [False, True]
    assert sum("atelier_cli.platform.supervisor" in command for command in spare.processes().values()) == 1
