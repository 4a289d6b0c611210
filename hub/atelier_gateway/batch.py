"""`/batch/<project>/<service>`: a file of rows in, the same rows with predictions out, both as they stream by (Parquet,
which has its table of contents at its end, is stored first and answered as JSON lines).

The file goes to replicas in small requests, one after the other, each within the service's limits, counted and logged
like any other; all of them go to one revision as long as it is there. A replica that dies costs nothing but time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from atelier_gateway import batch_parquet, services
from atelier_gateway.batch_asking import Asker
from atelier_gateway.batch_model import BadAnswer, BadValue, Plan, fields_of, take
from atelier_gateway.batch_rows import PARQUET, Format, Row, format_of, kind_of
from atelier_gateway.body import Body
from atelier_gateway.errors import Refusal, VisitorGone, not_found
from atelier_gateway.headers import NO_SNIFF, SANDBOX, values
from atelier_gateway.parts import Parts
from atelier_gateway.services import Visit
from atelier_gateway.spool import Spool
from atelier_gateway.table import Service

ROWS = 256
CHUNK_BYTES = 24 * 1024  # as JSON no more than the request log keeps of a body
MOST_BAD_FIRST, MOST_BAD_BYTES = 1000, 2 * 1024**2
"""So many rows that cannot be predicted, before any that can, and the file is refused."""
MOST_SPLITS = 500
_AT_ONCE = 16  # rows between which other requests have their turn
_LAST_SECONDS = 10.0


@dataclass(frozen=True)
class Options:
    """What the query says: which model, which of its outputs, and whether the columns of the file are kept."""

    model: str
    outputs: tuple[str, ...] = ()
    keep: bool = True


async def answer(parts: Parts, scope: Any, receive: Any, send: Any, path: bytes, request_id: bytes) -> None:
    """Answer a request. Raises a refusal, also in the middle of an answer."""
    address = services.parse(b"/s/" + path.removeprefix(b"/batch/"), b"", b"")
    if address.target != b"/":
        raise not_found("such address at the gateway")
    if scope["method"] != "POST":
        raise Refusal(405, "Files of rows are sent by POST.", code="bad_method", hint="Send the file as the body.")
    visit = Visit(parts, scope, address, request_id)
    service = await visit.enter_counted()
    service.load.active += 1
    try:
        await _Batch(visit, service, receive, send).run()
    finally:
        service.load.active -= 1


def _options(query: bytes, service: str) -> Options:
    given = {name: found[-1] for name, found in parse_qs(query.decode("latin-1")).items()}
    outputs = tuple(name for name in given.get("outputs", "").split(",") if name)
    keep = given.get("keep", "true").lower()
    if set(given) - {"model", "outputs", "keep"} or keep not in ("true", "false"):
        raise Refusal(
            422,
            "The query is not understood.",
            code="bad_query",
            hint="It may have model=NAME, outputs=NAME,NAME and keep=false.",
            closes=True,
        )
    return Options(given.get("model", service), outputs, keep == "true")


class _Batch:
    """One file on its way."""

    def __init__(self, visit: Visit, service: Service, receive: Any, send: Any) -> None:
        scope = visit.scope
        self._options = _options(scope["query_string"], visit.address.service)
        content_type = next(iter(values(scope["headers"], b"content-type")), b"").decode("latin-1")
        if values(scope["headers"], b"content-encoding"):
            raise Refusal(415, "Packed files are not taken.", code="packed", hint="Send it as it is.", closes=True)
        self._format: Format = format_of(content_type, keep=self._options.keep)
        self._packed = kind_of(content_type) in PARQUET
        self._visit = visit
        self._limits = service.limits
        self._send = send
        self._asker = Asker(visit, service)
        self._body = Body(receive, None, None, service.limits.timeout)
        self._spool = Spool(visit.parts.spool_folder, service.limits.timeout)
        self._plan: Plan | None = None
        self._sending: asyncio.Task[None] | None = None
        self._early: list[Row] = []  # rows in error before anything was answered
        self._splits = 0

    async def run(self) -> None:
        try:
            await self._asker.begin()
            await self._read()
            if self._sending is None:
                self._refuse_all()
                await self._begin({})
            self._spool.end()
            if self._sending is not None:
                await self._sending
        except Refusal as refusal:
            await self._break_off(refusal)
            raise
        finally:
            if self._sending is not None:
                self._sending.cancel()
            self._spool.close()

    async def _read(self) -> None:
        chunk: list[Row] = []
        size = 0
        async with aclosing(self._pieces()) as pieces:
            async for piece in pieces:
                for row in self._format.feed(piece):
                    chunk.append(row)
                    size += row.size
                    if len(chunk) >= ROWS or size >= CHUNK_BYTES:
                        await self._predict(chunk)
                        chunk, size = [], 0
        chunk += self._format.end()
        if chunk:
            await self._predict(chunk)

    def _pieces(self) -> AsyncGenerator[bytes, None]:
        """The file as lines."""
        if not self._packed:
            return self._body.pieces()
        parts = self._visit.parts
        return batch_parquet.lines(self._body, parts.spool_folder, parts.parquet_turns)

    async def _predict(self, rows: list[Row]) -> None:
        """Ask about some rows and pass them on with their answers."""
        plan = self._plan or await self._make_plan()
        good = []
        for at, row in enumerate(rows):
            if at % _AT_ONCE == 0:
                await asyncio.sleep(0)
            try:
                if not row.error:
                    row.values = plan.values(row)
                    good.append(row)
            except BadValue as error:
                row.error = f"Row {row.number}: {error}."
        widths = await self._ask(plan, good) if good else None
        if self._sending is None and widths is None:
            self._early += rows
            if len(self._early) >= MOST_BAD_FIRST or sum(row.size for row in self._early) > MOST_BAD_BYTES:
                self._refuse_all()
            return
        if self._sending is None:
            rows = self._early + rows
            await self._begin(widths or {})
        await self._spool.write(self._format.write(rows))

    async def _make_plan(self) -> Plan:
        metadata = await self._asker.metadata(self._options.model)
        self._plan = Plan(fields_of(metadata), self._format.head, self._options.outputs)
        return self._plan

    async def _ask(self, plan: Plan, rows: Sequence[Row]) -> dict[str, int] | None:
        """How wide the answers are; None where no row got any. Rows that spoil it for others are looked for."""
        try:
            body = plan.request(rows)
        except BadValue as error:
            return _spoiled(rows, str(error))
        if len(body) > self._limits.request_bytes:
            if len(rows) > 1:
                return await self._ask_halves(plan, rows)
            return _spoiled(rows, f"it is larger than the {self._limits.request_bytes:,} bytes that the service takes")
        status, content = await self._asker.infer(self._options.model, body)
        if status == 200:
            try:
                return take(content, rows)
            except BadAnswer as error:
                if self._sending is None:
                    raise Refusal(502, str(error), code="bad_answer", closes=True) from error
                return _spoiled(rows, str(error))
        said = self._asker.refusal(status, content)
        if said.code == "input_refused" and len(rows) > 1 and self._splits < MOST_SPLITS:
            self._splits += 1
            return await self._ask_halves(plan, rows)
        if self._sending is None and said.code != "input_refused":
            raise said
        return _spoiled(rows, said.message)

    async def _ask_halves(self, plan: Plan, rows: Sequence[Row]) -> dict[str, int] | None:
        middle = len(rows) // 2
        first = await self._ask(plan, rows[:middle])
        second = await self._ask(plan, rows[middle:])
        return first or second

    async def _begin(self, outputs: dict[str, int]) -> None:
        """Begin the answer: from here on errors are rows of it."""
        head = self._format.begin(outputs)
        headers = [
            (b"content-type", self._format.content_type),
            (b"x-request-id", self._visit.request_id),
            SANDBOX,
            NO_SNIFF,
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        self._sending = asyncio.create_task(self._send_all())
        await self._spool.write(head)

    async def _send_all(self) -> None:
        while data := await self._spool.read():
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})

    def _refuse_all(self) -> None:
        """No row could be predicted: that is not an answer, but a mistake."""
        if not self._early:
            if self._format.head is not None and self._plan is None:
                return  # only a head: nothing to predict
            raise Refusal(422, "The file has no rows.", code="no_rows", hint="Send at least one row.")
        raise Refusal(
            422,
            f"None of the first {len(self._early)} rows can be predicted. {self._early[0].error}",
            code="no_good_rows",
            hint="Correct the file and send it again.",
            closes=True,
        )

    async def _break_off(self, refusal: Refusal) -> None:
        """Say in the last line why nothing more follows; an answer that has begun then ends without its end.

        What still comes is taken for a moment: who is hung up on while sending may not get to read why.
        """
        tasks = [asyncio.create_task(self._drained())]
        if self._sending is not None:
            tasks.append(asyncio.create_task(self._flushed(refusal)))
        _, late = await asyncio.wait(tasks, timeout=_LAST_SECONDS)
        for task in late:
            task.cancel()

    async def _drained(self) -> None:
        with suppress(Refusal, VisitorGone):
            async for _ in self._body.pieces():
                pass

    async def _flushed(self, refusal: Refusal) -> None:
        await self._spool.write(self._format.last_words(f"{refusal.message} {refusal.hint}".strip()))
        await self._spool.flushed()


def _spoiled(rows: Sequence[Row], why: str) -> dict[str, int] | None:
    """None of the rows has an answer, and this is why."""
    text = why[:1].upper() + why[1:] + ("" if why.endswith(".") else ".")
    for row in rows:
        row.error = f"Row {row.number}: {text}"
    return None
