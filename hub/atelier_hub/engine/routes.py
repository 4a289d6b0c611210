"""What the step shim calls (docs/step-shim.md), with the token of its own attempt and no other."""

from __future__ import annotations

import asyncio
import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from atelier_core import json_values
from atelier_core.errors import Conflict, NotFound, TooLarge
from atelier_core.states import Reason, State
from atelier_core.workload import Observation, ReplicaUsage
from atelier_hub.artifacts.logs import LogOffset
from atelier_hub.artifacts.receive import receive
from atelier_hub.auth import AttemptActor, require_attempt
from atelier_hub.context import Context, Ctx
from atelier_hub.engine import store
from atelier_hub.engine.driver import Driver
from atelier_hub.engine.outcome import unkept
from atelier_hub.engine.reports import ReportRow, claim_replica, is_over, save_report
from atelier_hub.engine.store import ArtifactRow, Attempt
from atelier_hub.engine.usage import Usages
from atelier_hub.http.body import Body

router = APIRouter(prefix="/attempts/{attempt}", tags=["attempts"])

Shim = Annotated[AttemptActor, Depends(require_attempt)]
Replica = Annotated[str, Path(pattern=r"^[a-z][a-z0-9-]{0,60}$")]
Name = Annotated[str, Path(min_length=1, max_length=200)]
_MAX_PIECE = 8 * 1024**2
MAX_MESSAGE = 10_000


class Claim(Body):
    """Which process wants to be which replica."""

    replica: str = Field(pattern=r"^[a-z][a-z0-9-]{0,60}$")
    uid: str = Field(min_length=1, max_length=80)


class Started(Body):
    """A replica runs its command now."""

    replica: str = Field(pattern=r"^[a-z][a-z0-9-]{0,60}$")
    node: str = Field(default="", max_length=253)


class Finished(BaseModel):
    """How a replica ended; `outputs` maps output names to stored artifacts.

    What cannot be stored is replaced and not refused: a refusal would lose how the replica ended.
    """

    model_config = ConfigDict(extra="forbid")

    replica: str = Field(pattern=r"^[a-z][a-z0-9-]{0,60}$")
    exit_code: int | None = Field(default=None, ge=-1024, le=1024)
    reason: Reason = Reason.NONE
    message: str = Field(default="", max_length=MAX_MESSAGE)
    values: dict[str, Any] = Field(default_factory=dict)
    outputs: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        kept = {name: value for name, value in given.items() if name != "values"}
        if isinstance(kept.get("message"), str):
            kept["message"] = json_values.text(kept["message"])[:MAX_MESSAGE]
        try:
            return kept | json_values.storable({name: given[name] for name in ("values",) if name in given})
        except json_values.TooDeep as error:
            failed = {"reason": Reason.OUTPUT_MISSING, "message": unkept(error)}
            return kept if kept.get("exit_code") or kept.get("reason") else kept | failed


class Using(Body):
    """What a replica uses now, `cpu` in cores and `memory` in bytes, beside what it was given."""

    replica: str = Field(pattern=r"^[a-z][a-z0-9-]{0,60}$")
    cpu: float = Field(ge=0, le=100_000, allow_inf_nan=False)
    memory: int = Field(ge=0, le=2**53)
    cpu_given: float = Field(default=0, ge=0, le=100_000, allow_inf_nan=False)
    memory_given: int = Field(default=0, ge=0, le=2**53)


class Again(BaseModel):
    """In how many seconds to say it again."""

    after: float


class StoredBody(BaseModel):
    """A stored output."""

    artifact: str
    digest: str
    size: int


def _alive(ctx: Context, attempt: str) -> Attempt:
    with ctx.db.read() as session:
        found = store.get_attempt(session, attempt)
        over = found is None or is_over(session, found)
    if found is None or over:
        raise Conflict("The attempt is over.", code="gone", hint="Stop the command and leave.")
    return found


@router.post("/claim", status_code=204)
def claim(attempt: str, body: Claim, ctx: Ctx, shim: Shim) -> None:
    """Become a replica; the first process to ask does."""
    _alive(ctx, attempt)
    with ctx.db.write() as session:
        if not claim_replica(session, attempt, body.replica, body.uid):
            raise Conflict("Another process is this replica already.", code="claimed", hint="Leave; do not start.")


