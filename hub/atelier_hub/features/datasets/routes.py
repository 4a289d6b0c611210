"""REST of datasets: versions and their files, uploads in pieces, previews."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import Field

from atelier_core.dataset import MAX_FILES, MAX_PREVIEW_ROWS, ManifestFile
from atelier_hub.auth import Access, require
from atelier_hub.context import Ctx
from atelier_hub.features.datasets import contents, preview, service, uploads
from atelier_hub.features.datasets.preview import Preview
from atelier_hub.features.datasets.service import Dataset, DatasetFile, Datasets, Version
from atelier_hub.features.datasets.uploads import Upload, UploadOffset, WantedFile
from atelier_hub.http.body import Body
from atelier_hub.http.etag import IfMatch, set_etag
from atelier_hub.http.paging import Page, PagingQuery

router = APIRouter(tags=["datasets"])
Reader = Annotated[Access, Depends(require("datasets:read"))]
Writer = Annotated[Access, Depends(require("datasets:write"))]
Name = Annotated[str, Path(min_length=1, max_length=60)]
Number = Annotated[str, Path(pattern=r"^(latest|[1-9]\d{0,8})$")]
Id = Annotated[str, Path(min_length=1, max_length=40)]
FilePath = Annotated[str, Query(max_length=1000, description="A file of the version; the only one by default.")]
Force = Annotated[bool, Query(description="Also when finished runs have used it.")]
DIGEST = r"^sha256:[0-9a-f]{64}$"
_SIZE = Field(ge=0, le=2**62)
Tags = Annotated[list[Annotated[str, Field(min_length=1, max_length=50, pattern=r"^[^\s#,]+$")]], Field(max_length=50)]


class NewDataset(Body):
    """What a dataset is called and what it is about."""

    name: str = Field(min_length=1, max_length=60)
    description: str = Field(default="", max_length=10_000)
    tags: Tags = Field(default=[])


class DatasetFields(Body):
    """What to change; what is left out stays."""

    description: str | None = Field(default=None, max_length=10_000)
    tags: Tags | None = None


class NewFile(Body):
    """A file of a version: its place in the dataset, and its content, which was uploaded before."""

    path: str = Field(min_length=1, max_length=1000)
    size: int = _SIZE
    digest: str = Field(pattern=DIGEST)


class NewVersion(Body):
    """All files of a version, or the address of one that is kept elsewhere."""

    files: list[NewFile] = Field(default_factory=list, max_length=MAX_FILES)
    uri: str = Field(default="", max_length=2000)
    note: str = Field(default="", max_length=2000)


class NewContent(Body):
    """A content to be sent."""

    digest: str = Field(pattern=DIGEST)
    size: int = _SIZE


class NewUploads(Body):
    """Contents to be sent, at most a thousand at a time."""

    files: list[NewContent] = Field(min_length=1, max_length=1000)


@router.get("/projects/{project}/datasets")
def list_datasets(
    project: str,
    ctx: Ctx,
    access: Reader,
    paging: PagingQuery,
    search: Annotated[str, Query(max_length=200, description="Words in name, description or tags.")] = "",
    tag: Annotated[str, Query(max_length=50)] = "",
) -> Page[Dataset]:
    """The project's datasets by name."""
    with ctx.db.read() as session:
        return service.page(session, project, search, tag, paging)


@router.post("/projects/{project}/datasets", status_code=201)
def create_dataset(project: str, body: NewDataset, ctx: Ctx, access: Writer, response: Response) -> Dataset:
    """Make a dataset; its versions come later."""
    with ctx.db.write() as session:
        made = service.create(session, access.actor, project, body.name, body.description, body.tags)
    set_etag(response, made.version)
    return made


@router.get("/projects/{project}/datasets/{dataset}")
def get_dataset(project: str, dataset: Name, ctx: Ctx, access: Reader, response: Response) -> Dataset:
    """One dataset with its newest version."""
    with ctx.db.read() as session:
        found = service.get(session, project, dataset)
    set_etag(response, found.version)
    return found


@router.patch("/projects/{project}/datasets/{dataset}")
def change_dataset(
    project: str, dataset: Name, body: DatasetFields, ctx: Ctx, access: Writer, response: Response, if_match: IfMatch
) -> Dataset:
    """Describe it anew."""
    with ctx.db.write() as session:
        changed = service.change(
            session, access.actor, project, dataset, expected=if_match, description=body.description, tags=body.tags
        )
    set_etag(response, changed.version)
    return changed


@router.delete("/projects/{project}/datasets/{dataset}", status_code=204)
def delete_dataset(
    project: str, dataset: Name, ctx: Ctx, access: Writer, if_match: IfMatch, force: Force = False
) -> None:
    """Remove it with all versions; refused while a run uses it, and warned where one has."""
    guards = ctx.get(Datasets).guards
    with ctx.db.write() as session:
        service.delete(session, access.actor, project, dataset, expected=if_match, force=force, guards=guards)


