"""Files and folders of this machine as versions of datasets: sent in the background, watched by whoever asked."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from atelier_core.errors import NotFound
from atelier_sdk import AtelierError as PlatformError
from atelier_sdk import Client
from atelier_server.access import error_body
from atelier_server.local.files import inside
from atelier_server.settings import Settings

PATIENCE = 120.0  # a control plane that restarts is waited for
_ASKING = 10.0  # what a person waits for
KEPT = 100  # finished ones that can still be asked for
_FIRST_LOOK = 0.3  # small data is done by then, and the first answer says so


class NewVersion(BaseModel):
    """A file or folder, and the dataset that it becomes a version of; the dataset is made where there is none.

    `new` says that there must be none yet.
    """

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, max_length=1000)
    name: str = Field(min_length=1, max_length=60)
    project: str = ""
    note: str = Field(default="", max_length=2000)
    description: str = Field(default="", max_length=10_000)
    tags: list[str] = Field(default_factory=list, max_length=50)
    new: bool = False


class _Cancelled(Exception):
    """Somebody does not want it any more."""


@dataclass
class Sending:
    """A version on its way. Numbers are bytes."""

    id: str
    name: str
    state: Literal["reading", "sending", "done", "failed", "cancelled"] = "reading"
    sent: int = 0
    size: int = 0
    version: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    over: threading.Event = field(default_factory=threading.Event, repr=False)
    unwanted: threading.Event = field(default_factory=threading.Event, repr=False)

    def body(self) -> dict[str, Any]:
        """As JSON."""
        return {key: value for key, value in vars(self).items() if key not in {"over", "unwanted"}}

    def progress(self, sent: int, size: int) -> None:
        """So much of it has arrived."""
        if self.unwanted.is_set():
            raise _Cancelled
        self.state, self.sent, self.size = "sending", sent, size


class Sendings:
    """What this server sends or has sent. It forgets all when it ends: to ask again is to go on."""

    def __init__(self, platform: Settings) -> None:
        self._platform = platform
        self._known: dict[str, Sending] = {}

    def start(self, wanted: NewVersion) -> dict[str, Any]:
        """Begin to send; what is small is done when this returns. A dataset that cannot be made is refused at once."""
        source = inside(self._platform, wanted.path)
        if not source.exists():
            raise NotFound(f"There is no file or folder {wanted.path!r}.", code="no_file", hint="Correct the path.")
        with self._client(_ASKING) as client:
            _make(client, self._project(wanted), wanted)
        for old in [one.id for one in self._known.values() if one.over.is_set()][:-KEPT]:
            del self._known[old]
        sending = Sending(uuid.uuid4().hex, wanted.name)
        self._known[sending.id] = sending
        work = threading.Thread(target=self._run, args=(sending, wanted), name=f"sending {wanted.name}", daemon=True)
        work.start()
        sending.over.wait(_FIRST_LOOK)
        return sending.body()

    def get(self, sending: str) -> dict[str, Any]:
        """How far it is."""
        found = self._known.get(sending)
        if found is None:
            hint = "The server was started anew: send it again, what has arrived is not sent twice."
            raise NotFound("This server knows of no such transfer.", code="no_transfer", hint=hint)
        return found.body()

    def cancel(self, sending: str) -> dict[str, Any]:
        """Stop it before its next piece; what has arrived is kept for a while, and is not sent twice."""
        self.get(sending)
        self._known[sending].unwanted.set()
        return self.get(sending)

    def _client(self, patience: float) -> Client:
        return Client(self._platform.api_url, self._platform.token, patience=patience)

    def _project(self, wanted: NewVersion) -> str:
        return wanted.project or self._platform.project

    def _run(self, sending: Sending, wanted: NewVersion) -> None:
        try:
            sending.version = self._send(sending, wanted)
            sending.state = "done"
        except _Cancelled:
            sending.state = "cancelled"
        except Exception as error:  # shown to whoever asks
            told = error_body(error)
            sending.error = (
                told[1] if told else {"message": f"It could not be sent: {error}.", "code": "error", "hint": ""}
            )
            sending.state = "failed"
        finally:
            sending.over.set()

    def _send(self, sending: Sending, wanted: NewVersion) -> dict[str, Any]:
        source = inside(self._platform, wanted.path)
        with self._client(PATIENCE) as client:
            version = client.datasets.add(
                self._project(wanted), wanted.name, source, note=wanted.note, progress=sending.progress
            )
        return version.model_dump(mode="json")


def _make(client: Client, project: str, wanted: NewVersion) -> None:
    """Make the dataset; unless it must be new, one that is there is taken."""
    if not wanted.new and _is_there(client, project, wanted.name):
        return
    client.datasets.create(project, wanted.name, description=wanted.description, tags=wanted.tags)


def _is_there(client: Client, project: str, name: str) -> bool:
    try:
        client.datasets.get(project, name)
    except PlatformError as error:
        if error.code != "no_dataset":
            raise
        return False
    return True
