"""The event feed: what happened since a given event, then live, filtered by what the visitor may see.

Committed events are handed to a short tail that all visitors share; what others wrote is read from the database, once
for all. A visitor who is slower than the tail reads for itself. Nobody who writes ever waits for somebody who reads.
"""

from __future__ import annotations

import asyncio
import json
import logging
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sse_starlette import EventSourceResponse, ServerSentEvent

from atelier_core.errors import AtelierError
from atelier_hub.auth import Access, Actor, access_in, require, token_of
from atelier_hub.context import Context, Ctx
from atelier_hub.db import Database, table_of
from atelier_hub.db.events import CHANNEL, EventRow
from atelier_hub.db.listen import Listener
from atelier_hub.streams import LIMITED

log = logging.getLogger(__name__)
router = APIRouter(tags=["events"])

TAIL = 2000
BATCH = 500
GATHER_SECONDS = 0.01
REPAIR_SECONDS = 5.0
KEEPALIVE_SECONDS = 15
SEND_TIMEOUT = 60.0
RECHECK_SECONDS = 45.0
MAX_ID = 2**63 - 1


class Event(BaseModel):
    """Something that happened."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    id: int
    at: datetime
    project: str
    kind: str
    subject_kind: str
    subject: str
    actor: str
    data: dict[str, Any]


def read_after(session: Session, after: int, projects: set[str] | None = None, limit: int = BATCH) -> list[Event]:
    """Events after an id in order; only of `projects` (and of none) if given."""
    statement = select(table_of(EventRow)).where(EventRow.id > after)
    if projects is not None:
        statement = statement.where(EventRow.project.in_(sorted(projects | {""})))
    return [Event.model_validate(row) for row in session.execute(statement.order_by(EventRow.id).limit(limit))]


def last_id(session: Session) -> int:
    """The newest event's id."""
    return session.scalar(select(func.max(EventRow.id))) or 0


