"""REST of pipelines: snapshots, revisions, runs, steps, their logs, results and artifacts."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, StringConstraints

from atelier_core.states import State
from atelier_hub.auth import Access, require
from atelier_hub.context import Ctx
from atelier_hub.engine.driver import Driver
from atelier_hub.engine.routes import router as attempts
from atelier_hub.features.pipelines import results, service, snapshots
from atelier_hub.features.pipelines.catalog import router as catalog
from atelier_hub.features.pipelines.offer import Offer
from atelier_hub.features.pipelines.reconcile import Runs
from atelier_hub.features.pipelines.results import ArtifactBody, AttemptBody, StepUsage
from atelier_hub.features.pipelines.service import ProblemBody, QueuePlace, Revision, RevisionDocument, Run, Step
from atelier_hub.features.pipelines.snapshots import DIGEST
from atelier_hub.features.pipelines.views import ResultView, views
from atelier_hub.http.body import Body
from atelier_hub.http.paging import Page, PagingQuery
from atelier_hub.streams import LIMITED

router = APIRouter(tags=["pipelines"])
router.routes += [*attempts.routes, *catalog.routes]

Reader = Annotated[Access, Depends(require("runs:read"))]
Writer = Annotated[Access, Depends(require("runs:write"))]
Digest = Annotated[str, Path(pattern=DIGEST)]
Id = Annotated[str, Path(min_length=1, max_length=64)]
FilePath = Annotated[str, StringConstraints(pattern=r"^[^\x00]+$", max_length=1000)]
_NO_FILE_NAME = re.compile(r'[\x00-\x1f\x7f"\\]')  # what ends a text in a header, or the header
StepName = Annotated[str, Path(min_length=1, max_length=200)]


class Check(Body):
    """A document to check before it is run; `files` are the paths in its folder."""

    document: Any
    path: str = Field(default="", max_length=1000)
    files: list[str] | None = Field(default=None, max_length=100_000)


class Problems(BaseModel):
    """What keeps it from running; empty means that it can run."""

    problems: list[ProblemBody]


class NewRevision(Body):
    """A document and the snapshot of its folder."""

    path: str = Field(min_length=1, max_length=1000)
    document: dict[str, Any]
    snapshot: str = Field(pattern=DIGEST)


class NewRun(Body):
    """What to run. `on` names a back end; the same `idempotency_key` twice gives the same run."""

    revision: str = Field(max_length=64)
    parameters: dict[str, Any] = Field(default_factory=dict)
    on: str = Field(default="", max_length=63)
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=200)


class SnapshotBody(BaseModel):
    """A stored folder."""

    digest: str
    size: int
    files: int


@router.head("/projects/{project}/snapshots/{digest}", status_code=204)
def has_snapshot(project: str, digest: Digest, ctx: Ctx, access: Reader) -> None:
    """204 if the project has this snapshot, else 404."""
    with ctx.db.read() as session:
        snapshots.require_snapshot(session, project, digest)


@router.put("/projects/{project}/snapshots/{digest}")
async def put_snapshot(project: str, digest: Digest, request: Request, ctx: Ctx, access: Writer) -> SnapshotBody:
    """Store a folder as tar.gz; its SHA-256 must be the digest."""
    row = await snapshots.receive(ctx, access.actor, project, digest, request.stream())
    return SnapshotBody(digest=row.digest, size=row.size, files=len(row.files))


@router.post("/projects/{project}/pipelines/check")
def check_pipeline(project: str, body: Check, ctx: Ctx, access: Reader) -> Problems:
    """Everything that keeps a document from running."""
    files = frozenset(body.files) if body.files is not None else None
    found = service.problems(ctx.db, ctx.get(Offer), project, body.document, files)
    return Problems(problems=[ProblemBody.model_validate(one) for one in found])


@router.post("/projects/{project}/revisions", status_code=201)
def create_revision(project: str, body: NewRevision, ctx: Ctx, access: Writer) -> Revision:
    """Store an immutable revision of a pipeline."""
    offer = ctx.get(Offer)
    return service.create_revision(ctx.db, offer, access.actor, project, body.path, body.document, body.snapshot)


@router.get("/projects/{project}/revisions")
def list_revisions(project: str, ctx: Ctx, access: Reader, paging: PagingQuery) -> Page[Revision]:
    """The project's revisions."""
    with ctx.db.read() as session:
        return service.revision_page(session, project, paging)


@router.get("/projects/{project}/revisions/{revision}")
def get_revision(project: str, revision: Id, ctx: Ctx, access: Reader) -> RevisionDocument:
    """One revision with its document."""
    with ctx.db.read() as session:
        return service.get_revision(session, project, revision)


@router.post("/projects/{project}/runs", status_code=201)
def create_run(project: str, body: NewRun, ctx: Ctx, access: Writer) -> Run:
    """Run a revision."""
    new = service.NewRun(body.revision, body.parameters, body.on, body.idempotency_key)
    run, touched = service.submit(ctx.db, ctx.get(Offer), ctx.get(Runs), access.actor, project, new)
    ctx.get(Driver).wake(touched)
    return run


