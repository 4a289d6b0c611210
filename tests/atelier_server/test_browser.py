"""With a browser's cookies, through the hub's own proxy: forged requests and foreign pages are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
import websockets

from tests.atelier_cli.platform.installation import Browser, Installation
from tests.harness.ports import free_port


@pytest.fixture(scope="module")
def signed_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Ada in her running server, on a platform of its own."""
    installed = Installation(tmp_path_factory.mktemp("platform") / "data").sharing()
    try:
        started = installed.up("--port", str(free_port()), "--admin", "ada", "--no-mlflow")
        with Browser(started["url"]) as browser:
            assert browser.choose_password(started["link"]).status_code == 200
            browser.sign_in("ada")
            browser.start_server("ada")
            assert browser.http.get("/user/ada/lab").status_code == 200
            yield browser
    finally:
        installed.run("down", check=False)


def xsrf(browser: Browser) -> str:
    return next(
        cookie.value or "" for cookie in browser.http.cookies.jar if cookie.name == "_xsrf" and "/user/" in cookie.path
    )


def ask(browser: Browser, method: str, path: str, **options: object) -> httpx.Response:
    return browser.http.request(method, f"/user/ada/atelier/{path}", **options)  # type: ignore[arg-type]


def test_the_owners_page_reads_and_writes(signed_in: Browser) -> None:
    token = {"X-XSRFToken": xsrf(signed_in)}
    info = ask(signed_in, "GET", "info", headers=token)
    assert info.json()["user"] == "ada" and info.json()["control_plane"]["state"] == "ok"
    assert ask(signed_in, "GET", "api/me", headers=token).json()["name"] == "ada"
    assert ask(signed_in, "POST", "local/demo", headers=token, json={}).json() == {
        "path": "atelier-demo/digits.pipeline"
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "local/demo"), ("POST", "api/projects"), ("PUT", "api/x"), ("DELETE", "api/projects/ada")],
)
def test_a_forged_request_is_refused(signed_in: Browser, method: str, path: str) -> None:
    """The cookie is there, the page that sends it is not ours: no token of the form, or a foreign origin."""
    for headers in ({}, {"X-XSRFToken": "guessed"}, {"Origin": "https://evil.example"}):
        answer = ask(signed_in, method, path, headers=headers)
        assert answer.status_code == 403, (headers, answer.text)
        assert answer.json()["message"]


def test_a_refusal_leaves_no_dead_connection_behind(signed_in: Browser) -> None:
    """The hub's proxy keeps connections; one that we hang up on after a refusal must not be used again."""
    statuses = {ask(signed_in, "DELETE", "api/projects/ada", headers={}).status_code for _ in range(60)}
    assert statuses == {403}


async def test_the_feed_is_open_to_the_page_and_closed_to_foreign_ones(signed_in: Browser) -> None:
    request = signed_in.http.build_request("GET", "/user/ada/atelier/feed")
    url = str(request.url).replace("http", "ws", 1)
    cookies = {"Cookie": request.headers["Cookie"]}
    here = f"{request.url.scheme}://{request.url.netloc.decode()}"
    async with websockets.connect(url, additional_headers={**cookies, "Origin": here}) as socket:
        assert json.loads(await socket.recv())["type"] == "hello"
    for headers in ({**cookies, "Origin": "https://evil.example"}, {"Origin": here}):
        with pytest.raises(websockets.InvalidStatus) as refusal:
            async with websockets.connect(url, additional_headers=headers):
                pass
        assert refusal.value.response.status_code == 403
