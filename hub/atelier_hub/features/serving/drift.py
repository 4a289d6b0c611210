"""Drift of a service: what the gateway kept of its requests, measured against the sample that its model learnt from."""

from __future__ import annotations

import asyncio
import base64
import binascii
import csv
import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel
from sqlalchemy.orm import Session

from atelier_core import drift, inference
from atelier_core.drift import Kind, Level, Value
from atelier_core.errors import BackendUnavailable, NotFound
from atelier_core.routing import Log
from atelier_hub.artifacts.store import ArtifactStore
from atelier_hub.artifacts.tars import open_tar
from atelier_hub.clients.gateway import GatewayClient
from atelier_hub.context import Context
from atelier_hub.features.serving import service, store, views
from atelier_hub.features.serving.plan import Content, ServingPlan

SAMPLE = "training_sample.csv"
MOST_SAMPLE_BYTES = 16 * 1024**2
MOST_VALUES = 500_000
"""So many values of requests are looked at, the newest: 10,000 rows of 50 columns."""
Sample = Mapping[str, Sequence[str]]


class DriftState(StrEnum):
    """Whether there are readings, and if not, why."""

    MEASURED = "measured"
    NO_MODEL = "no_model"
    NO_SAMPLE = "no_sample"
    SAMPLING_OFF = "sampling_off"
    NO_REQUESTS = "no_requests"
    FEW_ROWS = "few_rows"


class Bin(BaseModel):
    """A part of what an input may be, with the shares of rows that are in it; numbers lie above `low`, up to `high`."""

    kind: drift.BinKind
    low: float | None
    high: float | None
    value: str
    trained: float
    seen: float


class InputDrift(BaseModel):
    """One input. Without enough rows there is no `psi`, and the level is unknown."""

    name: str
    kind: Kind
    psi: float | None
    level: Level
    rows: int
    bins: list[Bin]


class Drift(BaseModel):
    """How far the inputs of a revision are from what its model was trained on; `message` says why if it is not known.

    `rows` of `requests` were looked at, from `since` to `until`; `needed` is how many rows a reading takes. `unread`
    requests were kept but hold no rows that can be compared: too long, cut, or of other columns.
    """

    revision: int
    state: DriftState
    message: str
    sample: float
    trained_rows: int
    requests: int
    rows: int
    needed: int | None
    unread: int
    since: datetime | None
    until: datetime | None
    inputs: list[InputDrift]


@dataclass
class _Seen:
    """What requests held, the newest first."""

    columns: dict[str, list[Value]]
    requests: int = 0
    rows: int = 0
    unread: int = 0
    times: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class _Asked:
    """What is needed of the database."""

    number: int
    content: Content | None
    log: Log


async def look(ctx: Context, project: str, name: str, number: int | None) -> Drift:
    """The drift of one revision; without a number of the one that serves."""
    asked = await asyncio.to_thread(_ask, ctx, project, name, number)
    if asked.content is None:
        return _without(asked, DriftState.NO_MODEL, "This revision serves an image, not a model with known inputs.")
    trained = await asyncio.to_thread(training_sample, ctx.store, asked.content)
    if not trained:
        return _without(
            asked,
            DriftState.NO_SAMPLE,
            f"The model has no {SAMPLE} beside it, so there is nothing to compare with. Trainers of the templates "
            "leave one.",
        )
    if not (asked.log.sample and asked.log.bodies):
        text = (
            "The gateway keeps no requests of this service. Deploy it with `log: {sample: 0.1, bodies: true}` in its "
            "definition to keep a tenth of them."
        )
        return _without(asked, DriftState.SAMPLING_OFF, text, len(next(iter(trained.values()))))
    lines = await _lines(ctx, f"{project}/{name}")
    return await asyncio.to_thread(_measured, asked, trained, lines)


def _ask(ctx: Context, project: str, name: str, number: int | None) -> _Asked:
    with ctx.db.read() as session:
        row = service.find(session, project, name)
        main = views.main_revision(store.revisions_of(session, row.id))
        wanted = main if number is None else _revision(session, row.id, name, number)
        content = ServingPlan.model_validate(wanted.plan).content
        # As in the routes: whether requests are kept is said by the revision that serves.
        return _Asked(wanted.number, content, Log.model_validate(main.definition.get("log", {})))


def _revision(session: Session, id: str, name: str, number: int) -> store.RevisionRow:
    found = store.get_revision(session, id, number)
    if found is None:
        raise NotFound(f"The service {name!r} has no revision {number}.", code="no_revision")
    return found


async def _lines(ctx: Context, name: str) -> bytes:
    settings = ctx.settings
    if settings.gateway_url:
        async with GatewayClient(settings.gateway_url, settings.gateway_secret) as gateway:
            lines = await gateway.log_lines(name)
        if lines is not None:
            return lines
    raise BackendUnavailable(
        "The gateway, which keeps the requests, does not answer now.",
        code="gateway_away",
        hint="Try again in a moment.",
    )


def _without(asked: _Asked, state: DriftState, message: str, trained: int = 0) -> Drift:
    return Drift(
        revision=asked.number,
        state=state,
        message=message,
        sample=asked.log.sample if asked.log.bodies else 0,
        trained_rows=trained,
        requests=0,
        rows=0,
        needed=drift.fewest_rows(trained),
        unread=0,
        since=None,
        until=None,
        inputs=[],
    )


# --- the training sample ---


