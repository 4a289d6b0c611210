"""Takes over what people's own MLflow clients did: models and versions that they registered, aliases that they set.

Everything is read with the account of the project's viewers: what a member wrote there leads to nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from atelier_core.dataset import MAX_FILES
from atelier_core.errors import BackendUnavailable, Invalid, NotFound, TooLarge
from atelier_core.registry import PRODUCTION, workspace_name
from atelier_hub.artifacts.store import ArtifactStore
from atelier_hub.artifacts.tars import Member
from atelier_hub.clients.mlflow import AWAY, Account, MlflowClient, model_of
from atelier_hub.db import Database, emit, now
from atelier_hub.features.projects import service as projects
from atelier_hub.features.registry import store
from atelier_hub.features.registry.accounts import MEMBER, VIEWER, Accounts
from atelier_hub.features.registry.folders import Folder, describe
from atelier_hub.features.registry.registering import TAG, Origin, insert_version, version_row
from atelier_hub.features.registry.store import (
    FAILED,
    IMPORTING,
    NO_ALIAS,
    READY,
    AliasRow,
    Named,
    NamedAlias,
    VersionRow,
    WorkspaceRow,
)

log = logging.getLogger(__name__)

EVERY = 1.0
_ACTIVE = 120.0  # seconds for which a project is looked at after somebody was there
_SHARE = 0.1  # of the time since then passes between two looks: many projects are active, few change
_BACK_OFF = 5.0
_NAMES = 255
NOBODY = "mlflow"  # where MLflow does not tell who it was


class Mirror:
    """Looks at the workspaces in which somebody is at work."""

    def __init__(
        self, db: Database, contents: ArtifactStore, client: MlflowClient, accounts: Accounts, limit: int
    ) -> None:
        self._db = db
        self._contents = contents
        self._client = client
        self._accounts = accounts
        self._limit = limit
        self._lock = threading.Lock()
        self._active: dict[str, float] = {}
        self._looked: dict[str, float] = {}
        self._new: set[str] = set()

    def notice(self, project: str) -> None:
        """Somebody is at work in this project."""
        with self._lock:
            self._active[project] = time.monotonic()

    def hear(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Make the accounts of a new project before somebody waits for them: MLflow's client waits three seconds.

        Where something happened to models, more is likely to follow.
        """
        for event in events:
            if event["kind"].startswith("model."):
                self.notice(event["project"])
            with self._lock:
                if event["kind"] == "project.created":
                    self._new.add(event["project"])
                elif event["kind"] == "project.deleted":
                    self._active.pop(event["subject"], None)
                    self._new.discard(event["subject"])

    async def run(self) -> None:
        """Look now and then, for as long as the control plane runs."""
        await asyncio.to_thread(self._look_around)
        while True:
            try:
                well = [await self._safely(what, work) for what, work in self._work()]
                pause = EVERY if all(well) else _BACK_OFF
            except BackendUnavailable:
                pause = _BACK_OFF
            await asyncio.sleep(pause)

    def _work(self) -> Iterator[tuple[str, Callable[[], object]]]:
        yield "What deleted projects left", self._accounts.remove_left
        yield "New projects", self._receive_new
        for project in self._due():
            self._looked[project] = time.monotonic()
            yield f"Project {project}", partial(self.refresh, project)

    @staticmethod
    async def _safely(what: str, work: Callable[[], object]) -> bool:
        """Whether it went well: what is wrong with one workspace keeps no other from being looked at."""
        try:
            await asyncio.to_thread(work)
        except BackendUnavailable as error:
            if error.code == AWAY:
                raise  # for all of them
            log.warning("%s could not be looked after at MLflow: %s", what, error)
        except Exception:
            log.exception("%s could not be looked after at MLflow", what)
        else:
            return True
        return False

    def _look_around(self) -> None:
        """At the start: projects without a workspace, and versions whose content is not here yet."""
        with self._db.read() as session:
            there = set(session.scalars(select(WorkspaceRow.name)))
            self._new |= {name for name in projects.names(session) if workspace_name(name) not in there}
            rows = session.scalars(select(VersionRow.project).where(VersionRow.state == IMPORTING).distinct())
            for project in rows:
                self.notice(project)

    def _receive_new(self) -> None:
        """Make the accounts of projects that have none yet."""
        with self._lock:
            waiting = sorted(self._new)
        for project in waiting:
            for level in (MEMBER, VIEWER):
                self._accounts.ready(project, level)
            with self._lock:
                self._new.discard(project)

    def _due(self) -> list[str]:
        """The active projects that were not looked at for long enough."""
        moment = time.monotonic()
        with self._lock:
            self._active = {project: at for project, at in self._active.items() if at > moment - _ACTIVE}
            active = dict(self._active)
        self._looked = {project: at for project, at in self._looked.items() if project in active}
        return sorted(
            project
            for project, at in active.items()
            if moment - self._looked.get(project, -math.inf) >= _SHARE * (moment - at)
        )

    def refresh(self, project: str) -> None:
        """Take over what is new at MLflow. Blocking."""
        account = self._accounts.ready(project, VIEWER)
        with self._db.read() as session:
            before = store.named(session, project)
        found = list(self._client.models(account))
        versions = list(self._client.versions(account))
        for version in versions:
            if self._is_new(project, version, before):
                self._add(project, account, version)
        for model in found:
            self._take_aliases(project, model, before)
        self._import(project, account)

    def _is_new(self, project: str, version: Mapping[str, Any], before: Named) -> bool:
        if len(version["name"]) > _NAMES or version.get("status", "READY") != "READY":
            return False
        if (version["name"], int(version["version"])) in before.versions:
            return False  # known, or deleted since
        marked = {tag["key"] for tag in version.get("tags", [])}
        if f"{TAG}manifest" in marked and time.time() * 1000 - float(version["creation_timestamp"]) < 60_000:
            return False  # being registered by Atelier just now
        with self._db.read() as session:
            return store.one_version(session, project, version["name"], int(version["version"])) is None

    def _add(self, project: str, account: Account, version: Mapping[str, Any]) -> None:
        origin = self._origin(account, version)
        row = version_row(project, version["name"], int(version["version"]), Folder((), ""), origin)
        row.state, row.note = IMPORTING, str(version.get("description", ""))[:2000]
        row.mlflow_model, row.created_by = model_of(version)[:64], _who(version)
        try:
            with self._db.write() as session:
                insert_version(session, row.created_by, row, ())
        except IntegrityError:
            return  # another replica was quicker, or the project is gone

    def _origin(self, account: Account, version: Mapping[str, Any]) -> Origin:
        """What MLflow knows of where the version comes from."""
        run = str(version.get("run_id", ""))
        metrics: dict[str, float] = {}
        parameters: dict[str, Any] = {}
        tags: dict[str, str] = {}
        for data in self._described(account, run, model_of(version)):
            metrics |= {one["key"]: float(one["value"]) for one in data.get("metrics", [])}
            parameters |= {one["key"]: one["value"] for one in data.get("params", [])}
            tags |= {one["key"]: one.get("value", "") for one in data.get("tags", [])}
        return Origin(
            run=tags.get(f"{TAG}run", "")[:20],
            pipeline=tags.get(f"{TAG}pipeline", "")[:_NAMES],
            revision=tags.get(f"{TAG}revision", "")[:40],
            snapshot=tags.get(f"{TAG}snapshot", "")[:80],
            datasets=tuple(tags.get(f"{TAG}datasets", "").split()),
            metrics={key: value for key, value in metrics.items() if math.isfinite(value)},
            parameters=parameters,
            mlflow_run=run[:64],
        )

    def _described(self, account: Account, run: str, model: str) -> Iterator[Mapping[str, Any]]:
        try:
            if run:
                yield self._client.run(account, run).get("data", {})
            if model:
                yield self._client.logged_model(account, model).get("data", {})
        except NotFound:
            return

    def _take_aliases(self, project: str, model: Mapping[str, Any], before: Named) -> None:
        name = model["name"]
        notes = _tags_of(model)
        there = {one["alias"]: int(one["version"]) for one in model.get("aliases", []) if len(one["alias"]) <= _NAMES}
        here = before.aliases.get(name, {})
        for alias in sorted((there.keys() | here.keys()) - {PRODUCTION}):  # which only Atelier sets
            was, number = here.get(alias, NO_ALIAS), there.get(alias)
            if was.number != number:
                who = _who_named(notes.get(f"{TAG}alias.{alias}", ""), number)
                row = AliasRow(project=project, model=name, alias=alias, set_by=who)
                with self._db.write() as session:
                    self._take_alias(session, row, number, was)

    @staticmethod
    def _take_alias(session: Session, given: AliasRow, number: int | None, was: NamedAlias) -> None:
        project, name, alias = given.project, given.model, given.alias
        row = session.get(AliasRow, (project, name, alias), with_for_update=True)
        if (NamedAlias(row.number, row.set_at) if row is not None else NO_ALIAS) != was:
            return  # changed here since: newer than what MLflow said
        if number is None:
            session.delete(row)
        elif store.one_version(session, project, name, number) is None:
            return  # not taken over yet
        else:
            given.number, given.set_at = number, now()
            session.merge(given)
        kind = "model.alias_removed" if number is None else "model.alias_set"
        data = {"alias": alias, "version": number or was.number}
        emit(session, kind, subject=name, project=project, actor=given.set_by if number is not None else "", data=data)

    # --- contents ---

    def _import(self, project: str, account: Account) -> None:
        """Store the contents of versions that are only at MLflow so far."""
        with self._db.read() as session:
            query = select(VersionRow).where(VersionRow.project == project, VersionRow.state == IMPORTING)
            rows = list(session.scalars(query))
        for row in rows:
            try:
                folder = describe(self._contents, list(self._fetch(account, row)))
            except (Invalid, NotFound, TooLarge) as error:
                self._finish(row, FAILED, error.message, None)
            else:
                self._finish(row, READY, "", folder)

    def _fetch(self, account: Account, row: VersionRow) -> Iterator[Member]:
        place = self._client.version_place(account, row.model, row.number)
        total = count = 0
        for path, size in self._walk(account, place, ""):
            total, count = total + size, count + 1
            if total > self._limit or count > MAX_FILES:
                raise Invalid(
                    f"It is larger than {self._limit / 1024**3:,.0f} GiB, or has more than {MAX_FILES:,} files."
                )
            with self._client.download(account, f"{place}/{path}") as pieces:
                stored = self._contents.put_sync(pieces, self._limit)
            yield Member(path, stored.size, stored.digest)

    def _walk(self, account: Account, place: str, below: str) -> Iterator[tuple[str, int]]:
        for entry in self._client.list_artifacts(account, f"{place}/{below}".rstrip("/")):
            path = f"{below}/{entry['path'].rsplit('/', 1)[-1]}".lstrip("/")
            if entry.get("is_dir"):
                yield from self._walk(account, place, path)
            else:
                yield path, int(entry.get("file_size") or 0)

    def _finish(self, row: VersionRow, state: str, message: str, folder: Folder | None) -> None:
        with self._db.write() as session:
            fresh = session.get(VersionRow, row.id, with_for_update=True)
            if fresh is None or fresh.state != IMPORTING:
                return
            fresh.state, fresh.message = state, message
            if folder is not None:
                fresh.manifest, fresh.files, fresh.size = folder.manifest, len(folder.files), folder.size
                fresh.framework, fresh.flavors = folder.framework, list(folder.flavors)
                fresh.signature = dict(folder.signature)
                store.add_files(session, row.id, folder.files)
            data = {"version": row.number, "state": state}
            emit(session, "model.version_imported", subject=row.model, project=row.project, data=data)


def _tags_of(thing: Mapping[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag.get("value", "") for tag in thing.get("tags", [])}


def _who(version: Mapping[str, Any]) -> str:
    """Who registered it: MLflow's server marks versions with whom the gateway let in, and lets nobody else do that."""
    return (_tags_of(version).get(f"{TAG}registered_by") or NOBODY)[:_NAMES]


def _who_named(note: str, number: int | None) -> str:
    """Who let an alias mean this version, if that is what the note beside it is about."""
    version, _, actor = note.partition(" ")
    return (actor if version == str(number) and actor else NOBODY)[:_NAMES]