@router.get("/projects/{project}/runs")
def list_runs(
    project: str,
    ctx: Ctx,
    access: Reader,
    paging: PagingQuery,
    state: Annotated[State | None, Query()] = None,
    path: Annotated[list[FilePath] | None, Query(max_length=10)] = None,
    document: Annotated[str, Query(pattern=r"^[^\x00]*$", max_length=200)] = "",
) -> Page[Run]:
    """The project's runs, newest first; those of one file by the `path` it was stored under and its document's id."""
    wanted = service.RunFilter(state, tuple(path or ()), document)
    with ctx.db.read() as session:
        return service.run_page(session, project, wanted, paging)


@router.get("/projects/{project}/runs/{run}")
def get_run(project: str, run: Id, ctx: Ctx, access: Reader) -> Run:
    """One run."""
    with ctx.db.read() as session:
        return service.get_run(session, project, run)


@router.post("/projects/{project}/runs/{run}/cancel")
def cancel_run(project: str, run: Id, ctx: Ctx, access: Writer) -> Run:
    """Ask a run to end. One that is over stays as it is."""
    with ctx.db.write() as session:
        found, touched = service.cancel(session, ctx.get(Runs), access.actor, project, run)
    ctx.get(Driver).wake(touched)
    return found


@router.get("/projects/{project}/runs/{run}/queue")
def run_queue(project: str, run: Id, ctx: Ctx, access: Reader) -> Page[QueuePlace]:
    """The run's steps that wait for room, and where each stands among all that wait there."""
    with ctx.db.read() as session:
        return Page(items=service.queue(session, project, run))


@router.get("/projects/{project}/runs/{run}/usage")
async def run_usage(project: str, run: Id, ctx: Ctx, access: Reader) -> Page[StepUsage]:
    """What the run's running steps use now: processor, memory and, where known, accelerators."""
    return Page(items=await results.usage(ctx, project, run))


@router.get("/projects/{project}/runs/{run}/steps")
def list_steps(project: str, run: Id, ctx: Ctx, access: Reader, paging: PagingQuery) -> Page[Step]:
    """The run's steps in the order of the document."""
    with ctx.db.read() as session:
        return service.step_page(session, project, run, paging)


@router.get("/projects/{project}/runs/{run}/steps/{step}")
def get_step(project: str, run: Id, step: StepName, ctx: Ctx, access: Reader) -> Step:
    """One step."""
    with ctx.db.read() as session:
        return service.get_step(session, project, run, step)


@router.get("/projects/{project}/runs/{run}/steps/{step}/attempts")
def list_attempts(project: str, run: Id, step: StepName, ctx: Ctx, access: Reader) -> Page[AttemptBody]:
    """All attempts at a step, oldest first."""
    with ctx.db.read() as session:
        service.get_step(session, project, run, step)
        return Page(items=results.attempts(session, run, step))


@router.get("/projects/{project}/runs/{run}/steps/{step}/logs", response_class=Response, responses=LIMITED)
async def step_logs(
    project: str,
    run: Id,
    step: StepName,
    ctx: Ctx,
    access: Reader,
    attempt: Annotated[int | None, Query(ge=1, le=10_000)] = None,
    replica: Annotated[str, Query(pattern=r"^[a-z][a-z0-9-]{0,60}$")] = "main-0",
    follow: bool = False,
    offset: Annotated[int, Query(ge=0, le=2**62)] = 0,
) -> Response:
    """What a step wrote, from `offset`; `follow` goes on until it has ended."""
    stream = await results.log_stream(ctx, project, run, step, attempt, replica, offset, follow)
    response = StreamingResponse(stream, media_type="text/plain; charset=utf-8", headers=_sandboxed())
    return ctx.streams.held(access.actor.name, response) if follow else response


@router.get("/projects/{project}/runs/{run}/steps/{step}/results")
def step_results(project: str, run: Id, step: StepName, ctx: Ctx, access: Reader) -> Page[ResultView]:
    """What the step wants to show: tables, images, text, html, charts, metrics."""
    with ctx.db.read() as session:
        service.get_step(session, project, run, step)
        artifact = results.results_artifact(session, run, step)
    return Page(items=views(ctx.store, artifact.digest) if artifact else [])


@router.get("/projects/{project}/runs/{run}/artifacts")
def list_artifacts(project: str, run: Id, ctx: Ctx, access: Reader) -> Page[ArtifactBody]:
    """What the run's steps left."""
    with ctx.db.read() as session:
        service.get_run(session, project, run)
        return Page(items=results.artifacts(session, run))


@router.get("/projects/{project}/artifacts/{artifact}/content", response_class=Response)
def artifact_content(
    project: str, artifact: Id, ctx: Ctx, access: Annotated[Access, Depends(require("artifacts:read"))]
) -> StreamingResponse:
    """An artifact's bytes: the file, or a tar of the folder."""
    with ctx.db.read() as session:
        found = results.get_artifact(session, project, artifact)
    name = _NO_FILE_NAME.sub("", found.name) + (".tar" if found.kind == "folder" else "")
    headers = _sandboxed() | {
        "Content-Disposition": f'attachment; filename="{name.encode("ascii", "replace").decode()}"',
        "Content-Length": str(found.size),
        "X-Atelier-Kind": found.kind,
    }
    return StreamingResponse(ctx.store.read(found.digest), media_type="application/octet-stream", headers=headers)


def _sandboxed() -> dict[str, str]:
    """What steps wrote is never trusted by a browser."""
    return {"Content-Security-Policy": "sandbox; default-src 'none'", "X-Content-Type-Options": "nosniff"}
