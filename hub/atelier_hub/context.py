"""What the running control plane consists of; handed to features and engine, never a global."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import urlsplit

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from atelier_core.flavor import DEFAULTS, Flavor
from atelier_core.image import Image
from atelier_hub.auth import AttemptTokens, Authenticator
from atelier_hub.clients.jupyterhub import HubClient
from atelier_hub.crypto import Keyring
from atelier_hub.db import Database
from atelier_hub.streams import Streams

if TYPE_CHECKING:
    from atelier_hub.artifacts.logs import LogStore
    from atelier_hub.artifacts.store import ArtifactStore
    from atelier_hub.feed import Feed

T = TypeVar("T")
DEFAULT_OUTPUT_LIMIT = 100 * 1024**3


@dataclass(frozen=True)
class Settings:
    """What the operator configured, checked."""

    data_dir: Path
    base_path: str = "/services/atelier"
    local_url: str = ""
    advertise_url: str = ""
    backends: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"local": {"type": "local"}})
    default_backend: str = "local"
    single_user: bool = False
    max_output_bytes: int = DEFAULT_OUTPUT_LIMIT
    images: Mapping[str, Image] = field(default_factory=dict)
    flavors: tuple[Flavor, ...] = DEFAULTS
    gateway_url: str = ""
    """Where the control plane and workloads of this machine reach the gateway; empty where there is none."""
    gateway_secret: str = field(default="", repr=False)
    gateway_public_url: str = ""
    """Where people reach the gateway: a whole URL if one was configured, else the path below the hub's address."""

    mlflow_url: str = ""
    mlflow_password: str = field(default="", repr=False)

    def url_for(self, backend_type: str) -> str:
        """Where workloads of a back end reach the API: on this machine by loopback, else by the advertised URL."""
        return self.local_url if backend_type == "local" else self.advertise_url or self.local_url

    def mlflow_for(self, options: Mapping[str, Any]) -> str:
        """Where workloads of a back end reach MLflow, which is through the gateway; empty where they do not."""
        if options["type"] != "local":
            return str(options.get("mlflow_url", "")) if self.mlflow_url else ""
        path = urlsplit(self.gateway_public_url).path
        return f"{self.gateway_url}{path}/mlflow" if self.mlflow_url and self.gateway_url else ""


@dataclass
class Context:
    """The parts, wired by `atelier_hub.app.build`."""

    settings: Settings
    db: Database
    hub: HubClient
    auth: Authenticator
    keyring: Keyring
    store: ArtifactStore
    logs: LogStore
    feed: Feed
    streams: Streams = field(default_factory=Streams)
    attempt_tokens: AttemptTokens | None = None
    delete_guards: list[Callable[[Session, str], None]] = field(default_factory=list)
    """Called inside the deletion of a project: raise to refuse, or remove what the feature keeps there."""
    tasks: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    _parts: dict[type, Any] = field(default_factory=dict)

    def background(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run `run()` on the app's loop from start to stop: cancelled and awaited at the end, started again after a
        crash."""
        if name in self.tasks:
            raise ValueError(f"there is a background task {name!r} already")
        self.tasks[name] = run

    async def in_thread(self, work: Callable[[], T]) -> T:
        """The result of blocking `work`, from a coroutine."""
        return await asyncio.to_thread(work)

    def provide(self, part: object) -> None:
        """Let others find `part` by its class (`context.get`)."""
        self._parts[type(part)] = part

    def get(self, kind: type[T]) -> T:
        """The part of this class that a feature provided."""
        part: T = self._parts[kind]
        return part


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Ctx = Annotated[Context, Depends(_context)]
"""`def route(ctx: Ctx)` gets the running control plane."""