@router.post("/started", status_code=204)
def started(attempt: str, body: Started, ctx: Ctx, shim: Shim) -> None:
    """The command runs now."""
    _alive(ctx, attempt)
    ctx.get(Driver).report(Observation(workload=attempt, state=State.RUNNING))


@router.post("/usage")
def using(attempt: str, body: Using, ctx: Ctx, shim: Shim) -> Again:
    """What the command uses now, from shims whose engine may not be able to tell."""
    usage = ReplicaUsage(name=body.replica, **body.model_dump(exclude={"replica"}))
    return Again(after=ctx.get(Usages).report(_alive(ctx, attempt), usage))


@router.get("/code/{digest}", response_class=Response)
def code(attempt: str, digest: Name, ctx: Ctx, shim: Shim) -> StreamingResponse:
    """A code archive of the attempt, tar.gz."""
    found = _alive(ctx, attempt)
    with ctx.db.read() as session:
        blob = ctx.get(Driver).owners[found.kind].code(session, found, digest)
    return StreamingResponse(ctx.store.read(blob), media_type="application/gzip")


@router.get("/inputs/{name}", response_class=Response)
def read_input(attempt: str, name: Name, ctx: Ctx, shim: Shim) -> StreamingResponse:
    """An input of the attempt: the file, or a tar of the folder."""
    found = _alive(ctx, attempt)
    with ctx.db.read() as session:
        staged = ctx.get(Driver).owners[found.kind].input(session, found, name)
    headers = {"X-Atelier-Kind": staged.kind, "Content-Length": str(staged.size)}
    return StreamingResponse(staged.read(ctx.store), media_type="application/octet-stream", headers=headers)


@router.put("/outputs/{name}")
async def write_output(
    attempt: str,
    name: Name,
    request: Request,
    ctx: Ctx,
    shim: Shim,
    x_atelier_kind: Annotated[str, Header(pattern="^(file|folder)$")] = "file",
    x_atelier_type: Annotated[str, Header(pattern=r"^[A-Za-z0-9_./+-]{1,60}$")] = "any",
) -> StoredBody:
    """Store an output; storing it again replaces it."""
    found = await asyncio.to_thread(_alive, ctx, attempt)
    stored = await receive(ctx.store, request, ctx.settings.max_output_bytes, f"The output {name!r}")
    row = ArtifactRow(
        id="a" + secrets.token_hex(10),
        project=found.project,
        subject=found.subject,
        step=found.step,
        attempt=attempt,
        name=name,
        type=x_atelier_type,
        kind=x_atelier_kind,
        digest=stored.digest,
        size=stored.size,
    )
    artifact = await asyncio.to_thread(_save, ctx, attempt, row)
    return StoredBody(artifact=artifact.id, digest=artifact.digest, size=artifact.size)


def _save(ctx: Context, attempt: str, row: ArtifactRow) -> store.Artifact:
    _alive(ctx, attempt)
    with ctx.db.write() as session:
        return store.save_artifact(session, row)


@router.post("/logs/{replica}", status_code=204)
async def write_log(
    attempt: str, replica: Replica, request: Request, ctx: Ctx, shim: Shim, offset: Annotated[int, Query(ge=0)] = 0
) -> Response:
    """Append to a replica's log at `offset`; 409 with the right offset if that is not its end."""
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > _MAX_PIECE:
            raise TooLarge(f"A piece of a log is larger than {_MAX_PIECE} bytes.", hint="Send it in smaller pieces.")
    try:
        await asyncio.to_thread(ctx.logs.append, attempt, replica, offset, bytes(data))
    except LogOffset as error:
        body = {"message": error.message, "code": error.code, "hint": "", "trace": "", "offset": error.offset}
        return JSONResponse(body, 409)
    return Response(status_code=204)


@router.post("/finished", status_code=204)
def finished(attempt: str, body: Finished, ctx: Ctx, shim: Shim) -> None:
    """How a replica ended; all its outputs are stored. Saying it again is fine."""
    with ctx.db.write() as session:
        found = store.get_attempt(session, attempt)
        if found is None:
            raise NotFound("There is no such attempt.")
        save_report(
            session,
            ReportRow(
                attempt=attempt,
                replica=body.replica,
                exit_code=body.exit_code,
                reason=body.reason,
                message=body.message,
                output_values=body.values,
            ),
        )
    ctx.get(Driver).wake([attempt])
