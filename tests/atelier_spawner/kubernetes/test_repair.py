"""A watch that misses a change: what it did not tell is found by the next list."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from atelier_core.backend import BackendSettings
from atelier_core.states import Reason, State
from atelier_core.workload import Handle, Observation
from atelier_hub.engine import following
from atelier_hub.engine.following import Follower
from atelier_hub.engine.store import Attempt, NewAttempt, draft_attempt
from atelier_spawner.kubernetes.backend import KubernetesBackend
from tests.atelier_spawner.kubernetes.conftest import pod_of
from tests.harness.kube_api import KubeApi, Object

Told = list[Observation]


def running() -> Object:
    return pod_of("w1", phase="Running", containerStatuses=[{"name": "main", "state": {"running": {}}}])


def missed_end(cluster: KubeApi) -> None:
    cluster.put("pods", pod_of("w1", phase="Succeeded"), told=False)


def missed_removal(cluster: KubeApi) -> None:
    cluster.remove("pods", "atelier-demo", "w1", told=False)


MISSED = [(missed_end, State.DONE, Reason.NONE), (missed_removal, State.FAILED, Reason.GONE)]


async def until_last(told: Told, state: State) -> Observation:
    async with asyncio.timeout(10):
        while not told or told[-1].state is not state:
            await asyncio.sleep(0.01)
    return told[-1]


@pytest.mark.parametrize(("miss", "state", "reason"), MISSED)
async def test_a_watch_lists_again(
    miss: Callable[[KubeApi], None],
    state: State,
    reason: Reason,
    quiet_cluster: KubeApi,
    quiet_backend: KubernetesBackend,
) -> None:
    told: Told = []

    async def follow() -> None:
        async for seen in quiet_backend.watch():
            told.append(seen)

    quiet_cluster.put("pods", running())
    watching = asyncio.create_task(follow())
    try:
        await until_last(told, State.RUNNING)
        miss(quiet_cluster)
        assert (await until_last(told, state)).reason is reason
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


class Witness:
    """Hears what a follower says of one attempt."""

    def __init__(self) -> None:
        self.told: Told = []
        self.row = replace(
            draft_attempt(NewAttempt("w1", "demo", "step", "r1", "step", 1, "quiet")),
            state=State.RUNNING,
            handle=Handle(workload="w1", data={"namespace": "atelier-demo"}),
        )

    def saw(self, seen: Observation) -> None:
        self.told.append(seen)

    def wake(self, attempts: Collection[str]) -> None:
        """Nothing to do."""

    def handed_over(self) -> Collection[str]:
        return ()

    async def rows(self) -> list[Attempt]:
        return [self.row]


@asynccontextmanager
async def followed(backend: KubernetesBackend) -> AsyncIterator[Witness]:
    witness = Witness()
    following_it = asyncio.create_task(Follower("quiet", backend, witness, witness.rows).run())
    try:
        yield witness
    finally:
        following_it.cancel()
        await asyncio.gather(following_it, return_exceptions=True)


@pytest.mark.parametrize(("miss", "state", "reason"), MISSED)
async def test_a_follower_lists_again_also_where_the_watch_does_not(
    miss: Callable[[KubeApi], None],
    state: State,
    reason: Reason,
    quiet_cluster: KubeApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(following, "REPAIR_SECONDS", 0.2)
    options = {"kubeconfig": quiet_cluster.kubeconfig(tmp_path / "kubeconfig"), "resync_seconds": 600}
    quiet_cluster.put("pods", running())
    async with followed(KubernetesBackend(BackendSettings("quiet", tmp_path, options=options))) as witness:
        await until_last(witness.told, State.RUNNING)
        miss(quiet_cluster)
        assert (await until_last(witness.told, state)).reason is reason
