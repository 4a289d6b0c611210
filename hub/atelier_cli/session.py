"""What every command shares: the connection, the project, and how to speak."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from atelier_cli.output import Output
from atelier_core.errors import NotFound
from atelier_sdk import Client
from atelier_sdk.models import Project

F = TypeVar("F", bound=Callable[..., Any])


class Session:
    """Connects when first needed.

    `patience` is how many seconds a restarting control plane is waited for, `credentials` the file that says where to
    connect to, if not the usual one.
    """

    def __init__(self) -> None:
        self._url = ""
        self._token = ""
        self._project = ""
        self._client: Client | None = None
        self.credentials: Path | None = None
        self.out = Output()
        self.patience = 30.0

    @property
    def client(self) -> Client:
        """The platform that was named, or the one that was signed in to last."""
        if self._client is None:
            if self._url and self._token:
                self._client = Client(self._url, self._token, patience=self.patience)
            else:
                self._client = Client.from_credentials(self.credentials, patience=self.patience)
        return self._client

    @property
    def project(self) -> str:
        """The project that was named, or the caller's own."""
        if not self._project:
            self._project = self._personal_project()
        return self._project

    def _personal_project(self) -> str:
        me = self.client.me()
        if me.name in me.projects and _is_own(self.client.projects.get(me.name), me.name):
            return me.name
        # A user name that no project can have stands for a personal project of a similar name.
        own = next((one.name for one in self.client.projects.list() if _is_own(one, me.name)), None)
        if own is None:
            raise NotFound(
                f"{me.name!r} has no project of their own here.",
                code="no_project",
                hint="Name a project: --project NAME, or set ATELIER_PROJECT.",
            )
        return own

    def connect_to(self, url: str, token: str) -> None:
        """Use this platform, not the one that was signed in to."""
        self._url, self._token = url, token

    def choose(self, *, project: str | None, as_json: bool) -> None:
        """Options may stand before or behind the command."""
        self._project = project or self._project
        if as_json and not self.out.as_json:
            self.out = Output(as_json=True)

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()


def _is_own(project: Project, user: str) -> bool:
    return project.personal and project.created_by == user


def command_options(function: F) -> F:
    """Adds `--project` and `--json`, and passes the session as the first argument."""

    @click.option("--project", metavar="NAME", help="The project; default: your own.")
    @click.option("--json", "as_json", is_flag=True, help="Speak JSON, one object per line.")
    @functools.wraps(function)
    def with_session(*arguments: Any, project: str | None, as_json: bool, **options: Any) -> Any:
        session = click.get_current_context().find_object(Session)
        assert session is not None
        session.choose(project=project, as_json=as_json)
        return function(session, *arguments, **options)

    return with_session  # type: ignore[return-value]
