"""What nothing refers to leaves the store; what something refers to, or what just came, stays."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from atelier_core.errors import Invalid
from atelier_hub.artifacts.store import ArtifactStore
from atelier_hub.artifacts.sweep import AGE, Sweep
from atelier_hub.auth import Actor
from atelier_hub.db import Base, Database, now
from atelier_hub.db.migrate import migrate
from atelier_hub.features.pipelines import service
from atelier_hub.features.pipelines.offer import Offer
from atelier_hub.features.pipelines.store import RevisionRow, SnapshotRow
from atelier_hub.features.projects.store import ProjectRow
from tests.atelier_hub.conftest import Person
from tests.atelier_hub.server import Server
from tests.harness.control_plane import pipeline

Sweeping = tuple[Sweep, ArtifactStore, Database]


@pytest.fixture
def sweeping(db: Database, tmp_path: Path) -> Sweeping:
    """A store on a disk, and who sweeps it."""
    store = ArtifactStore(f"file://{tmp_path}/store")
    return Sweep(db, store), store, db


def _put(store: ArtifactStore, data: bytes, *, old: bool = True) -> str:
    digest = store.put_sync([data]).digest
    if old:
        _age(store.path(digest))
    return digest


def _age(path: str) -> None:
    long_ago = time.time() - AGE - 60
    os.utime(path, (long_ago, long_ago))


def _use(db: Database, digest: str) -> None:
    """Let a snapshot of a project be this content."""
    with db.write() as session:
        if session.get(ProjectRow, "ada") is None:
            session.add(ProjectRow(name="ada", created_by="ada"))
            session.flush()
        session.add(SnapshotRow(project="ada", digest=digest, blob=digest, size=1, files=[], created_by="ada"))


def test_only_what_is_old_and_unused_goes(sweeping: Sweeping) -> None:
    sweep, store, db = sweeping
    used, unused, young = _put(store, b"used"), _put(store, b"unused"), _put(store, b"young", old=False)
    _use(db, used)
    assert sweep.sweep() == 1
    assert [store.exists(one) for one in (used, unused, young)] == [True, False, True]
    assert sweep.sweep() == 0


def test_more_than_one_question_is_asked(sweeping: Sweeping) -> None:
    sweep, store, db = sweeping
    digests = [_put(store, str(number).encode()) for number in range(1100)]
    for digest in digests[::100]:
        _use(db, digest)
    assert sweep.sweep() == 1100 - 11
    assert all(store.exists(digest) for digest in digests[::100])


def test_keepers_and_every_column_count(sweeping: Sweeping) -> None:
    sweep, store, _ = sweeping
    kept, gone = _put(store, b"kept"), _put(store, b"gone")
    sweep.keepers.append(lambda session, digests: digests & {kept})
    assert sweep.sweep() == 1 and store.exists(kept) and not store.exists(gone)
    columns = {f"{table.name}.{column.name}" for table in Base.metadata.tables.values() for column in table.c}
    assert {"snapshots.blob", "artifacts.digest"} <= columns  # what a feature calls otherwise needs a keeper


def test_an_upload_whose_process_died_goes_and_one_that_goes_on_stays(sweeping: Sweeping) -> None:
    sweep, store, _ = sweeping
    dead, alive = store.upload(), store.upload()
    for upload in (dead, alive):
        upload.write(b"part")
        upload._file.flush()
    _age(dead._temporary)
    sweep.sweep()
    assert not os.path.exists(dead._temporary)
    assert store.exists(alive.finish().digest)


def test_what_is_stored_again_while_it_is_swept_stays(sweeping: Sweeping) -> None:
    """Between the question who needs it and the removal, somebody stores the same content and refers to it."""
    sweep, store, _ = sweeping
    digest = _put(store, b"content")

    def somebody(session: object, digests: frozenset[str]) -> set[str]:
        assert digests == {digest}
        assert store.put_sync([b"content"]).digest == digest
        return set()

    sweep.keepers.append(somebody)
    assert sweep.sweep() == 0
    assert b"".join(store.read(digest)) == b"content"


class Killed(BaseException):
    """As if the power went."""


@pytest.mark.parametrize("used", [False, True])
def test_cut_short_at_any_step(sweeping: Sweeping, monkeypatch: pytest.MonkeyPatch, used: bool) -> None:
    sweep, store, db = sweeping
    digest = _put(store, b"content")

    def killed(*_: object, **__: object) -> bool:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(sweep, "_decide", killed)
        with pytest.raises(Killed):
            sweep.sweep()
    assert not store.exists(digest)  # set aside, and then the power went
    if used:
        _use(db, digest)
    sweep.sweep()
    assert store.exists(digest) is used
    assert list(Path(store.root, "trash").iterdir()) == []


def test_a_database_that_was_named_by_mistake_costs_nothing(
    sweeping: Sweeping, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sweep, store, db = sweeping
    used = _put(store, b"used")
    _use(db, used)
    assert sweep.sweep() == 0  # from now on they know each other
    empty = Database(f"sqlite:///{tmp_path}/empty.sqlite")
    try:
        migrate(empty)
        assert Sweep(empty, store).sweep() == 0
        assert store.exists(used) and "belongs to another database" in caplog.text
    finally:
        empty.close()
    gone = _put(store, b"gone")
    assert Sweep(db, store).sweep() == 1 and not store.exists(gone)


def test_objects_elsewhere_are_swept_too(db: Database) -> None:
    store = ArtifactStore("memory://sweep")
    try:
        kept, gone = store.put_sync([b"kept"]).digest, store.put_sync([b"gone"]).digest
        _use(db, kept)
        assert Sweep(db, store).sweep() == 0
        assert Sweep(db, store, age=-1).sweep() == 1
        assert store.exists(kept) and not store.exists(gone)
    finally:
        store.fs.rm(store.root, recursive=True)


def test_one_process_sweeps(sweeping: Sweeping) -> None:
    sweep, store, db = sweeping
    other = Sweep(db, store)
    assert [sweep._is_my_turn(), other._is_my_turn(), sweep._is_my_turn()] == [True, False, True]


def _archive(names: list[str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name))
    return packed.getvalue()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (_archive(["a.py"]) + b"x", _digest(b"something else")),
        (b"no archive", _digest(b"no archive")),
        (_archive(["../out"]), _digest(_archive(["../out"]))),
    ],
    ids=["digest", "archive", "path"],
)
def test_a_refused_snapshot_does_not_stay(
    server: Server, person: Callable[..., Person], data: bytes, digest: str
) -> None:
    owner, store = person(), server.context.store
    before = store.fs.find(store.root)
    answer = owner.http.put(f"/projects/{owner.name}/snapshots/{digest}", content=data)
    assert answer.status_code == 422 and answer.json()["hint"]
    assert store.fs.find(store.root) == before and not store.exists(_digest(data))


def test_snapshots_that_no_revision_used_are_forgotten(server: Server, person: Callable[..., Person]) -> None:
    owner, ctx = person(), server.context
    project = owner.name
    sweep = ctx.get(Sweep)
    archives = {name: _archive([f"{project}-{name}.py"]) for name in ("used", "unused", "renewed")}
    digests = {name: _digest(data) for name, data in archives.items()}

    def put(name: str) -> None:
        sent = owner.http.put(f"/projects/{project}/snapshots/{digests[name]}", content=archives[name])
        assert sent.status_code == 200, sent.text

    for name in archives:
        put(name)
    with ctx.db.write() as session:
        revision = RevisionRow(id=f"v{project}", project=project, name="p", path="p", document={}, created_by=project)
        revision.snapshot = digests["used"]
        session.add(revision)
        for digest in digests.values():
            row = session.get(SnapshotRow, (project, digest))
            assert row is not None
            row.created_at = now().replace(year=2020)
    for digest in digests.values():
        _age(ctx.store.path(digest))
    put("renewed")  # somebody is about to use it
    sweep.sweep()
    assert {name: ctx.store.exists(digest) for name, digest in digests.items()} == {
        "used": True,
        "unused": False,
        "renewed": True,
    }
    assert owner.http.head(f"/projects/{project}/snapshots/{digests['unused']}").status_code == 404
    put("unused")  # and comes back as if it were new
    template = next(iter(ctx.get(Offer).code))
    _age(ctx.store.path(template))
    sweep.sweep()
    assert ctx.store.exists(template), "templates' code is needed though no row names it"


def test_a_snapshot_that_is_about_to_be_used_is_not_forgotten(server: Server, person: Callable[..., Person]) -> None:
    """It was checked, then swept, then the revision was to be stored: refused, or there would be one without files."""
    owner, ctx = person(), server.context
    data = _archive([f"{owner.name}.py"])
    digest = _digest(data)
    owner.http.put(f"/projects/{owner.name}/snapshots/{digest}", content=data).raise_for_status()

    class Slow(Database):
        """A database where a sweep comes between the check and the revision."""

        @contextmanager
        def write(self) -> Iterator[Session]:
            with ctx.db.write() as session:
                session.delete(session.get_one(SnapshotRow, (owner.name, digest)))
            with ctx.db.write() as session:
                yield session

    slow = Slow(str(ctx.db.url.render_as_string(hide_password=False)))
    document = pipeline({"only": {"file": f"{owner.name}.py", "image": "python"}})
    actor = Actor(owner.name)
    try:
        with pytest.raises(Invalid) as refused:
            service.create_revision(slow, ctx.get(Offer), actor, owner.name, "my.pipeline", document, digest)
    finally:
        slow.close()
    assert refused.value.code == "unknown_snapshot"
    assert owner.http.get(f"/projects/{owner.name}/revisions").json()["items"] == []
