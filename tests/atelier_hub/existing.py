"""A project in which everything exists that a request can name, on a back end that never opens: nothing runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from atelier_hub.engine import store
from atelier_hub.engine.tokens import AttemptTokens
from atelier_sdk import Client
from tests.atelier_hub.server import Server
from tests.harness.control_plane import pipeline, submit

# Its attempts stay queued, which is alive: their shims are answered.
AWAY: dict[str, Any] = {"backends": {"away": {"type": "kubernetes", "kubeconfig": "/nonexistent/kubeconfig"}}}


def tokens_of(server: Server, run: str) -> dict[str, str]:
    """The token of each attempt of a run, as its shim is given it."""
    with server.context.db.read() as session:
        found = store.attempts_of(session, run, "only")
    tokens = AttemptTokens(server.context.keyring.derive("attempt tokens"))
    return {one.id: tokens.token(one.id, one.nonce) for one in found}


def start_run(client: Client, project: str, folder: Path) -> str:
    """A run of one step, which has a file and values."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.py").write_text("pass")
    return submit(client, project, folder, pipeline({"only": {"file": "a.py", "image": "python"}}))


class Existing:
    """`names` says what there is, by the path parameters that name it; `person` and `token` are what its owner and its
    attempt sign in with."""

    def __init__(self, server: Server, project: str, person: str, folder: Path) -> None:
        self.person = person
        with Client(server.url.removesuffix("/api"), person) as client:
            self.names: dict[str, Any] = {"project": project, "step": "only", "replica": "main-0", "kind": "user"}
            self.names["run"] = start_run(client, project, folder / "code")
            self.names["revision"] = client.runs.get(project, self.names["run"]).revision
            self._add_attempt(server)
            self._add_dataset(client, folder / "rows")
            self._add_service(client)
            self._add_secret(server, person)

    def _add_attempt(self, server: Server) -> None:
        ((attempt, self.token),) = tokens_of(server, self.names["run"]).items()
        self.names["attempt"] = attempt
        with server.client(self.token) as shim:
            stored = shim.put(f"/attempts/{attempt}/outputs/left", content=b"left").raise_for_status()
        self.names["artifact"] = stored.json()["artifact"]

    def _add_dataset(self, client: Client, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "t.csv").write_text("x,y\n1,2\n")
        client.datasets.create(self.names["project"], "rows")
        client.datasets.add(self.names["project"], "rows", folder)
        self.names |= {"dataset": "rows", "version": "1"}

    def _add_service(self, client: Client) -> None:
        definition = {"name": "web", "image": "python", "command": ["python", "-c", "pass"]}
        client.services.deploy(self.names["project"], definition)
        self.names["service"] = "web"

    def _add_secret(self, server: Server, person: str) -> None:
        with server.client(person) as http:
            place = f"/projects/{self.names['project']}/secrets"
            http.post(place, json={"name": "KEY", "value": "hidden"}).raise_for_status()
        self.names["name"] = "KEY"
