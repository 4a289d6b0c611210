"""Streams that outlive a broken connection: events and logs go on where they stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from atelier_sdk.errors import Unreachable
from atelier_sdk.models import Event
from atelier_sdk.transport import Transport, waits

_SILENCE = 60.0  # the server sends a comment every few seconds; longer silence is a dead connection


@dataclass
class _Message:
    id: str
    kind: str
    data: str


def parse_sse(lines: Iterator[str]) -> Iterator[_Message]:
    """Messages of a server-sent event stream; comments and unfinished messages are dropped."""
    id_, kind = "", ""
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield _Message(id_, kind, "\n".join(data))
            kind, data = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "id":
            id_ = value
        elif name == "event":
            kind = value


class _Reconnection:
    """Waits between connections; gives up when none could be made for `patience` seconds."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._failing_since: float | None = None
        self._waits = waits()

    def connected(self) -> None:
        """The server answers again."""
        self._failing_since = None

    def alive(self) -> None:
        """Something arrived."""
        self._waits = waits()

    def pause(self, error: Unreachable | None) -> None:
        """Wait before the next connection, or raise when it has lasted too long."""
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        elif error is not None and now - self._failing_since > self._patience:
            raise error
        time.sleep(next(self._waits))


def follow_events(transport: Transport, params: dict[str, Any], patience: float) -> Iterator[Event]:
    """Events without gap or repetition, for as long as the caller listens."""
    line = _Reconnection(patience)
    last = str(params.pop("after", ""))  # 0 means from the beginning
    while True:
        error: Unreachable | None = None
        try:
            for message in _connect_events(transport, line, params, last):
                line.alive()
                last = message.id or last
                event = _event(message)
                if event is not None:
                    yield event
        except Unreachable as problem:
            error = problem
        line.pause(error)


def _connect_events(transport: Transport, line: _Reconnection, params: dict[str, Any], last: str) -> Iterator[_Message]:
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
    query = params | ({"after": last} if last else {})
    with transport.stream("events", params=query, headers=headers, timeout=_stream_timeout()) as answer:
        line.connected()
        yield from parse_sse(answer.iter_lines())


def _event(message: _Message) -> Event | None:
    try:
        data = json.loads(message.data)
    except ValueError:
        return None
    if not isinstance(data, dict) or "kind" not in data:
        return None  # a notice of the stream itself
    return Event.model_validate({"id": message.id} | data)


def read_text(
    transport: Transport, path: str, params: dict[str, Any], *, follow: bool, patience: float
) -> Iterator[bytes]:
    """Bytes of a growing text. A connection that breaks is taken up again at the byte where it stopped."""
    line = _Reconnection(patience)
    offset = int(params.pop("offset", 0) or 0)
    query = params | {"follow": str(follow).lower()}
    while True:
        try:
            growing = query | {"offset": offset}
            with transport.stream(path, params=growing, timeout=_stream_timeout()) as answer:
                line.connected()
                for block in answer.iter_bytes():
                    line.alive()
                    offset += len(block)
                    yield block
            return
        except Unreachable as problem:
            line.pause(problem)


def _stream_timeout() -> httpx.Timeout:
    return httpx.Timeout(30, read=_SILENCE)
