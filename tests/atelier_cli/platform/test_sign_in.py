"""Accounts on a real hub: one-time links, wrong passwords, one person."""

from __future__ import annotations

import json

from atelier_spawner.accounts.store import Accounts
from tests.atelier_cli.platform.installation import PASSWORD, Browser, Installation


def test_wrong_password_and_unknown_name_are_refused_alike(installation: Installation) -> None:
    with Browser(installation.url) as browser:
        wrong = browser.sign_in("ada", "not the password")
        unknown = browser.sign_in("nobody", PASSWORD)
    assert wrong.status_code == unknown.status_code == 403
    assert "Invalid username or password" in wrong.text and "Invalid username or password" in unknown.text


def test_guessing_is_slowed_down(installation: Installation) -> None:
    with Browser(installation.url) as browser:
        answers = [browser.sign_in("mallory", f"guess number {number}") for number in range(8)]
    assert [answer.status_code for answer in answers[:5]] == [403] * 5
    assert answers[-1].status_code == 429 and "Try again in" in answers[-1].text


def test_guessing_is_slowed_down_whatever_address_is_claimed(installation: Installation) -> None:
    with Browser(installation.url) as browser:
        statuses = []
        for number in range(8):
            browser.http.headers.update({"X-Real-Ip": f"192.0.2.{number}", "X-Forwarded-For": f"192.0.2.{number}"})
            statuses.append(browser.sign_in("mallet", f"guess number {number}").status_code)
    assert statuses[:5] == [403] * 5 and statuses[-1] == 429


def test_link_works_once_and_looking_does_not_use_it_up(installation: Installation) -> None:
    link = installation.json("user", "link", "ada")["link"]
    with Browser(installation.url) as browser:
        assert 'name="password"' in browser.http.get(link).text
        assert 'name="password"' in browser.http.get(link).text
        short = browser.choose_password(link, "short")
        assert short.status_code == 400 and "characters" in short.text
        assert browser.choose_password(link).url.path == "/hub/home"
        again = browser.http.get(link)
        assert 'name="password"' not in again.text and "used already" in again.text
        assert again.headers["Referrer-Policy"] == "no-referrer" and again.headers["Cache-Control"] == "no-store"


def test_form_from_another_site_is_refused(installation: Installation) -> None:
    link = installation.json("user", "link", "ada")["link"]
    token = link.rpartition("=")[2]
    with Browser(installation.url) as browser:
        answer = browser.http.post("/hub/atelier-setup", data={"token": token, "password": "chosen by somebody else"})
    assert answer.status_code == 403
    assert Accounts(installation.layout.accounts).whose_link(token) == "ada"


def test_second_account_is_refused_where_one_person_is_served(installation: Installation) -> None:
    reason = installation.layout.hub.joinpath("jupyterhub_config.py").read_text()
    if "one_person=''" in reason:
        return  # this machine can serve several: see the tests of notebooks
    done = installation.run("user", "add", "bob", "--json", check=False)
    error = json.loads(done.stderr)["error"]
    assert done.returncode != 0 and error["code"] == "one_person" and "'ada'" in error["message"]


def test_files_with_secrets_are_private(installation: Installation) -> None:
    layout = installation.layout
    private = [layout.accounts, layout.hub_database, layout.secrets, layout.token, layout.hub / "cookie_secret"]
    private += [layout.data / "control-plane.py", layout.log("hub"), layout.record("hub")]
    for path in private:
        assert path.stat().st_mode & 0o077 == 0, path
    for name in ("hub", "run", "logs", "secrets", "control-plane", "gateway"):
        assert (layout.data / name).stat().st_mode & 0o077 == 0, name
