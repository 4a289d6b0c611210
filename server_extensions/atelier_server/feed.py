"""`/atelier/feed`: the one websocket of a tab, with the events and the logs that it has open."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from atelier_core.errors import AtelierError
from atelier_server.access import OwnerOnly
from atelier_server.logs import OpenLog, OpenLogs
from atelier_server.relay import Relay
from atelier_server.settings import Settings
from atelier_server.upstream import ControlPlane

AGAIN_SECONDS = 1.0


class Start(BaseModel):
    """Send events after an id; None means from now on."""

    type: Literal["start"]
    after: int | None = Field(default=None, ge=0, le=2**63 - 1)


class LogsOpen(OpenLog):
    """Read and follow a log."""

    type: Literal["logs.open"]


class LogsClose(BaseModel):
    """Stop reading a log."""

    type: Literal["logs.close"]
    id: str


_Message = TypeAdapter[Start | LogsOpen | LogsClose](Start | LogsOpen | LogsClose)


class FeedSocket(OwnerOnly, WebSocketMixin, WebSocketHandler, JupyterHandler):
    """One tab."""

    def initialize(self, platform: Settings, upstream: ControlPlane, relay: Relay) -> None:
        """`relay` is shared by all tabs."""
        self.platform = platform
        self._relay = relay
        self._logs = OpenLogs(upstream, self._send)
        self._pump_task: asyncio.Task[None] | None = None
        self._started = asyncio.Event()
        self._after: int | None = None
        self._told: AtelierError | None = None
        self._greeted: int | None = None

    def set_default_headers(self) -> None:
        """A websocket has no page whose headers would matter."""

    def get_compression_options(self) -> dict[str, Any] | None:
        """As for the server's other websockets."""
        options: dict[str, Any] | None = self.settings.get("websocket_compression_options")
        return options

    async def open(self, *args: str, **kwargs: str) -> None:  # type: ignore[override]
        """Begin to listen; events flow once the tab says from where."""
        super().open(*args, **kwargs)
        self._relay.join()
        self._pump_task = asyncio.create_task(self._pump())

    async def on_message(self, message: str | bytes) -> None:
        """What the tab wants; a message that is none of ours is answered with what is wrong."""
        try:
            wanted = _Message.validate_json(message)
        except ValidationError as error:
            await self._send(_refusal(message, error))
            return
        if isinstance(wanted, Start):
            self._after = wanted.after if wanted.after is not None else self._greeted
            self._started.set()
        elif isinstance(wanted, LogsOpen):
            await self._logs.open(wanted)
        else:
            await self._logs.close(wanted.id)

    def on_close(self) -> None:
        """The tab is gone."""
        if self._pump_task is not None:
            self._pump_task.cancel()
            self._relay.leave()
        self._logs.close_all()

    async def _send(self, message: dict[str, Any]) -> None:
        await self._send_text(json.dumps(message, ensure_ascii=False))

    async def _send_text(self, text: str) -> None:
        """Returns when the browser took it."""
        await self.write_message(text)

    async def _pump(self) -> None:
        try:
            while True:
                changed = self._relay.changed
                await self._tell_state()
                await self._tell_restored()
                if self._started.is_set() and self._after is not None:
                    await self._tell_events()
                await self._wait(changed)
        except WebSocketClosedError:
            return
        except asyncio.CancelledError:
            raise
        except Exception:
            self.log.exception("The feed of a tab broke; the tab connects again")
            self.close(1011, "broken")

    async def _wait(self, changed: asyncio.Event) -> None:
        waits = [asyncio.create_task(changed.wait())]
        if not self._started.is_set():
            waits.append(asyncio.create_task(self._started.wait()))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    async def _tell_state(self) -> None:
        relay = self._relay
        if relay.trouble is not self._told and relay.trouble is not None:
            self._told = relay.trouble
            await self._send({"type": "away", "message": self._told.message, "hint": self._told.hint})
        if not relay.live or relay.last is None:
            return
        if self._told is not None:
            self._told = None
            await self._send({"type": "back"})
        if self._greeted is None or self._restored != relay.restored:
            again = self._greeted is not None
            self._restored, self._greeted = relay.restored, relay.last
            if again or self._after is None:
                self._after = relay.last
            await self._send({"type": "hello", "last": relay.last})

    _restored = 0

    async def _tell_restored(self) -> None:
        """A tab that knows events which the platform does not, as it was restored from a backup, begins anew."""
        last = self._relay.last
        if self._greeted is not None and self._relay.live and last is not None and (self._after or 0) > last:
            self._after = last
            await self._send({"type": "hello", "last": last})

    async def _tell_events(self) -> None:
        assert self._after is not None
        while True:
            events = self._relay.after(self._after)
            if events is None:
                await self._catch_up()
                continue
            if not events:
                return
            for event in events:
                await self._tell(event.id, event.text)

    async def _catch_up(self) -> None:
        """Read what the ring does not have any more."""
        assert self._after is not None
        try:
            async for event in self._relay.older(self._after):
                await self._tell(event.id, event.text)
            self._after = max(self._after, self._relay.floor)
        except AtelierError:
            await asyncio.sleep(AGAIN_SECONDS)

    async def _tell(self, number: int, text: str) -> None:
        await self._send_text(f'{{"type":"event","event":{text}}}')
        self._after = number


def _refusal(message: str | bytes, error: ValidationError) -> dict[str, Any]:
    """For a log that cannot be opened an end of that log, for anything else an error of the socket."""
    first = error.errors(include_url=False, include_input=False)[0]
    said = {"message": f"{first['loc'][-1] if first['loc'] else 'The message'}: {first['msg']}.", "code": "invalid"}
    try:
        sent = json.loads(message)
        name = str(sent["id"]) if sent.get("type") == "logs.open" else ""
    except (ValueError, AttributeError, KeyError, TypeError):
        name = ""
    return {"type": "logs.error" if name else "error", "id": name, "hint": "", **said}
