"""What people do with pipelines: store revisions, start runs, follow and cancel them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from atelier_core.dataset import DatasetReference
from atelier_core.errors import Invalid, NotFound
from atelier_core.pipeline import compile as compiler
from atelier_core.pipeline.compile import RunContext
from atelier_core.pipeline.document import InvalidPipeline, Problem, parse
from atelier_core.pipeline.plan import Plan
from atelier_core.pipeline.run import CancelRequested, RunState, new_run
from atelier_core.states import State
from atelier_hub.auth import Actor
from atelier_hub.db import Database, emit, now
from atelier_hub.features.datasets import service as datasets
from atelier_hub.features.pipelines import store
from atelier_hub.features.pipelines.offer import Offer
from atelier_hub.features.pipelines.reconcile import Runs
from atelier_hub.features.pipelines.store import RevisionRow, RunRow, SnapshotRow, StepRow
from atelier_hub.features.projects import service as projects
from atelier_hub.http.paging import Page, Paging, fetch

_MOVING = ("state", "reason", "message", "started_at", "ended_at")
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class Revision(BaseModel):
    """An immutable document with its snapshot."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    project: str
    name: str
    path: str
    snapshot: str
    created_at: datetime
    created_by: str


class RevisionDocument(Revision):
    """A revision with its document."""

    document: dict[str, Any]


class Run(BaseModel):
    """A run as its project sees it; `steps` counts them by state."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    project: str
    revision: str
    name: str
    on: str
    state: State
    reason: str
    message: str
    parameters: dict[str, Any]
    created_at: datetime
    created_by: str
    started_at: datetime | None
    ended_at: datetime | None
    steps: dict[str, int] = {}


class Step(BaseModel):
    """A step of a run."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    label: str
    node: str
    position: int
    state: State
    reason: str
    message: str
    attempt: int
    exit_code: int | None
    started_at: datetime | None
    ended_at: datetime | None
    needs: list[str]


class QueuePlace(BaseModel):
    """A step that waits for room on a back end: it is the `place`th `of` so many."""

    model_config = ConfigDict(from_attributes=True)

    step: str
    backend: str
    place: int
    of: int


class ProblemBody(BaseModel):
    """Something that keeps a pipeline from running."""

    model_config = ConfigDict(from_attributes=True)

    node: str
    field: str
    message: str
    hint: str = ""


@dataclass(frozen=True)
class NewRun:
    """What to run, where, with which parameters. The same `key` twice gives the same run."""

    revision: str
    parameters: Mapping[str, Any]
    backend: str
    key: str | None = None


def new_id(prefix: str, length: int = 10) -> str:
    """A short random name that is a valid DNS label."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(length))


def problems(db: Database, offer: Offer, project: str, document: Any, files: frozenset[str] | None) -> list[Problem]:
    """Everything that keeps `document` from running in `project`; `files` are the files of its folder, if known."""
    found = datasets.resolver(db, project)
    return compiler.check(parse(document), offer.templates, files, offer.images, found)


def create_revision(
    db: Database, offer: Offer, actor: Actor, project: str, path: str, document: dict[str, Any], snapshot: str
) -> Revision:
    """Store a revision; refused with every problem if it could not run."""
    with db.read() as session:
        found = session.get(SnapshotRow, (project, snapshot))
        files = frozenset(found.files) if found else None
    if files is None:
        raise _unknown_snapshot(snapshot)
    wrong = problems(db, offer, project, document, files)
    if wrong:
        raise InvalidPipeline(wrong)
    name = PurePosixPath(path).name.removesuffix(".pipeline") or "pipeline"
    revision = RevisionRow(
        id=new_id("v"),
        project=project,
        name=name,
        path=path,
        document=document,
        snapshot=snapshot,
        created_by=actor.name,
    )
    with db.write() as session:
        # Held until the revision refers to it: the sweep takes old snapshots that none does.
        if session.get(SnapshotRow, (project, snapshot), with_for_update=True) is None:
            raise _unknown_snapshot(snapshot)
        session.add(revision)
        session.flush()
        emit(session, "revision.created", subject=revision.id, project=project, actor=actor.name, data={"name": name})
    return Revision.model_validate(revision)


def _unknown_snapshot(snapshot: str) -> Invalid:
    return Invalid(
        f"The project has no snapshot {snapshot!r}.",
        code="unknown_snapshot",
        hint="Upload the pipeline's folder first (PUT …/snapshots/{digest}).",
    )


def revision_page(session: Session, project: str, paging: Paging) -> Page[Revision]:
    """The project's revisions by id."""
    query = select(RevisionRow).where(RevisionRow.project == project)
    return fetch(session, query, [RevisionRow.id], paging, convert=Revision.model_validate)


def get_revision(session: Session, project: str, revision: str) -> RevisionDocument:
    """One revision with its document."""
    return RevisionDocument.model_validate(_revision(session, project, revision))


def _revision(session: Session, project: str, revision: str) -> RevisionRow:
    row = session.get(RevisionRow, revision)
    if row is None or row.project != project:
        raise NotFound(f"There is no revision {revision!r} in project {project!r}.")
    return row


def submit(db: Database, offer: Offer, runs: Runs, actor: Actor, project: str, new: NewRun) -> tuple[Run, list[str]]:
    """Start a run; returns it and the attempts that the driver should look at.

    Reading and compiling come first: while they last, nobody waits to write.
    """
    with db.read() as session:
        known = _run_by_key(session, project, new.key)
        if known is not None:
            return _run(known), []
        revision = _revision(session, project, new.revision)
        backend = new.backend or projects.get(session, project).default_backend or offer.default_backend
    if backend not in offer.backends:
        names = ", ".join(sorted(offer.backends))
        raise Invalid(f"There is no back end {backend!r}.", code="unknown_backend", hint=f"Configured here: {names}.")
    row, plan = _compile(db, offer, actor, revision, backend, new)
    try:
        return _store_run(db, runs, actor, row, plan, new_run(plan))
    except IntegrityError:
        with db.read() as session:
            known = _run_by_key(session, project, new.key)
        if known is None:
            raise
        return _run(known), []  # the same call came twice at once


