"""REST of the registry: models, their versions, aliases and approvals; and the account that a visitor has at MLflow."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, FiniteFloat

from atelier_core.dataset import MAX_FILES
from atelier_core.registry import workspace_name
from atelier_hub.artifacts.tars import Member, StoredFolder
from atelier_hub.auth import Access, AttemptActor, require, require_gateway, require_running_attempt, token_of
from atelier_hub.context import Ctx
from atelier_hub.features.gateway.service import visitor
from atelier_hub.features.registry import operations, service
from atelier_hub.features.registry.accounts import MEMBER, VIEWER, Accounts
from atelier_hub.features.registry.bodies import Comparison, Model, ModelFile, ModelVersion, VersionDetail
from atelier_hub.features.registry.mirror import Mirror
from atelier_hub.features.registry.operations import Operations
from atelier_hub.features.registry.registering import Registrar
from atelier_hub.http.body import Body
from atelier_hub.http.etag import IfMatch, set_etag
from atelier_hub.http.paging import Page, PagingQuery

router = APIRouter(tags=["models"])
Reader = Annotated[Access, Depends(require("models:read"))]
Writer = Annotated[Access, Depends(require("models:write"))]
Approver = Annotated[Access, Depends(require("models:approve"))]
_PLAIN = r"^[^\x00-\x1f/:@]+$"
Name = Annotated[str, Path(min_length=1, max_length=255, pattern=_PLAIN)]
Alias = Annotated[str, Path(min_length=1, max_length=255, pattern=_PLAIN)]
Number = Annotated[int, Path(ge=1, le=999_999_999)]
Which = Annotated[
    str,
    Path(pattern=r"^(latest|[1-9]\d{0,8}|@[^\x00-\x1f/:@]{1,255})$", description="A number, latest, or @alias."),
]
Force = Annotated[bool, Query(description="Also where aliases or stopped services mean it.")]
_TEXT = r"^[^\x00]*$"
DIGEST = r"^sha256:[0-9a-f]{64}$"


class ModelFields(Body):
    """What to change."""

    description: str = Field(max_length=10_000, pattern=_TEXT)


class FromRun(Body):
    """An output of a step."""

    run: str = Field(min_length=1, max_length=20, pattern=r"^[a-z0-9-]+$")
    step: str = Field(min_length=1, max_length=200, pattern=_TEXT)
    output: str = Field(default="model", min_length=1, max_length=200, pattern=_TEXT)


class UploadedFile(Body):
    """A file of a model folder, whose content was uploaded before (POST …/uploads)."""

    path: str = Field(min_length=1, max_length=1000)
    size: int = Field(ge=0, le=2**62)
    digest: str = Field(pattern=DIGEST)


class NewModelVersion(Body):
    """Where the version comes from: a run's step, or uploaded files."""

    source: FromRun | None = None
    files: list[UploadedFile] = Field(default_factory=list, max_length=MAX_FILES)
    note: str = Field(default="", max_length=2000, pattern=_TEXT)
    metrics: dict[str, FiniteFloat] = Field(default_factory=dict)


class FromAttempt(Body):
    """An input of the running step, which is an output of an earlier one."""

    name: str = Field(min_length=1, max_length=255)
    input: str = Field(default="model", min_length=1, max_length=200, pattern=_TEXT)
    note: str = Field(default="", max_length=2000, pattern=_TEXT)


class AliasTarget(Body):
    """Which version an alias is to mean."""

    version: int = Field(ge=1, le=999_999_999)


class NewApproval(Body):
    """Why the version is good enough."""

    note: str = Field(default="", max_length=2000, pattern=_TEXT)


class MlflowAccount(BaseModel):
    """What the gateway shows to MLflow in the visitor's stead, and who that is."""

    actor: str
    project: str
    url: str
    username: str
    password: str


@router.get("/projects/{project}/models")
def list_models(
    project: str,
    ctx: Ctx,
    access: Reader,
    paging: PagingQuery,
    search: Annotated[str, Query(max_length=200, pattern=_TEXT, description="Words in name or description.")] = "",
) -> Page[Model]:
    """The project's registered models by name, each with its newest version and its aliases."""
    ctx.get(Mirror).notice(project)
    with ctx.db.read() as session:
        return service.page(session, project, search, paging)


@router.get("/projects/{project}/models/{model}")
def get_model(project: str, model: Name, ctx: Ctx, access: Reader, response: Response) -> Model:
    """One model."""
    with ctx.db.read() as session:
        found = service.get(session, project, model)
    set_etag(response, found.version)
    return found


@router.patch("/projects/{project}/models/{model}")
def change_model(
    project: str, model: Name, body: ModelFields, ctx: Ctx, access: Writer, response: Response, if_match: IfMatch
) -> Model:
    """Describe it anew."""
    with ctx.db.write() as session:
        changed = service.change(session, access.actor, project, model, expected=if_match, description=body.description)
    set_etag(response, changed.version)
    return changed


@router.delete("/projects/{project}/models/{model}", status_code=204)
def delete_model(project: str, model: Name, ctx: Ctx, access: Writer, if_match: IfMatch, force: Force = False) -> None:
    """Remove it with all versions, here and at MLflow; refused while something serves it."""
    ctx.get(Operations).delete_model(access.actor, project, model, expected=if_match, force=force)


@router.get("/projects/{project}/models/{model}/versions")
def list_model_versions(project: str, model: Name, ctx: Ctx, access: Reader, paging: PagingQuery) -> Page[ModelVersion]:
    """The versions, newest first."""
    ctx.get(Mirror).notice(project)
    with ctx.db.read() as session:
        return service.version_page(session, project, model, paging)


