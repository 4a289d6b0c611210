"""Brings the run engine to life with the control plane."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from atelier_core.errors import Conflict
from atelier_core.pipeline.run import DeadlinePassed
from atelier_core.states import FINAL
from atelier_hub.auth import AttemptActor
from atelier_hub.context import Context
from atelier_hub.db import now
from atelier_hub.engine import backends, store
from atelier_hub.engine.driver import Driver
from atelier_hub.engine.election import Election, Turn, TurnOver
from atelier_hub.engine.logs import LogArchive
from atelier_hub.engine.reports import is_over
from atelier_hub.engine.tokens import AttemptTokens
from atelier_hub.engine.usage import Usages
from atelier_hub.features.datasets.service import Datasets, Uses
from atelier_hub.features.pipelines.offer import load_offer
from atelier_hub.features.pipelines.reconcile import KIND, Runs
from atelier_hub.features.pipelines.store import open_runs, overdue_runs, states_of
from atelier_hub.features.pipelines.tracked import RunLooks, set_up_tracking
from atelier_hub.features.projects import service as projects
from atelier_hub.features.projects.leftovers import Leftovers
from atelier_hub.features.registry.tracking import Tracker
from atelier_hub.features.serving.reconcile import Services
from atelier_hub.features.serving.replicas import KIND as REPLICA
from atelier_hub.features.serving.replicas import Replicas

log = logging.getLogger(__name__)
_DEADLINE_SECONDS = 1.0


class TokenOwners:
    """Finds the attempt behind a token (`auth.AttemptTokens`)."""

    def find(self, session: Session, token_sha256: str) -> AttemptActor | None:
        """The attempt, until everything of it is removed: its shim may still have to say how it ended."""
        found = store.attempt_by_token(session, token_sha256)
        if found is None or found.cleaned:
            return None
        return AttemptActor(found.id, found.project, over=is_over(session, found))


def setup(context: Context) -> None:
    """Wire offer, back ends, driver and runs; the engine starts with the app."""
    settings = context.settings
    offer = load_offer(settings, context.store)
    driver = Driver(
        context.db,
        backends.load(settings.backends, settings.data_dir, offer.images),
        LogArchive(context.logs),
    )
    tokens = AttemptTokens(context.keyring.derive("attempt tokens"))

    def reveal(session: Session, project: str, name: str) -> str:
        return projects.reveal(session, context.keyring, project, name)

    urls = {
        name: options.get("url") or settings.url_for(options["type"]) for name, options in settings.backends.items()
    }
    mlflow = {name: settings.mlflow_for(options) for name, options in settings.backends.items()}
    runs = Runs(tokens, reveal, urls=urls, mlflow_urls=mlflow)
    driver.owners[KIND] = runs
    driver.owners[REPLICA] = context.get(Replicas)
    usages = Usages(context.db, driver)
    for part in (offer, driver, runs, usages):
        context.provide(part)
    context.attempt_tokens = TokenOwners()
    set_up_tracking(context)
    context.delete_guards.append(_refuse_while_running)
    context.get(Leftovers).backends = tuple(driver.backends.values())
    context.get(Datasets).guards.append(_dataset_uses)
    election = Election(context.db, settings.data_dir)
    context.background("usage", usages.run)
    context.background("engine", lambda: election.lead(lambda turn: _drive(context, turn)))


async def _drive(context: Context, turn: Turn) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(context.get(Driver).run(turn))
        group.create_task(_watch_deadlines(context, turn))
        if context.settings.mlflow_url:
            group.create_task(context.get(Tracker).run(context.get(RunLooks).look, turn.check))
        group.create_task(context.get(Services).run(turn))


async def _watch_deadlines(context: Context, turn: Turn) -> None:
    """What goes wrong here must not end the engine, which shares this turn."""
    while True:
        try:
            touched = await asyncio.to_thread(_pass_deadlines, context, turn)
            context.get(Driver).wake(touched)
        except TurnOver:
            return  # whoever drives now looks at them
        except Exception:
            log.exception("The limits of runs could not be looked at")
        await asyncio.sleep(_DEADLINE_SECONDS)


def _pass_deadlines(context: Context, turn: Turn) -> list[str]:
    with context.db.read() as session:
        overdue = overdue_runs(session, now())
    return [attempt for run in overdue for attempt in _pass_deadline(context, turn, run)]


def _pass_deadline(context: Context, turn: Turn, run: str) -> Sequence[str]:
    """One that cannot be ended keeps no other going."""
    try:
        with context.db.write() as session:
            touched = context.get(Runs).feed(session, run, DeadlinePassed())
            turn.check(session)
    except (TurnOver, SQLAlchemyError):
        raise
    except Exception:
        log.exception("Run %s could not be ended at its limit", run)
        return ()
    return touched.attempts


def _dataset_uses(session: Session, runs: Sequence[str]) -> Uses:
    """Which of the runs that use a dataset are not over."""
    states = states_of(session, runs)
    running = [run for run, state in states.items() if state not in FINAL]
    return Uses(running=running, past=[run for run in states if run not in running])


def _refuse_while_running(session: Session, project: str) -> None:
    running = open_runs(session, project)
    if running:
        raise Conflict(
            f"The project still has {len(running)} running pipelines.",
            code="still_running",
            hint=f"Cancel them first: atelier pipeline cancel {running[0]}",
        )
