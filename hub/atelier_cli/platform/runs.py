"""Ending runs and services before the platform goes down."""

from __future__ import annotations

import time
from collections.abc import Iterator

from atelier_cli.platform import child
from atelier_cli.platform.layout import Layout, load_settings
from atelier_core.errors import Conflict
from atelier_sdk import AtelierError, Client
from atelier_sdk.models import Run

WAIT_SECONDS = 60.0
_REST = ("stopped", "failed")


def end_all(layout: Layout) -> tuple[int, int]:
    """Cancel the runs and stop the services that the one who started the platform may end; wait until they have ended.

    Returns how many runs and how many services.
    """
    if child.running(layout, "control-plane") is None or not layout.token.exists():
        raise Conflict(
            "Runs and services can only be ended while the platform runs.",
            code="not_running",
            hint="Run `atelier up` first; it finds what went on.",
        )
    with Client(load_settings(layout).service_url, layout.token.read_text().strip()) as client:
        active = [(run.project, run.id) for run in _active(client)]
        cancelled = [(project, run) for project, run in active if _cancel(client, project, run)]
        serving = [(project, name) for project, name in _serving(client) if _stop(client, project, name)]
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            over = all(client.runs.get(project, run).final for project, run in cancelled)
            if over and all(client.services.get(project, name).state in _REST for project, name in serving):
                break
            time.sleep(0.3)
    return len(cancelled), len(serving)


def _active(client: Client) -> Iterator[Run]:
    for project in client.projects.list():
        for run in client.runs.list(project.name):
            if not run.final:
                yield run


def _cancel(client: Client, project: str, run: str) -> bool:
    try:
        client.runs.cancel(project, run)
    except AtelierError:
        return False  # another person's: only they may end it
    return True


def _serving(client: Client) -> Iterator[tuple[str, str]]:
    for project in client.projects.list():
        for service in client.services.list(project.name):
            if service.state not in _REST:
                yield project.name, service.name


def _stop(client: Client, project: str, name: str) -> bool:
    try:
        client.services.stop(project, name)
    except AtelierError:
        return False
    return True
