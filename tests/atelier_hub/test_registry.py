"""The registry's own tables on both databases, without MLflow: contents, aliases, approvals, guards."""

from __future__ import annotations

import asyncio
import contextlib
import io
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from atelier_core.errors import BackendUnavailable, Conflict, Invalid, NotFound
from atelier_hub.artifacts.store import ArtifactStore
from atelier_hub.artifacts.sweep import Sweep
from atelier_hub.artifacts.tars import Member
from atelier_hub.auth import Actor
from atelier_hub.clients.mlflow import REFUSED, Account, MlflowClient
from atelier_hub.db import Database
from atelier_hub.features.registry import mirror as mirroring
from atelier_hub.features.registry import service
from atelier_hub.features.registry.accounts import Accounts
from atelier_hub.features.registry.folders import describe, unpack
from atelier_hub.features.registry.mirror import Mirror
from atelier_hub.features.registry.registering import Origin, insert_version, version_row
from atelier_hub.features.registry.service import Uses
from atelier_hub.http.paging import Paging

ANNA = Actor("anna")
MLMODEL = b"""
flavors: {sklearn: {pickled_model: model.pkl}, python_function: {}}
signature:
  inputs: '[{"type": "double", "name": "a"}]'
  outputs: '[{"type": "long"}]'
"""


