"""Runs of the engine as runs at MLflow: told by a background task of whoever drives, and never waited for.

The table `tracked_runs` says what MLflow knows, so that the task goes on after either side was away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from atelier_core.errors import AtelierError, BackendUnavailable, Invalid
from atelier_core.states import FINAL, State
from atelier_hub.clients.mlflow import REFUSED, Account, MlflowClient
from atelier_hub.db import Database
from atelier_hub.features.registry.accounts import MEMBER, Accounts
from atelier_hub.features.registry.registering import TAG
from atelier_hub.features.registry.store import TrackedRunRow

log = logging.getLogger(__name__)

EVERY = 1.0
_BACK_OFF = 5.0
_TOGETHER = 20  # runs in one round
_PARAMETER, _TAG, _NOTE = 500, 5000, 8000  # MLflow's bounds, or below them
_STATUS = {State.DONE: "FINISHED", State.FAILED: "FAILED", State.STOPPED: "KILLED"}


@dataclass(frozen=True)
class TrackedStep:
    """A step, for a person who reads about the run at MLflow."""

    name: str
    state: str
    seconds: float | None = None
    message: str = ""


@dataclass(frozen=True)
class TrackedRun:
    """A run as it stands; `length` grows with everything that happens to it."""

    id: str
    project: str
    pipeline: str
    revision: str
    snapshot: str
    state: State
    message: str
    length: int
    created_by: str
    created_at: datetime
    ended_at: datetime | None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    datasets: tuple[str, ...] = ()
    steps: tuple[TrackedStep, ...] = ()
    artifacts: Mapping[str, str] = field(default_factory=dict)


Look = Callable[[str, int], TrackedRun | None]
"""The run as it stands, if its length is another than the given one; None also if it is gone."""


def track(session: Session, run: str, project: str) -> None:
    """Remember that MLflow is to be told of this run."""
    session.add(TrackedRunRow(run=run, project=project))


def mlflow_run_of(session: Session, run: str) -> str:
    """MLflow's id of a run; empty while it does not know it."""
    row = session.get(TrackedRunRow, run)
    return row.mlflow_run if row is not None else ""


class Tracker:
    """Tells MLflow of runs, one after the other."""

    def __init__(self, db: Database, client: MlflowClient, accounts: Accounts) -> None:
        self._db = db
        self._client = client
        self._accounts = accounts
        self._failed: set[str] = set()  # said once

    async def run(self, look: Look, check: Callable[[Session], None]) -> None:
        """Go on until cancelled. `check(session)` raises when another process drives; nothing else ends this."""
        while True:
            pause = EVERY
            try:
                await asyncio.to_thread(self.tell_all, look, check)
            except BackendUnavailable:
                pause = _BACK_OFF
            except Exception:  # whatever it is, runs go on
                log.exception("MLflow could not be told of runs")
                pause = _BACK_OFF
            await asyncio.sleep(pause)

    def tell_all(self, look: Look, check: Callable[[Session], None]) -> int:
        """Tell of every run of which MLflow does not know everything; how many. Blocking."""
        told, after = 0, ""
        while rows := self._waiting(after):
            for row in rows:
                told += self._tell_safely(row, look, check)
            after = rows[-1].run
        return told

    def _waiting(self, after: str) -> list[TrackedRunRow]:
        query = select(TrackedRunRow).where(TrackedRunRow.over.is_(False), TrackedRunRow.run > after)
        with self._db.read() as session:
            return list(session.scalars(query.order_by(TrackedRunRow.run).limit(_TOGETHER)))

    def _tell_safely(self, row: TrackedRunRow, look: Look, check: Callable[[Session], None]) -> bool:
        """One that cannot be told of keeps no other waiting."""
        try:
            return self._tell(row, look, check)
        except (AtelierError, SQLAlchemyError):
            raise  # MLflow or the database is away, or another process drives
        except Exception:
            if row.run not in self._failed:
                log.exception("MLflow cannot be told of the run %s", row.run)
            self._failed.add(row.run)
            return False

    def _tell(self, row: TrackedRunRow, look: Look, check: Callable[[Session], None]) -> bool:
        run = look(row.run, row.told)
        if run is None:
            return False
        known = row.mlflow_run
        try:
            known = self._send(run, known)
        except (BackendUnavailable, Invalid) as error:
            if error.code != REFUSED:
                raise
            log.warning("MLflow refused the run %s as it stands now: %s", run.id, error)
        with self._db.write() as session:
            table = update(TrackedRunRow).where(TrackedRunRow.run == row.run)
            session.execute(table.values(mlflow_run=known, told=run.length, over=run.state in FINAL))
            check(session)
        return True

    def _send(self, run: TrackedRun, known: str) -> str:
        client, account = self._client, self._accounts.ready(run.project, MEMBER)
        known = known or self._begin(account, run)
        client.log(
            account,
            known,
            parameters={key: _text(value, _PARAMETER) for key, value in run.parameters.items()},
            metrics=run.metrics,
            tags={f"{TAG}step.{step.name}": _said(step) for step in run.steps} | {"mlflow.note.content": _note(run)},
            at_ms=_ms(run.ended_at or run.created_at),
        )
        status = _STATUS.get(run.state, "RUNNING")
        client.update_run(account, known, status, _ms(run.ended_at) if run.state in FINAL and run.ended_at else None)
        return known

    def _begin(self, account: Account, run: TrackedRun) -> str:
        """The run at MLflow: found where this was cut short before, else made."""
        experiment = self._client.experiment(account, run.pipeline)
        tags = {
            "run": run.id,
            "pipeline": run.pipeline,
            "project": run.project,
            "by": run.created_by,
            "revision": run.revision,
            "snapshot": run.snapshot,
            "datasets": " ".join(run.datasets),
        }
        marked = {TAG + key: _text(value, _TAG) for key, value in tags.items() if value}
        marked |= {"mlflow.user": run.created_by, "mlflow.source.name": run.pipeline}
        found = self._client.find_run(account, experiment, f"{TAG}run", run.id)
        return found or self._client.create_run(account, experiment, run.id, _ms(run.created_at), marked)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _text(value: Any, most: int) -> str:
    text = str(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def _said(step: TrackedStep) -> str:
    return _text(step.state + (f" ({step.message})" if step.message else ""), 500)


def _note(run: TrackedRun) -> str:
    """The run in Markdown, which MLflow shows above everything else."""
    lines = [f"Run `{run.id}` of the pipeline **{run.pipeline}**: {run.state}. {run.message}".strip(), ""]
    lines += ["| step | state | seconds |", "| --- | --- | --- |"]
    for step in run.steps:
        took = f"{step.seconds:.1f}" if step.seconds is not None else ""
        lines.append(f"| {step.name} | {_said(step).replace('|', ' ')} | {took} |")
    if run.artifacts:
        lines += ["", "| artifact | address |", "| --- | --- |"]
        lines += [f"| {name} | `{address}` |" for name, address in run.artifacts.items()]
    return _text("\n".join(lines), _NOTE)
