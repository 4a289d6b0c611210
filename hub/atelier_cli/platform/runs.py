"""Cancelling what runs before the platform goes down."""

from __future__ import annotations

import time
from collections.abc import Iterator

from atelier_cli.platform import child
from atelier_cli.platform.layout import Layout, load_settings
from atelier_core.errors import Conflict
from atelier_sdk import AtelierError, Client
from atelier_sdk.models import Run

WAIT_SECONDS = 60.0


def cancel_runs(layout: Layout) -> int:
    """Cancel every run that the one who started the platform may cancel, and wait until they have ended."""
    if child.running(layout, "control-plane") is None or not layout.token.exists():
        raise Conflict(
            "Runs can only be cancelled while the platform runs.",
            code="not_running",
            hint="Run `atelier up` first; it finds the runs that went on.",
        )
    with Client(load_settings(layout).service_url, layout.token.read_text().strip()) as client:
        active = [(run.project, run.id) for run in _active(client)]
        cancelled = [(project, run) for project, run in active if _cancel(client, project, run)]
        end = time.monotonic() + WAIT_SECONDS
        while cancelled and time.monotonic() < end:
            if all(client.runs.get(project, run).final for project, run in cancelled):
                break
            time.sleep(0.3)
    return len(cancelled)


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
