"""Storing revisions and runs: what takes long is done while others may write, and the same call twice is one run."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from atelier_core.image import Image
from atelier_hub.auth import Actor
from atelier_hub.db import emit
from atelier_hub.features.pipelines import service
from atelier_hub.features.pipelines.offer import Offer
from atelier_hub.features.pipelines.reconcile import Runs
from atelier_hub.features.pipelines.service import NewRun
from atelier_sdk import Client, snapshot
from tests.atelier_hub.conftest import Person
from tests.atelier_hub.server import Server
from tests.harness.control_plane import pipeline

NewPerson = Callable[..., Person]


@pytest.fixture
def owner(person: NewPerson) -> Person:
    someone = person()
    someone.http.get("/me").raise_for_status()
    return someone


@pytest.fixture
def revision(server: Server, owner: Person, tmp_path: Path) -> str:
    """A stored pipeline of one step."""
    client = Client(server.url.removesuffix("/api"), owner.token)
    (tmp_path / "step.py").write_text("print('here')\n")
    document = pipeline({"step": {"file": "step.py", "image": "python"}})
    (tmp_path / "test.pipeline").write_text(json.dumps(document))
    with snapshot.pack(tmp_path) as packed:
        client.snapshots.upload(owner.name, packed)
        made = client.revisions.create(owner.name, path="test.pipeline", document=document, snapshot=packed.digest)
    return made.id


def _can_write(server: Server) -> bool:
    """Whether somebody else gets to write now."""
    done = threading.Event()

    def write() -> None:
        with server.context.db.write() as session:
            emit(session, "thing.made", subject="meanwhile")
        done.set()

    threading.Thread(target=write, daemon=True).start()
    return done.wait(5)


class Images(dict[str, Image]):
    """The images of an offer; each look at them finds out whether somebody else gets to write now."""

    def __init__(self, server: Server) -> None:
        super().__init__(server.context.get(Offer).images)
        self._server = server
        self.tries: list[bool] = []

    def _try(self) -> None:
        self.tries.append(_can_write(self._server))

    def __contains__(self, name: object) -> bool:
        self._try()
        return super().__contains__(name)

    def __getitem__(self, name: str) -> Image:
        self._try()
        return super().__getitem__(name)

    def get(self, *args: Any) -> Any:
        self._try()
        return super().get(*args)


def test_others_write_while_a_run_is_compiled(server: Server, owner: Person, revision: str) -> None:
    images = Images(server)
    offer = replace(server.context.get(Offer), images=images)
    runs, actor = server.context.get(Runs), Actor(owner.name)
    run, touched = service.submit(server.context.db, offer, runs, actor, owner.name, NewRun(revision, {}, ""))
    assert images.tries
    assert all(images.tries)
    assert touched == [f"{run.id}-step-1"]


def test_others_write_while_a_document_is_checked(server: Server, owner: Person, revision: str) -> None:
    images = Images(server)
    offer, db = replace(server.context.get(Offer), images=images), server.context.db
    with db.read() as session:
        known = service.get_revision(session, owner.name, revision)
    made = service.create_revision(db, offer, Actor(owner.name), owner.name, known.path, known.document, known.snapshot)
    assert made.id != revision
    assert images.tries
    assert all(images.tries)


def test_the_same_key_at_once_is_one_run(server: Server, owner: Person, revision: str) -> None:
    body = {"revision": revision, "idempotency_key": "once"}

    def post(_: int) -> tuple[int, str]:
        answer = owner.http.post(f"/projects/{owner.name}/runs", json=body)
        return answer.status_code, answer.json().get("id", answer.text)

    with ThreadPoolExecutor(8) as threads:
        answers = set(threads.map(post, range(16)))
    assert len(answers) == 1, answers
    assert {status for status, _ in answers} == {201}
