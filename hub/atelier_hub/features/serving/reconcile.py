"""Keeps services as they are wanted, in rounds: look at everything, decide, change one step, look again.

All that is decided stands in the database, so it does not matter where a killed control plane stopped. Only the process
that drives the engine does this, and only for as long as its turn lasts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from atelier_core.errors import AtelierError
from atelier_core.rollout import decide
from atelier_core.routing import GatewayStats, TargetStats
from atelier_core.service_view import Load, ServiceView, Sight
from atelier_core.states import State
from atelier_hub.clients.gateway import GatewayClient
from atelier_hub.context import Context
from atelier_hub.db import now
from atelier_hub.db.listen import Listener
from atelier_hub.engine import store as attempts
from atelier_hub.engine.driver import Driver
from atelier_hub.engine.election import Turn, TurnOver
from atelier_hub.engine.store import Attempt
from atelier_hub.engine.transactions import Transactions
from atelier_hub.engine.usage import Usages
from atelier_hub.features.serving import figures, store, traffic
from atelier_hub.features.serving.figures import Scaler
from atelier_hub.features.serving.probing import Asked, Prober
from atelier_hub.features.serving.replicas import Replicas
from atelier_hub.features.serving.transition import Transition
from atelier_hub.features.serving.usage import Busy

log = logging.getLogger(__name__)

CHANNEL = "atelier_services"
ROUND_SECONDS = 1.0
REST_SECONDS = 5.0
_MOST_STEPS = 30
_RECORD_SECONDS = 2.0


@dataclass(frozen=True)
class Found:
    """A service as one round found it: `running` are replicas to ask, `silent` those whose last words are missing."""

    id: str
    name: str
    view: ServiceView
    running: Mapping[str, Asked]
    silent: Mapping[str, Attempt]


class Services:
    """The face of this feature to the rest, whether this process drives or another one."""

    def __init__(self, context: Context, replicas: Replicas) -> None:
        self._context = context
        self._replicas = replicas
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event = asyncio.Event()
        replicas.changed = self.poke

    def poke(self) -> None:
        """Look at the services now, whichever process drives; from any thread."""
        if self._loop is not None:
            self._poke_here("")
            return
        try:
            self._context.db.notify(CHANNEL, "")
        except SQLAlchemyError as error:
            log.warning("The process that drives could not be told: %s", error)

    def _poke_here(self, _: str) -> None:
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop closed meanwhile
                loop.call_soon_threadsafe(self._event.set)

    async def run(self, turn: Turn) -> None:
        """Look after all services until cancelled."""
        self._event = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        listener = Listener(self._context.db, CHANNEL, self._poke_here)
        settings = self._context.settings
        async with AsyncExitStack() as stack:
            gateway = None
            if settings.gateway_url:
                client = GatewayClient(settings.gateway_url, settings.gateway_secret)
                gateway = await stack.enter_async_context(client)
            rounds = Rounds(self._context, self._replicas, turn, gateway, self._event.set)
            try:
                listener.start()
                await self._rounds(rounds)
            finally:
                self._loop = None
                await rounds.close()
                await asyncio.to_thread(listener.stop)

    async def _rounds(self, rounds: Rounds) -> None:
        while True:
            self._event.clear()
            pause = REST_SECONDS
            try:
                pause = await rounds.one()
            except TurnOver:
                return  # whoever drives now looks after them
            except (AtelierError, SQLAlchemyError) as error:
                log.warning("A round of the services failed: %s", error)
                pause = ROUND_SECONDS
            except Exception:  # a bug here must not end the engine, which shares this turn
                log.exception("A round of the services failed")
                pause = ROUND_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._event.wait()


class Rounds:
    """One turn's rounds; nothing that they remember is needed by the next turn."""

    def __init__(
        self,
        context: Context,
        replicas: Replicas,
        turn: Turn,
        gateway: GatewayClient | None,
        changed: Callable[[], None],
    ) -> None:
        self._context = context
        self._replicas = replicas
        self._gateway = gateway
        self._transactions = Transactions(context.db, turn)
        self._prober = Prober(context, changed)
        self._scaler = Scaler()
        self._busy = Busy(context.get(Usages))
        self._stats: GatewayStats | None = None
        self._last_recorded: GatewayStats | None = None
        self._last_record = 0.0

    async def close(self) -> None:
        """End what is under way."""
        await self._prober.close()
        await self._busy.close()
        self._transactions.close()

    async def one(self) -> float:
        """A round; returns seconds until the next is due."""
        found = await self._transactions.read(_look)
        self._stats = await self._gateway.stats() if self._gateway else None
        await self._record(found)
        running = {attempt: asked for one in found for attempt, asked in one.running.items()}
        silent = {attempt: row for one in found for attempt, row in one.silent.items()}
        due = self._prober.look(running, silent)
        self._busy.look([each for one in found for each in one.view.revisions], running)
        confirmed = await self._confirmed(found)
        self._scaler.forget([(one.id, each.number) for one in found for each in one.view.revisions])
        for one in found:
            await self._look_after_safely(one, confirmed)
        await self._push()
        return min(due, ROUND_SECONDS) if found else REST_SECONDS

    # --- one service ---

    async def _look_after_safely(self, one: Found, confirmed: bool | None) -> None:
        """One that cannot be looked after now keeps no other waiting."""
        try:
            await self._look_after(one, await self._sight(one, confirmed))
        except TurnOver:
            raise
        except Exception:
            log.exception("Service %s could not be looked after", one.name)

    async def _look_after(self, one: Found, sight: Sight) -> None:
        view: ServiceView | None = one.view
        for _ in range(_MOST_STEPS):
            if view is None or not decide(view, sight):
                return
            view, touched = await self._transactions.write(partial(self._step, one.id, sight))
            self._context.get(Driver).wake(touched)
            if sight.confirmed:
                sight = replace(sight, confirmed=False)  # what has changed now, the gateway does not know
        log.warning("Service %s does not settle", one.name)

    def _step(self, service: str, sight: Sight, session: Session) -> tuple[ServiceView | None, Sequence[str]]:
        """Decide again now that nobody else changes the service, and do it."""
        row = store.lock_service(session, service)
        if row is None:
            return None, ()
        sight = replace(sight, now=now())
        transition = Transition(session, row, self._replicas)
        transition.carry_out(decide(store.views(session, [row])[service], sight))
        session.expire_all()
        row = store.lock_service(session, service)
        return (store.views(session, [row])[service] if row is not None else None), transition.touched

    async def _sight(self, one: Found, confirmed: bool | None) -> Sight:
        stats = self._stats
        targets = stats.services.get(one.name, {}) if stats else {}
        moment = asyncio.get_running_loop().time()
        running = one.view.at(State.RUNNING)
        bad: Mapping[int, str] = {}
        if any(each.definition.rollback is not None for each in running):
            bad = await self._transactions.read(lambda session: figures.judge(session, one.id, one.view, now()))
        return Sight(
            now=now(),
            probes=self._prober.probes,
            words=self._prober.words,
            hung=self._prober.hung(),
            loads={number: Load(target.active, target.last_request) for number, target in targets.items()},
            replicas={
                each.number: self._scaler.replicas(
                    one.id, each, self._load(targets, each.number), self._busy.percent(each), moment
                )
                for each in running
                if stats is not None or each.definition.scale.cpu is not None
            },
            bad=bad,
            waiting=stats.waiting.get(one.name, 0) if stats else 0,
            confirmed=confirmed,
        )

    def _load(self, targets: Mapping[int, TargetStats], revision: int) -> TargetStats | None:
        """What a revision has to do; None while the gateway does not say."""
        silent = self._gateway is not None and self._stats is None
        return None if silent else targets.get(revision, TargetStats())

    # --- the gateway ---

    async def _confirmed(self, found: Sequence[Found]) -> bool | None:
        """Whether the gateway has the routes as they stand now."""
        if self._gateway is None:
            return None
        stats = self._stats
        if stats is None:
            return False
        number = await self._transactions.read(lambda session: _numbered(session, stats.generation)[1])
        return number > 0 and stats.generation == number

    async def _push(self) -> None:
        if self._gateway is None:
            return
        known = self._stats.generation if self._stats else 0
        routes, number = await self._transactions.read(lambda session: _numbered(session, known))
        if not number:
            routes = await self._transactions.write(lambda session: traffic.number(session, routes, known))
        elif self._stats is not None and known == number:
            return
        else:
            routes = routes.model_copy(update={"generation": number})
        await self._gateway.put_routes(routes)

    async def _record(self, found: Sequence[Found]) -> None:
        stats, moment = self._stats, asyncio.get_running_loop().time()
        if stats is None or moment - self._last_record < _RECORD_SECONDS:
            return
        if figures.has_news(stats, self._last_recorded):
            ids = {one.name: one.id for one in found}
            await self._transactions.write(lambda session: figures.record(session, stats, ids, now()))
            self._last_recorded, self._last_record = stats, moment