@pytest.fixture
def contents(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(f"file://{tmp_path}/store")


def folder(contents: ArtifactStore, model: bytes = b"one", **files: bytes) -> list[Member]:
    """A model folder whose contents are stored."""
    all_files = {"MLmodel": MLMODEL, "model.pkl": model, **files}
    return [Member(path, len(data), contents.put_sync([data]).digest) for path, data in all_files.items()]


@pytest.fixture
def versions(db: Database, contents: ArtifactStore) -> Database:
    """A model `net` with two versions in the project `anna`, and the same name in another project."""
    moment = "2026-01-01 00:00:00.000000"
    with db.write() as session:
        for project in ("anna", "ben"):
            session.execute(
                text(
                    "INSERT INTO projects (name, description, personal, default_backend, settings, created_at,"
                    " created_by, version) VALUES (:name, '', :yes, '', '{}', :moment, :name, 1)"
                ),
                {"name": project, "moment": moment, "yes": True},
            )
        for project, number in (("anna", 1), ("anna", 2), ("ben", 1)):
            found = describe(contents, folder(contents, f"{project} {number}".encode()))
            row = version_row(project, "net", number, found, Origin(run="r1", metrics={"loss": number / 10}))
            row.created_by = project
            insert_version(session, project, row, found.files)
    return db


def test_content_is_what_was_stored(versions: Database, contents: ArtifactStore) -> None:
    with versions.write() as session:
        service.set_alias(session, ANNA, "anna", "net", "best", 1)
    with versions.read() as session:
        found = service.content(session, "anna", "models:/net@best")
        newest = service.content(session, "anna", "models:/net/latest")
        other = service.content(session, "ben", "models:/net/1")
    assert (found.number, newest.number, found.framework, found.approved) == (1, 2, "sklearn", False)
    assert found.reference == "models:/net/1" and found.signature["inputs"] == [{"type": "double", "name": "a"}]
    assert found.manifest != other.manifest
    data = b"".join(found.folder.read(contents))
    assert len(data) == found.folder.size
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert {member.name for member in tar} == {"MLmodel", "model.pkl"}
        assert tar.extractfile("model.pkl").read() == b"anna 1"  # type: ignore[union-attr]


def test_the_sweep_leaves_what_versions_hold(versions: Database, contents: ArtifactStore) -> None:
    with versions.read() as session:
        held = [one.digest for one in service.content(session, "anna", "models:/net/1").files]
    loose = contents.put_sync([b"nobody's"]).digest
    Sweep(versions, contents, age=-1).sweep()
    assert all(contents.exists(digest) for digest in held) and not contents.exists(loose)


def test_names_lead_nowhere_else(versions: Database) -> None:
    with versions.read() as session:
        for reference in ("models:/net/3", "models:/other/1", "models:/net@best"):
            with pytest.raises(NotFound):
                service.content(session, "anna", reference)
        with pytest.raises(NotFound):
            service.content(session, "ben", "models:/net/2")
        with pytest.raises(Invalid):
            service.content(session, "anna", "net")
        assert [one.name for one in service.page(session, "anna", "NE", Paging()).items] == ["net"]
        assert not service.page(session, "anna", "zzz", Paging()).items


def test_only_approved_versions_are_for_production(versions: Database) -> None:
    with versions.write() as session:
        with pytest.raises(Conflict, match="not approved"):
            service.set_alias(session, ANNA, "anna", "net", "production", 1)
        detail = service.approve(session, ANNA, "anna", "net", 1, "good")
        assert detail.approval is not None and detail.approval.approved_by == "anna"
        service.set_alias(session, ANNA, "anna", "net", "production", 1)
        with pytest.raises(Conflict, match="called 'production'"):
            service.revoke(session, ANNA, "anna", "net", 1)
        service.remove_alias(session, ANNA, "anna", "net", "production")
        assert service.revoke(session, ANNA, "anna", "net", 1).approval is None


def test_what_is_served_stays(versions: Database) -> None:
    def guard(_session: Any, project: str, model: str, number: int | None) -> Uses:
        used = project == "anna" and model == "net" and number in (None, 1)
        return Uses(running=["the service digits"] if used else [], past=["the stopped service old"])

    def remove(number: int, force: bool) -> None:
        with versions.write() as session:
            service.delete_version(session, ANNA, "anna", "net", number, force=force, guards=[guard])

    with pytest.raises(Conflict, match="is used by the service digits") as running:
        remove(1, True)
    assert running.value.code == "in_use"
    with pytest.raises(Conflict, match="the stopped service old") as past:
        remove(2, False)
    assert past.value.code == "was_used"
    remove(2, True)
    with versions.write() as session:
        assert service.get(session, "anna", "net").newest.number == 1  # type: ignore[union-attr]
        with pytest.raises(Conflict, match="is used by the service digits"):
            service.delete_model(session, ANNA, "anna", "net", expected="*", force=True, guards=[guard])
        service.delete_model(session, ANNA, "anna", "net", expected="*", force=True, guards=[])
    with versions.read() as session:
        assert session.execute(text("SELECT count(*) FROM model_files")).scalar_one() == 2, "only ben's is left"
        with pytest.raises(NotFound):
            service.get(session, "anna", "net")


def test_compare(versions: Database) -> None:
    with versions.read() as session:
        found = service.compare(session, "anna", "net", [2, 1])
    assert [one.metrics for one in found.versions] == [{"loss": 0.2}, {"loss": 0.1}] and found.metrics == ["loss"]


def _tar(entries: dict[str, bytes | str]) -> bytes:
    """A tar of files (bytes) and links (text)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in entries.items():
            info = tarfile.TarInfo(name)
            if isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
                tar.addfile(info)
            else:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def test_a_tar_becomes_contents(contents: ArtifactStore) -> None:
    stored = contents.put_sync([_tar({"./MLmodel": MLMODEL, "data/x.csv": b"a\n1\n"})])
    found = describe(contents, unpack(contents, stored.digest, "folder", "model"))
    assert [one.path for one in found.files] == ["MLmodel", "data/x.csv"] and found.flavors == (
        "python_function",
        "sklearn",
    )
    bare = contents.put_sync([b"onnx"])
    assert describe(contents, unpack(contents, bare.digest, "file", "net.onnx")).framework == "onnx"


@pytest.mark.parametrize(
    "entries",
    [
        {"MLmodel": MLMODEL, "link": "/etc/passwd"},
        {"MLmodel": MLMODEL, "../evil": b"x"},
        {"MLmodel": b"flavors: ["},
        {"MLmodel": b"flavors: 3"},
        {"MLmodel": b"\xff\xfe\x00"},
        {"readme.md": b"x"},
        {},
    ],
)
def test_what_is_no_model_folder(contents: ArtifactStore, entries: dict[str, bytes | str]) -> None:
    stored = contents.put_sync([_tar(entries)])
    with pytest.raises(Invalid) as refused:
        describe(contents, unpack(contents, stored.digest, "folder", "model"))
    assert refused.value.hint


def test_a_tar_that_was_cut(contents: ArtifactStore) -> None:
    stored = contents.put_sync([_tar({"MLmodel": MLMODEL * 100})[:3000]])
    with pytest.raises(Invalid):
        unpack(contents, stored.digest, "folder", "model")


class TornMirror(Mirror):
    """Two workspaces cannot be looked at: what is in one is refused, what is in the other nobody expected."""

    def refresh(self, project: str) -> None:
        """Say which were looked at."""
        if project == "anna":
            raise ValueError("unexpected")
        if project == "ben":
            raise BackendUnavailable("MLflow refused it.", code=REFUSED)
        self.loop.call_soon_threadsafe(self.seen.set)

    loop: asyncio.AbstractEventLoop
    seen: asyncio.Event


class TornAccounts(Accounts):
    """What a deleted project left does not go away."""

    def remove_left(self) -> int:
        """Refused."""
        raise BackendUnavailable("MLflow refused it.", code=REFUSED)


async def test_one_workspace_keeps_no_other_from_being_looked_at(db: Database, contents: ArtifactStore) -> None:
    client = MlflowClient("", "")
    mirror = TornMirror(db, contents, client, TornAccounts(client, db, b"key"), 1024)
    mirror.loop, mirror.seen = asyncio.get_running_loop(), asyncio.Event()
    for project in ("anna", "ben", "zoe"):
        mirror.notice(project)
    running = asyncio.create_task(mirror.run())
    try:
        async with asyncio.timeout(20):
            await mirror.seen.wait()
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        client.close()


class CountingMirror(Mirror):
    """Counts how often each project is looked at."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.looks: Counter[str] = Counter()

    def refresh(self, project: str) -> None:
        """Counted."""
        self.looks[project] += 1


async def test_a_project_is_looked_at_less_the_longer_nothing_happens(
    db: Database, contents: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = [1000.0]
    monkeypatch.setattr(mirroring, "time", SimpleNamespace(monotonic=lambda: moment[0]))
    client = MlflowClient("", "")
    mirror = CountingMirror(db, contents, client, TornAccounts(client, db, b"key"), 1024)
    for project in ("busy", "quiet"):
        mirror.notice(project)
    while moment[0] < 1200:  # a round a second, as `run` does them
        for _, work in mirror._work():
            if getattr(work, "func", None) == mirror.refresh:
                work()
        moment[0] += 1
        mirror.hear([{"kind": "model.created", "project": "busy", "subject": "net"}])
    assert mirror.looks["busy"] == 200
    assert 30 <= mirror.looks["quiet"] <= 40  # of 120 seconds, after which nobody is there
    client.close()


class LateClient(MlflowClient):
    """MLflow whose answers arrive after something else happened: `meanwhile` runs once both were given."""

    meanwhile: Callable[[], None]

    def models(self, account: Account) -> Iterator[dict[str, Any]]:
        """One model, as it was before."""
        return iter(
            [{"name": "net", "aliases": [{"alias": "kept", "version": "1"}, {"alias": "gone", "version": "1"}]}]
        )

    def versions(self, account: Account, filter_text: str = "") -> Iterator[dict[str, Any]]:
        """Its two versions, as they were before."""
        found = [{"name": "net", "version": number, "creation_timestamp": 0} for number in ("1", "2")]
        self.meanwhile()
        return iter(found)


class KnownAccounts(Accounts):
    """Every project has its account."""

    def ready(self, project: str, level: str) -> Account:
        """That of the project's viewers."""
        return Account(project, project, "secret")


def test_what_mlflow_said_before_undoes_nothing(versions: Database, contents: ArtifactStore) -> None:
    with versions.write() as session:
        for alias in ("kept", "gone"):
            service.set_alias(session, ANNA, "anna", "net", alias, 1)

    def meanwhile() -> None:
        with versions.write() as session:
            service.set_alias(session, ANNA, "anna", "net", "new", 1)
            service.set_alias(session, ANNA, "anna", "net", "kept", 1)
            service.remove_alias(session, ANNA, "anna", "net", "gone")
            service.delete_version(session, ANNA, "anna", "net", 2, force=True, guards=[])

    client = LateClient("", "")
    client.meanwhile = meanwhile
    Mirror(versions, contents, client, KnownAccounts(client, versions, b"key"), 1024).refresh("anna")
    client.close()
    with versions.read() as session:
        model = service.get(session, "anna", "net")
        numbers = [one.number for one in service.version_page(session, "anna", "net", Paging()).items]
    assert (model.aliases, numbers) == ({"kept": 1, "new": 1}, [1])


@pytest.mark.parametrize(
    ("inputs", "kept"),
    [
        (r'[{"name": "\ud800", "default": NaN}]', [{"name": "\ufffd", "default": None}]),
        ("[" * 300 + "]" * 300, None),
    ],
    ids=["replaced", "nested"],
)
def test_a_signature_can_be_given_back(contents: ArtifactStore, inputs: str, kept: Any) -> None:
    description = f"flavors: {{sklearn: {{}}}}\nsignature:\n  inputs: '{inputs}'\n".encode()
    stored = contents.put_sync([_tar({"MLmodel": description, "model.pkl": b"x"})])
    found = describe(contents, unpack(contents, stored.digest, "folder", "model"))
    assert found.signature == {"inputs": kept, "outputs": None, "params": None}
