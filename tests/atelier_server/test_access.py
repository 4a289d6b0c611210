"""Who gets what from a person's server: the table is a file that a person reviews."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import websockets
import yaml

from atelier_server.app import AtelierServer
from atelier_server.settings import Settings
from tests.atelier_server.servers import Notebook

CALLERS = ("anonymous", "stranger", "guest", "owner")
EXPECTED: dict[str, list[bool | int]] = yaml.safe_load((Path(__file__).parent / "permissions.yaml").read_text())


def test_the_file_names_every_route_and_no_other() -> None:
    from atelier_server import local
    from atelier_server.app import handlers

    found = set()
    for pattern, handler, _ in handlers(Settings("ada", "ada", "http://127.0.0.1:1", "")):
        place = "/" + pattern.replace("(.*)", "{path}")
        methods = [one for one in ("get", "head", "post", "put", "patch", "delete") if one in vars(handler)]
        found |= {f"{'WS' if 'open' in vars(handler) else method.upper()} {place}" for method in methods or ["ws"]}
    assert found == set(EXPECTED)
    assert local.__doc__ and AtelierServer.name == "atelier_server"


async def _outcome(notebook: Notebook, token: str | None, method: str, path: str) -> bool | int:
    if method == "WS":
        try:
            async with notebook.feed(token) as tab:
                await tab.next("hello")
            return True
        except websockets.InvalidStatus as refusal:
            return refusal.response.status_code
    place = path.removeprefix("/atelier").replace("{path}", "me")
    with notebook.client(token) as client:
        answer = client.request(method, place, content=b"{}" if method in {"POST", "PUT", "PATCH"} else None)
    assert answer.status_code < 500, answer.text
    return answer.status_code if answer.status_code in {401, 403} else True


@pytest.mark.parametrize("route", sorted(EXPECTED))
async def test_everybody_gets_what_the_file_says(notebook: Notebook, tokens: dict[str, str | None], route: str) -> None:
    method, _, path = route.partition(" ")
    found = [await _outcome(notebook, tokens[caller], method, path) for caller in CALLERS]
    assert found == EXPECTED[route]


def test_a_guest_has_files_and_kernels_and_is_told_why_no_more(
    notebook: Notebook, bob: httpx.Client, tokens: dict[str, str | None]
) -> None:
    headers = {"Authorization": f"token {tokens['guest']}"}
    assert httpx.get(f"{notebook.url}/api/contents", headers=headers).status_code == 200
    answer = bob.get("/info")
    assert answer.status_code == 403
    assert answer.json()["code"] == "not_the_owner" and "ada" in answer.json()["message"] and answer.json()["hint"]


def test_a_service_with_the_name_of_the_owner_is_not_the_owner() -> None:
    from types import SimpleNamespace

    from atelier_core.errors import Forbidden
    from atelier_server.access import check_owner

    check_owner(SimpleNamespace(hub_user={"kind": "user", "name": "ada"}), "ada")
    for model in ({"kind": "service", "name": "ada"}, {"kind": "user", "name": "Ada"}, {"name": "ada"}, {}):
        with pytest.raises(Forbidden):
            check_owner(SimpleNamespace(hub_user=model), "ada")
    with pytest.raises(Forbidden):
        check_owner(SimpleNamespace(hub_user={"kind": "user", "name": ""}), "")
    with pytest.raises(Forbidden):
        check_owner(SimpleNamespace(username="ada"), "ada")