def _numbered(session: Session, known: int) -> tuple[traffic.Routes, int]:
    """The routes as they stand, and their number if they have one."""
    rows = store.open_services(session)
    views = store.readable_views(session, rows)
    routes = traffic.build(session, {f"{row.project}/{row.name}": views[row.id] for row in rows if row.id in views})
    return routes, traffic.is_numbered(session, routes, known)


def _look(session: Session) -> list[Found]:
    """Every service for which there may be something to do."""
    rows = store.open_services(session)
    views = store.readable_views(session, rows)
    return [_find(session, row, views[row.id]) for row in rows if row.id in views]


def _find(session: Session, row: store.ServiceRow, view: ServiceView) -> Found:
    running: dict[str, Asked] = {}
    silent: dict[str, Attempt] = {}
    for revision in view.revisions:
        for one in revision.attempts:
            ask = one.state is State.RUNNING and not one.stop_wanted
            if not ask and not (one.failed and one.words is None):
                continue
            attempt = attempts.get_attempt(session, one.attempt)
            if attempt is not None and ask:
                health = _health(session, row.id, revision.number)
                running[one.attempt] = Asked(attempt, health, one.ready, one.url)
            elif attempt is not None:
                silent[one.attempt] = attempt
    return Found(row.id, f"{row.project}/{row.name}", view, running, silent)


def _health(session: Session, service: str, number: int) -> str:
    revision = store.get_revision(session, service, number)
    return str(revision.plan.get("health", "")) if revision is not None else ""