def _compile(
    db: Database, offer: Offer, actor: Actor, revision: RevisionRow, backend: str, new: NewRun
) -> tuple[RunRow, Plan]:
    run_id, moment = new_id("r"), now()
    context = RunContext(
        run_id=run_id,
        pipeline_id=revision.id,
        pipeline_name=revision.name,
        project=revision.project,
        creator=revision.created_by,
        runner=actor.name,
        cluster_name=backend,
        execution_date=moment,
        now=moment,
        snapshot=revision.snapshot,
        code_digest=offer.code_digest,
        parameters=dict(new.parameters),
        images=offer.images,
        datasets=datasets.resolver(db, revision.project),
        namespace=revision.project,
    )
    plan = compiler.compile(parse(revision.document), offer.templates, context)
    row = RunRow(
        id=run_id,
        project=revision.project,
        revision=revision.id,
        name=revision.name,
        backend=backend,
        state=State.QUEUED,
        plan=plan.model_dump_json(),
        parameters=plan.parameters,
        timeout=plan.timeout,
        idempotency_key=new.key,
        created_at=moment,
        created_us=int(moment.timestamp() * 1e6),
        created_by=actor.name,
    )
    return row, plan


def _store_run(
    db: Database, runs: Runs, actor: Actor, row: RunRow, plan: Plan, state: RunState
) -> tuple[Run, list[str]]:
    with db.write() as session:
        known = _run_by_key(session, row.project, row.idempotency_key)
        if known is not None:
            return _run(known), []
        store.create_run(session, row, plan)
        used = {DatasetReference(one.name, one.version) for step in plan.steps for one in step.datasets.values()}
        datasets.use(session, row.project, used, row.id)
        emit(session, "run.created", subject=row.id, project=row.project, actor=actor.name, data={"name": row.name})
        touched = runs.begin(session, row.id, state, actor.name)
        session.refresh(row, _MOVING)
        return _run(row), list(touched.attempts)


def _run_by_key(session: Session, project: str, key: str | None) -> RunRow | None:
    if key is None:
        return None
    return session.scalar(select(RunRow).where(RunRow.project == project, RunRow.idempotency_key == key))


def cancel(session: Session, runs: Runs, actor: Actor, project: str, run: str) -> tuple[Run, list[str]]:
    """Ask a run to end; one that is over stays as it is."""
    row = _run_row(session, project, run)
    touched = runs.feed(session, row.id, CancelRequested(actor.name), actor.name)
    session.refresh(row, _MOVING)
    return _run(row), list(touched.attempts)


@dataclass(frozen=True)
class RunFilter:
    """Which runs: in this state; of revisions stored under one of these paths; of the document with this id."""

    state: State | None = None
    paths: tuple[str, ...] = ()
    document: str = ""


def run_page(session: Session, project: str, wanted: RunFilter, paging: Paging) -> Page[Run]:
    """The project's runs, newest first."""
    query = select(RunRow).where(RunRow.project == project)
    if wanted.state is not None:
        query = query.where(RunRow.state == wanted.state)
    if wanted.paths or wanted.document:
        query = query.join(RevisionRow, RevisionRow.id == RunRow.revision)
    if wanted.paths:
        query = query.where(RevisionRow.path.in_(wanted.paths))
    if wanted.document:
        query = query.where(RevisionRow.document["id"].as_string() == wanted.document)
    page = fetch(session, query, [RunRow.created_us, RunRow.id], paging, convert=_run, descending=True)
    counts = store.count_steps(session, [run.id for run in page.items])
    for run in page.items:
        run.steps = counts[run.id]
    return page


def get_run(session: Session, project: str, run: str) -> Run:
    """One run."""
    found = _run(_run_row(session, project, run))
    found.steps = store.count_steps(session, [run])[run]
    return found


def _run_row(session: Session, project: str, run: str) -> RunRow:
    row = session.get(RunRow, run)
    if row is None or row.project != project:
        raise NotFound(f"There is no run {run!r} in project {project!r}.", hint="List them: atelier pipeline list")
    return row


def _run(row: RunRow) -> Run:
    return Run(
        id=row.id,
        project=row.project,
        revision=row.revision,
        name=row.name,
        on=row.backend,
        state=State(row.state),
        reason=row.reason,
        message=row.message,
        parameters=row.parameters,
        created_at=row.created_at,
        created_by=row.created_by,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


def step_page(session: Session, project: str, run: str, paging: Paging) -> Page[Step]:
    """The run's steps in the order of the document."""
    _run_row(session, project, run)
    query = select(StepRow).where(StepRow.run == run)
    return fetch(session, query, [StepRow.position], paging, convert=Step.model_validate)


def queue(session: Session, project: str, run: str) -> list[QueuePlace]:
    """Where the run's waiting steps stand."""
    _run_row(session, project, run)
    return [QueuePlace.model_validate(row) for row in store.queue_places(session, run)]


def get_step(session: Session, project: str, run: str, step: str) -> Step:
    """One step."""
    _run_row(session, project, run)
    row = session.get(StepRow, store.step_id(run, step))
    if row is None:
        raise NotFound(f"Run {run!r} has no step {step!r}.", hint="Steps are named as in: atelier pipeline watch")
    return Step.model_validate(row)