@router.post("/projects/{project}/models/{model}/versions", status_code=201)
def register_model_version(project: str, model: Name, body: NewModelVersion, ctx: Ctx, access: Writer) -> VersionDetail:
    """Register a run's output or uploaded files; the same content again is the version that is there."""
    operations.check_source(body.source is not None, bool(body.files))
    registrar = ctx.get(Registrar)
    if body.source is not None:
        found = body.source
        return registrar.from_run(
            access.actor, project, model, run=found.run, step=found.step, output=found.output, note=body.note
        )
    files = [Member(file.path, file.size, file.digest) for file in body.files]
    metrics = operations.check_metrics(body.metrics)
    return registrar.from_upload(access.actor, project, model, files, body.note, metrics)


@router.post("/attempts/{attempt}/models", status_code=201)
def register_from_attempt(
    attempt: str, body: FromAttempt, ctx: Ctx, actor: Annotated[AttemptActor, Depends(require_running_attempt)]
) -> VersionDetail:
    """Register an input of the running step as a version, in the name of whoever runs it."""
    return ctx.get(Operations).from_attempt(actor, body.name, body.input, body.note)


@router.get("/projects/{project}/models/{model}/versions/{version}")
def get_model_version(project: str, model: Name, version: Which, ctx: Ctx, access: Reader) -> VersionDetail:
    """One version with metrics, signature, flavors, and where it comes from."""
    with ctx.db.read() as session:
        return service.get_version(session, project, model, version)


@router.delete("/projects/{project}/models/{model}/versions/{version}", status_code=204)
def delete_model_version(
    project: str, model: Name, version: Number, ctx: Ctx, access: Writer, force: Force = False
) -> None:
    """Remove one version, here and at MLflow; refused while something serves it."""
    ctx.get(Operations).delete_version(access.actor, project, model, version, force=force)


@router.get("/projects/{project}/models/{model}/versions/{version}/files")
def list_model_files(project: str, model: Name, version: Which, ctx: Ctx, access: Reader) -> Page[ModelFile]:
    """What the version holds."""
    with ctx.db.read() as session:
        _, files = service.files(session, project, model, version)
    return Page(items=[ModelFile(path=one.path, size=one.size, digest=one.digest) for one in files])


@router.get("/projects/{project}/models/{model}/versions/{version}/content", response_class=Response)
def model_content(project: str, model: Name, version: Which, ctx: Ctx, access: Reader) -> StreamingResponse:
    """The model folder as a tar."""
    with ctx.db.read() as session:
        number, files = service.files(session, project, model, version)
    folder = StoredFolder(files)
    name = f"{model}-{number}.tar".encode("ascii", "replace").decode().replace('"', "").replace("\\", "")
    headers = {
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Length": str(folder.size),
    }
    return StreamingResponse(folder.read(ctx.store), media_type="application/x-tar", headers=headers)


@router.get("/projects/{project}/models/{model}/compare")
def compare_model_versions(
    project: str,
    model: Name,
    ctx: Ctx,
    access: Reader,
    version: Annotated[list[Annotated[int, Query(ge=1, le=999_999_999)]], Query(min_length=1, max_length=20)],
) -> Comparison:
    """Metrics and parameters of several versions side by side."""
    with ctx.db.read() as session:
        return service.compare(session, project, model, version)


@router.put("/projects/{project}/models/{model}/aliases/{alias}")
def set_model_alias(project: str, model: Name, alias: Alias, body: AliasTarget, ctx: Ctx, access: Writer) -> Model:
    """Let an alias mean a version; `production` only an approved one."""
    return ctx.get(Operations).set_alias(access.actor, project, model, alias, body.version)


@router.delete("/projects/{project}/models/{model}/aliases/{alias}", status_code=204)
def remove_model_alias(project: str, model: Name, alias: Alias, ctx: Ctx, access: Writer) -> None:
    """Let an alias mean nothing any more."""
    ctx.get(Operations).remove_alias(access.actor, project, model, alias)


@router.put("/projects/{project}/models/{model}/versions/{version}/approval")
def approve_model_version(
    project: str, model: Name, version: Number, body: NewApproval, ctx: Ctx, access: Approver
) -> VersionDetail:
    """Say that a version is good enough for production."""
    with ctx.db.write() as session:
        return service.approve(session, access.actor, project, model, version, body.note)


@router.delete("/projects/{project}/models/{model}/versions/{version}/approval")
def revoke_model_approval(project: str, model: Name, version: Number, ctx: Ctx, access: Approver) -> VersionDetail:
    """Take an approval back."""
    with ctx.db.write() as session:
        return service.revoke(session, access.actor, project, model, version)


@router.get("/gateway/mlflow", tags=["gateway"], dependencies=[Depends(require_gateway)])
def mlflow_account(
    ctx: Ctx,
    request: Request,
    project: Annotated[str, Query(max_length=255)] = "",
) -> MlflowAccount:
    """The account at MLflow that may do what the visitor may in `project`, which is their own one by default."""
    access = visitor(ctx, token_of(request), project, "models:read")
    level = MEMBER if "models:write" in access.scopes else VIEWER
    account = ctx.get(Accounts).ready(access.project, level)
    ctx.get(Mirror).notice(access.project)
    return MlflowAccount(
        actor=access.actor.name,
        project=workspace_name(access.project),
        url=ctx.settings.mlflow_url,
        username=account.name,
        password=account.password,
    )
