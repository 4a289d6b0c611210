"""`/atelier/local/…`: the work is in threads, because folders can be large and disks slow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from atelier_core.errors import Invalid
from atelier_server.access import OwnerHandler
from atelier_server.local import demo, models, runs
from atelier_server.local.datasets import NewVersion, Sendings
from atelier_server.local.files import existing, read_text
from atelier_server.local.ports import KINDS, guess
from atelier_server.settings import Settings


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Path(_Body):
    """A path as Lab writes it."""

    path: str = Field(min_length=1, max_length=1000)


class Transfer(_Body):
    """Something on its way."""

    id: str = Field(min_length=1, max_length=64)


class _LocalHandler(OwnerHandler):
    async def answer(self, work: Callable[[], Any]) -> None:
        """The result of blocking work."""
        self.finish(await asyncio.to_thread(work))


class CheckHandler(_LocalHandler):
    """What keeps a pipeline from running."""

    async def post(self) -> None:
        """`{path, document}` → `{problems}`."""
        wanted = self.body(runs.Check)
        await self.answer(lambda: runs.check(self.platform, wanted))


class RunHandler(_LocalHandler):
    """Runs a file."""

    async def post(self) -> None:
        """`{path, parameters, on, project, idempotency_key}` → the run."""
        wanted = self.body(runs.NewRun)
        await self.answer(lambda: runs.run(self.platform, wanted))


class DifferenceHandler(_LocalHandler):
    """Whether a file is still what ran."""

    async def get(self) -> None:
        """`?path=&revision=&project=` → `{differs, document, folder}`."""
        path, revision = self.get_query_argument("path"), self.get_query_argument("revision")
        project = self.get_query_argument("project", "")
        await self.answer(lambda: runs.difference(self.platform, path, revision, project))


class PortsHandler(_LocalHandler):
    """What a notebook or script takes and leaves."""

    async def post(self) -> None:
        """`{path}` → `{kind, inputs, outputs, parameters, files, environment, problems}`."""
        path = self.body(Path).path
        await self.answer(lambda: ports(self.platform, path))


class _SendingHandler(_LocalHandler):
    def initialize(self, platform: Settings, sendings: Sendings) -> None:  # type: ignore[override]
        """`sendings` is shared by all requests."""
        super().initialize(platform)
        self._sendings = sendings


class DatasetHandler(_SendingHandler):
    """Files of this machine as a version of a dataset."""

    async def post(self) -> None:
        """`{path, name, project, note, description, tags, new}` → `{id, state, sent, size, version, error}`."""
        wanted = self.body(NewVersion)
        await self.answer(lambda: self._sendings.start(wanted))

    async def get(self) -> None:
        """`?id=` → how far it is."""
        self.finish(self._sendings.get(self.get_query_argument("id")))


class CancelDatasetHandler(_SendingHandler):
    """An end to sending."""

    async def post(self) -> None:
        """`{id}` → how far it was."""
        self.finish(self._sendings.cancel(self.body(Transfer).id))


class DemoHandler(_LocalHandler):
    """The demo project."""

    async def post(self) -> None:
        """Copy what is missing of it → `{path}` of its pipeline."""
        await self.answer(lambda: {"path": demo.copy_demo(self.platform)})


class ModelHandler(_LocalHandler):
    """A folder of this machine as a version of a model."""

    async def post(self) -> None:
        """`{path, name, project, note}` → the version."""
        wanted = self.body(models.NewModel)
        await self.answer(lambda: models.register(self.platform, wanted))


class ServiceHandler(_LocalHandler):
    """The definition of a service in a file."""

    async def post(self) -> None:
        """`{path}` → `{definition}`."""
        path = self.body(Path).path
        await self.answer(lambda: {"definition": models.definition(self.platform, path)})


def ports(platform: Settings, path: str) -> dict[str, Any]:
    """The guess for a file of this server."""
    file = existing(platform, path)
    if file.suffix not in KINDS:
        hint = f"Choose a file that ends in {', '.join(sorted(KINDS))}."
        raise Invalid(f"{file.name} is neither a notebook nor a script.", code="not_code", hint=hint)
    return guess(KINDS[file.suffix], read_text(file))


def routes(platform: Settings) -> list[tuple[str, type[OwnerHandler], dict[str, Any]]]:
    """Their places."""
    handlers: dict[str, type[OwnerHandler]] = {
        "check": CheckHandler,
        "run": RunHandler,
        "difference": DifferenceHandler,
        "ports": PortsHandler,
        "demo": DemoHandler,
        "model": ModelHandler,
        "service": ServiceHandler,
    }
    plain = [(rf"atelier/local/{name}", handler, {"platform": platform}) for name, handler in handlers.items()]
    sending: dict[str, Any] = {"platform": platform, "sendings": Sendings(platform)}
    return [
        *plain,
        (r"atelier/local/dataset", DatasetHandler, sending),
        (r"atelier/local/dataset/cancel", CancelDatasetHandler, sending),
    ]
