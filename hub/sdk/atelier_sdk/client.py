"""The platform as Python objects: `Client(url, token).runs.list("anna")`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from atelier_sdk import credentials, here, resources
from atelier_sdk.datasets import Datasets
from atelier_sdk.models import Me, Run
from atelier_sdk.registry import Models
from atelier_sdk.services import ServiceKeys, Services
from atelier_sdk.submitting import submit
from atelier_sdk.transport import Transport


class Client:
    """A connection to one platform. `url` is the control plane's address, without `/api`.

    `patience` is how many seconds a restarting control plane is waited for.
    """

    def __init__(self, url: str, token: str, *, patience: float = 30.0) -> None:
        self._transport = Transport(url, token, patience=patience)
        self.url = self._transport.url
        self.projects = resources.Projects(self._transport)
        self.members = resources.Members(self._transport)
        self.secrets = resources.Secrets(self._transport)
        self.snapshots = resources.Snapshots(self._transport)
        self.pipelines = resources.Pipelines(self._transport)
        self.revisions = resources.Revisions(self._transport)
        self.runs = resources.Runs(self._transport)
        self.steps = resources.Steps(self._transport)
        self.artifacts = resources.Artifacts(self._transport)
        self.datasets = Datasets(self._transport)
        self.services = Services(self._transport)
        self.service_keys = ServiceKeys(self._transport)
        self.models = Models(self._transport)
        self.events = resources.Events(self._transport)
        self.templates = resources.Templates(self._transport)
        self.images = resources.Images(self._transport)
        self.backends = resources.Backends(self._transport)
        self._here = here.Here(self.url, token)

    @classmethod
    def from_credentials(cls, path: Path | None = None, *, patience: float = 30.0) -> Self:
        """The platform that this user signed in to last."""
        found = credentials.load(path)
        return cls(found.url, found.token, patience=patience)

    @classmethod
    def here(cls, *, patience: float = 30.0) -> Self:
        """The platform of the Jupyter server that this runs in; elsewhere the one that was signed in to last."""
        found = here.find()
        client = cls(found.url, found.token, patience=patience)
        client._here = found
        return client

    @property
    def project(self) -> str:
        """The project that work from here belongs to: the server's, otherwise the personal one."""
        if not self._here.project:
            self._here = replace(self._here, project=self.me().name)
        return self._here.project

    def submit(self, pipeline: str | Path, *, parameters: dict[str, Any] | None = None, on: str | None = None) -> Run:
        """Run a `.pipeline` file with the folder that it lies in."""
        file = Path(pipeline)
        return submit(self, file, self._here.place(file), parameters, on)

    def me(self) -> Me:
        """Who the token belongs to."""
        return Me.model_validate(self._transport.request("GET", "me").json())

    def health(self) -> dict[str, object]:
        """Whether the control plane is up; needs no token."""
        return dict(self._transport.request("GET", "health").json())

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