@router.get("/projects/{project}/datasets/{dataset}/versions")
def list_dataset_versions(project: str, dataset: Name, ctx: Ctx, access: Reader, paging: PagingQuery) -> Page[Version]:
    """The versions, newest first."""
    with ctx.db.read() as session:
        return service.version_page(session, project, dataset, paging)


@router.post("/projects/{project}/datasets/{dataset}/versions", status_code=201)
def add_dataset_version(project: str, dataset: Name, body: NewVersion, ctx: Ctx, access: Writer) -> Version:
    """Add a version of uploaded files or of a URI; the newest one again if it is the same."""
    files = [ManifestFile(file.path, file.size, file.digest) for file in body.files]
    for digest in {file.digest for file in files}:
        ctx.store.renew(digest)
    with ctx.db.write() as session:
        return service.add_version(session, access.actor, project, dataset, files=files, uri=body.uri, note=body.note)


@router.get("/projects/{project}/datasets/{dataset}/versions/{version}")
def get_dataset_version(project: str, dataset: Name, version: Number, ctx: Ctx, access: Reader) -> Version:
    """One version."""
    with ctx.db.read() as session:
        return service.get_version(session, project, dataset, version)


@router.delete("/projects/{project}/datasets/{dataset}/versions/{version}", status_code=204)
def delete_dataset_version(
    project: str, dataset: Name, version: Number, ctx: Ctx, access: Writer, force: Force = False
) -> None:
    """Remove one version."""
    guards = ctx.get(Datasets).guards
    with ctx.db.write() as session:
        service.delete_version(session, access.actor, project, dataset, version, force=force, guards=guards)


@router.get("/projects/{project}/datasets/{dataset}/versions/{version}/files")
def list_dataset_files(
    project: str,
    dataset: Name,
    version: Number,
    ctx: Ctx,
    access: Reader,
    paging: PagingQuery,
    below: Annotated[str, Query(max_length=1000, description="Only files below this folder.")] = "",
) -> Page[DatasetFile]:
    """The files of a version by path."""
    with ctx.db.read() as session:
        return service.file_page(session, project, dataset, version, below, paging)


@router.get("/projects/{project}/datasets/{dataset}/versions/{version}/content", response_class=Response)
def dataset_content(
    project: str, dataset: Name, version: Number, request: Request, ctx: Ctx, access: Reader, path: FilePath = ""
) -> StreamingResponse:
    """The bytes of a file, or the part that a Range header asks for."""
    with ctx.db.read() as session:
        file = service.get_file(session, project, dataset, version, path)
    return contents.answer(ctx.store, file, request.headers.get("range", ""))


@router.get("/projects/{project}/datasets/{dataset}/versions/{version}/preview")
def preview_dataset(
    project: str,
    dataset: Name,
    version: Number,
    ctx: Ctx,
    access: Reader,
    path: FilePath = "",
    rows: Annotated[int, Query(ge=1, le=MAX_PREVIEW_ROWS)] = 100,
) -> Preview:
    """What is in a file: first rows and types of a table, the beginning of a text, or what kind of medium it is."""
    with ctx.db.read() as session:
        file = service.get_file(session, project, dataset, version, path)
    return preview.look(ctx.store, file, rows)


@router.post("/projects/{project}/uploads")
def begin_uploads(project: str, body: NewUploads, ctx: Ctx, access: Writer) -> Page[Upload]:
    """Begin to send contents, or go on: those that the project has are done, each other says where to go on."""
    wanted = [WantedFile(file.digest, file.size) for file in body.files]
    with ctx.db.write() as session:
        return Page(items=uploads.begin(session, ctx, access.actor, project, wanted))


@router.get("/projects/{project}/uploads/{upload}")
def get_upload(project: str, upload: Id, ctx: Ctx, access: Writer) -> Upload:
    """How far an upload is."""
    with ctx.db.read() as session:
        return uploads.get(session, project, upload)


@router.put("/projects/{project}/uploads/{upload}", response_model=Upload)
async def write_upload(
    project: str,
    upload: Id,
    request: Request,
    ctx: Ctx,
    access: Writer,
    offset: Annotated[int, Query(ge=0, le=2**62)] = 0,
) -> Upload | JSONResponse:
    """Send a piece from `offset` on; 409 says where to go on. With the last piece the content is checked and stored."""
    announced = request.headers.get("content-length", "")
    length = int(announced) if announced.isdigit() and len(announced) < 19 else None
    try:
        return await uploads.write(ctx, project, upload, offset, request.stream(), length)
    except UploadOffset as error:
        said = {"message": error.message, "code": error.code, "hint": error.hint, "trace": "", "offset": error.offset}
        return JSONResponse(said, 409)