def training_sample(artifacts: ArtifactStore, content: Content) -> Sample:
    """The columns of a stored model's training sample; none where it has no sample that can be read. Blocking."""
    try:
        text = _sample_bytes(artifacts, content).decode("utf-8-sig")
        head, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    except (ValueError, csv.Error, NotFound):
        return {}
    if not rows or any(len(row) != len(head) for row in rows):
        return {}
    return {name: [row[at] for row in rows] for at, name in enumerate(head)}


def _sample_bytes(artifacts: ArtifactStore, content: Content) -> bytes:
    if content.files:
        digest = next((digest for path, size, digest in content.files if path == SAMPLE and size), None)
        return b"" if digest is None else _bounded(artifacts.read(digest, 0, MOST_SAMPLE_BYTES + 1))
    if content.kind == "file":
        return b""
    try:
        with open_tar(artifacts.read(content.digest), "r|") as tar:
            for member in tar:
                file = tar.extractfile(member) if member.name.removeprefix("./") == SAMPLE else None
                if file is not None:
                    return _bounded([file.read(MOST_SAMPLE_BYTES + 1)])
    except (tarfile.TarError, EOFError, OSError):
        return b""
    return b""


def _bounded(pieces: Iterator[bytes] | Sequence[bytes]) -> bytes:
    found = b"".join(pieces)
    return found if len(found) <= MOST_SAMPLE_BYTES else b""


# --- what was seen ---


def _measured(asked: _Asked, trained: Sample, lines: bytes) -> Drift:
    rows = len(next(iter(trained.values())))
    seen = read_log(lines, asked.number, list(trained))
    found = drift.measure_all(trained, seen.columns)
    needed = drift.fewest_rows(rows)
    state, message = _reading(seen, rows, needed)
    times = sorted(seen.times)
    return _without(asked, state, message, rows).model_copy(
        update={
            "requests": seen.requests,
            "rows": seen.rows,
            "needed": needed,
            "unread": seen.unread,
            "since": datetime.fromtimestamp(times[0], UTC) if times else None,
            "until": datetime.fromtimestamp(times[-1], UTC) if times else None,
            "inputs": [_shown(one) for one in found],
        }
    )


def _reading(seen: _Seen, trained: int, needed: int | None) -> tuple[DriftState, str]:
    if needed is None:
        return DriftState.NO_SAMPLE, f"The training sample has {trained} rows, too few to compare anything with."
    if not seen.requests:
        if seen.unread:
            text = f"{seen.unread} requests were kept, but none of them holds the columns of the training sample."
            return DriftState.NO_REQUESTS, text
        return DriftState.NO_REQUESTS, "The gateway has kept no request to this revision in the last days."
    if seen.rows < needed:
        text = f"{seen.rows} rows were kept; a reading takes {needed}, or chance would look like drift."
        return DriftState.FEW_ROWS, text
    return DriftState.MEASURED, ""


def read_log(lines: bytes, revision: int, columns: Sequence[str]) -> _Seen:
    """The rows of the requests that a revision has answered, by column."""
    seen = _Seen({name: [] for name in columns})
    most = max(MOST_VALUES // len(columns), drift.FEWEST)
    for line in reversed(lines.splitlines()):
        if seen.rows >= most:
            break
        entry = _entry(line, revision)
        if entry is None:
            continue
        try:
            found = inference.rows(entry["path"], _body(entry["request"]), columns, **_form(entry["request"]))
        except inference.Unreadable:
            seen.unread += 1
            continue
        length = max(map(len, found.values()), default=0)
        for name in columns:
            seen.columns[name] += found.get(name) or [None] * length
        seen.requests += 1
        seen.rows += length
        seen.times.append(entry["time"])
    return seen


def _entry(line: bytes, revision: int) -> dict[str, Any] | None:
    """A request that this revision has answered with predictions, its body kept."""
    try:
        entry = json.loads(line)
        wanted = entry["revision"] == revision and entry["status"] == 200 and isinstance(entry["request"], dict)
        return entry if wanted and inference.is_inference(entry["method"], entry["path"]) else None
    except (ValueError, KeyError, TypeError):
        return None  # a line that a killed gateway left half-written, or one without bodies


def _body(request: Mapping[str, Any]) -> bytes:
    try:
        body = request["text"].encode() if "text" in request else base64.b64decode(request["base64"])
    except (KeyError, binascii.Error) as error:
        raise inference.Unreadable(str(error)) from error
    if len(body) != request["bytes"]:
        raise inference.Unreadable("it was too long to be kept")
    return body


def _form(request: Mapping[str, Any]) -> dict[str, Any]:
    length = request.get("inference-header-content-length", "")
    return {
        "header_length": int(length) if length.isdecimal() else None,
        "encoding": request.get("content-encoding", "").strip().lower(),
    }


def _shown(one: drift.InputDrift) -> InputDrift:
    bins = [
        Bin(kind=b.kind, low=_finite(b.low), high=_finite(b.high), value=b.value, trained=b.trained, seen=b.seen)
        for b in one.bins
    ]
    value = None if one.psi is None else round(one.psi, 4)
    return InputDrift(name=one.name, kind=one.kind, psi=value, level=one.level, rows=one.seen_rows, bins=bins)


def _finite(bound: float | None) -> float | None:
    """JSON has no infinity; where a bin has no end, neither."""
    return None if bound is None or abs(bound) == float("inf") else bound