class Feed:
    """The shared tail of the event log."""

    def __init__(self, db: Database, tail: int = TAIL) -> None:
        self.db = db
        self._size = tail
        self._tail: list[Event] = []
        self._floor = self._last = 0
        self._wake = asyncio.Event()
        self._arrived = asyncio.Event()
        self._handed: deque[Sequence[Mapping[str, Any]]] = deque()
        self._early: dict[int, Event] = {}
        self._elsewhere = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pump_task: asyncio.Task[None] | None = None
        self._listener = Listener(db, CHANNEL, self._heard)
        self.closed = False
        db.on_events(self._hand)

    @property
    def last(self) -> int:
        """The newest event that the tail knows."""
        return self._last

    async def start(self) -> None:
        """Begin at the end of the log."""
        self._loop = asyncio.get_running_loop()
        with self.db.read() as session:
            self._floor = self._last = last_id(session)
        self._pump_task = asyncio.create_task(self._pump(), name="feed")
        self._listener.start()

    async def stop(self) -> None:
        """End all streams."""
        self.end_streams()
        self._loop = None
        await asyncio.to_thread(self._listener.stop)
        if self._pump_task is not None:
            self._pump_task.cancel()
            await asyncio.wait([self._pump_task])

    def end_streams(self) -> None:
        """Let every visitor's stream end; they come back with the id of their last event."""
        self.closed = True
        self._arrived.set()

    def end_streams_soon(self) -> None:
        """`end_streams` from another thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.end_streams)

    def _hand(self, events: Sequence[Mapping[str, Any]]) -> None:
        """What this process has just committed; from any thread."""
        if self._loop is not None:
            self._handed.append(events)
            self._wake_from_thread()

    def _heard(self, message: str) -> None:
        """Some replica (perhaps this one) has committed events up to the id in the message."""
        self._wake_from_thread(int(message) if message.isdecimal() else MAX_ID)

    def _wake_from_thread(self, elsewhere: int = 0) -> None:
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # closed meanwhile
                loop.call_soon_threadsafe(self._look, elsewhere)

    def _look(self, elsewhere: int) -> None:
        self._elsewhere = max(self._elsewhere, elsewhere)
        self._wake.set()

    async def _pump(self) -> None:
        while True:
            try:
                async with asyncio.timeout(REPAIR_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                self._elsewhere = MAX_ID  # another process may have written without telling: look anyway
            await asyncio.sleep(GATHER_SECONDS)  # transactions come in bursts: take them at once
            self._wake.clear()
            try:
                await self._pull()
            except Exception:
                log.exception("the event feed could not read new events; trying again")
                await asyncio.sleep(0.5)
                self._wake.set()

    async def _pull(self) -> None:
        """Take what was handed over as far as it follows on; read the rest, if there is a gap or others wrote."""
        while self._handed:
            for event in self._handed.popleft():
                if event["id"] > self._last:
                    self._early[event["id"]] = Event.model_construct(**event)
        self._take_early()
        wanted, self._elsewhere = self._elsewhere, 0
        if self._early or wanted > self._last:
            try:
                while len(events := await asyncio.to_thread(self._read, self._last)) == BATCH:
                    self._take(events)
                self._take(events)
            except BaseException:
                self._elsewhere = max(wanted, self._elsewhere)
                raise
            self._early = {id: event for id, event in self._early.items() if id > self._last}

    def _take_early(self) -> None:
        events: list[Event] = []
        while (event := self._early.pop(self._last + len(events) + 1, None)) is not None:
            events.append(event)
        self._take(events)

    def _take(self, events: list[Event]) -> None:
        if not events:
            return
        for event in events:
            if event.kind == "project.deleted":  # its name may be used again, by people who must not read its past
                self._tail = [one for one in self._tail if one.project != event.subject]
            self._tail.append(event)
        self._last = events[-1].id
        if len(self._tail) > self._size:
            self._floor = self._tail[-self._size - 1].id
            del self._tail[: -self._size]
        arrived, self._arrived = self._arrived, asyncio.Event()
        arrived.set()

    def _read(self, after: int) -> list[Event]:
        with self.db.read() as session:
            return read_after(session, after)

    def tail_after(self, after: int) -> list[Event] | None:
        """Events after an id, without reading; none if the tail does not reach back so far."""
        if after < self._floor:
            return None
        return self._tail[bisect_right(self._tail, after, key=lambda event: event.id) :]

    async def wait_after(self, after: int, seconds: float) -> None:
        """Return when there is something after an id, when the feed closes, or after `seconds`."""
        arrived = self._arrived
        if self._last > after or self.closed:
            return
        try:
            async with asyncio.timeout(seconds):
                await arrived.wait()
        except TimeoutError:
            return


class Visitor:
    """One reader of the feed: its place in the log and what it may see just now."""

    def __init__(self, context: Context, token: str | None, actor: Actor, project: str, after: int) -> None:
        self._context = context
        self._token = token
        self._actor = actor
        self._project = project
        self._checked = 0.0
        self.after = after
        self.projects: set[str] | None = set()
        self._seen_at = 0  # the newest event when `projects` was read
        self._looked_for = 0

    async def stream(self) -> AsyncIterator[ServerSentEvent]:
        """Server-sent events until the feed closes or the visitor may not read any more."""
        feed = self._context.feed
        await self._look_up()
        yield ServerSentEvent(event="hello", id=str(self.after), data=json.dumps({"last": self.after}))
        while not feed.closed:
            if not await self._still_welcome():
                return
            # A tail that is behind `projects` may hold what happened in an earlier project of the same name.
            events = feed.tail_after(self.after) if feed.last >= self._seen_at else None
            if events is None:
                events = await asyncio.to_thread(self._from_database)
            for event in events:
                if event.subject_kind in {"member", "project"} and event.id > self._looked_for:
                    self._looked_for = event.id
                    await self._look_up()
                    break  # these events are older than `projects` now: take them anew
                self.after = event.id
                if self._may_see(event):
                    yield ServerSentEvent(id=str(event.id), data=event.model_dump_json())
            if not events:
                await feed.wait_after(self.after, RECHECK_SECONDS)

    def _may_see(self, event: Event) -> bool:
        if not event.project:
            return not self._project and (self._actor.admin or event.actor == self._actor.name)
        if self._project and event.project != self._project:
            return False
        return self.projects is None or event.project in self.projects

    def _from_database(self) -> list[Event]:
        """What is next in the log, and what may be seen of it, at one moment."""
        with self._context.db.read() as session:
            self.projects = self._visible(session)
            wanted = {self._project} if self._project else self.projects
            newest = self._seen_at = last_id(session)
            events = read_after(session, self.after, wanted)
        if len(events) < BATCH:
            self.after = max(self.after, newest) if not events else self.after
        return events

    async def _look_up(self) -> None:
        self.projects, self._seen_at = await asyncio.to_thread(self._visible_now)

    def _visible_now(self) -> tuple[set[str] | None, int]:
        with self._context.db.read() as session:
            return self._visible(session), last_id(session)

    def _visible(self, session: Session) -> set[str] | None:
        return None if self._actor.admin else set(self._context.auth.roles.roles(session, self._actor))

    async def _still_welcome(self) -> bool:
        """Ask again who the token belongs to from time to time: tokens are revoked, groups change."""
        now = asyncio.get_running_loop().time()
        if not self._checked:
            self._checked = now
        if now - self._checked < RECHECK_SECONDS:
            return True
        self._checked = now
        try:
            self._actor = await asyncio.to_thread(self._context.auth.actor, self._token)
        except AtelierError as error:
            return error.code == "hub_unavailable"
        await self._look_up()
        return True


@router.get("/events", response_class=EventSourceResponse, responses={200: {"model": Event}, **LIMITED})
async def events(
    *,
    request: Request,
    ctx: Ctx,
    access: Annotated[Access, Depends(require("signed-in"))],
    project: Annotated[str, Query(max_length=255, description="Only this project's events.")] = "",
    after: Annotated[int | None, Query(ge=0, le=MAX_ID, description="Begin after this event.")] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """The event feed (server-sent events): replay after an event if asked, then live, for what you may see."""
    if project:
        await asyncio.to_thread(_check_project, ctx, access.actor, project)
    if last_event_id is not None and last_event_id.isdecimal() and len(last_event_id) < 19:
        after = int(last_event_id)
    newest = await asyncio.to_thread(_newest, ctx)
    start = newest if after is None else min(after, newest)
    visitor = Visitor(ctx, token_of(request), access.actor, project, start)
    response = EventSourceResponse(visitor.stream(), ping=KEEPALIVE_SECONDS, send_timeout=SEND_TIMEOUT)
    return ctx.streams.held(access.actor.name, response)


def _newest(ctx: Context) -> int:
    with ctx.db.read() as session:
        return last_id(session)


def _check_project(ctx: Context, actor: Actor, project: str) -> None:
    with ctx.db.read() as session:
        access_in(session, ctx.auth.roles, actor, project, "events:read")
