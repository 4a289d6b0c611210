"""What attempts use: engines are asked for all together and seldom, and shims are heard where engines cannot tell."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from atelier_core.backend import Backend, BackendSettings
from atelier_core.errors import BackendUnavailable
from atelier_core.workload import Handle, ReplicaUsage
from atelier_hub.artifacts.logs import LogStore
from atelier_hub.artifacts.store import ArtifactStore
from atelier_hub.db import Database
from atelier_hub.engine.driver import Driver
from atelier_hub.engine.logs import LogArchive
from atelier_hub.engine.store import Attempt, NewAttempt, draft_attempt
from atelier_hub.engine.usage import Usages, figures
from atelier_spawner.local.backend import LocalBackend

# What other processes tell is tried in test_replicas.
pytestmark = pytest.mark.parametrize("empty_db", ["sqlite"], indirect=True)

MIB = 1024**2


class Counted(LocalBackend):
    """The local engine; it notes what it was asked for, and may not be able to tell."""

    cannot = ""

    def __init__(self, settings: BackendSettings) -> None:
        super().__init__(settings)
        self.asked: list[set[str]] = []

    async def usage(self, handles: Sequence[Handle]) -> dict[str, tuple[ReplicaUsage, ...]]:
        self.asked.append({handle.workload for handle in handles})
        if self.cannot:
            raise BackendUnavailable(self.cannot)
        await asyncio.sleep(0.2)
        return {handle.workload: (usage(cpu=0.5),) for handle in handles}


class Driving(Driver):
    """A driver whose back ends can be reached."""

    def is_open(self, backend: str) -> bool:
        return backend in self.backends


def usage(name: str = "main-0", cpu: float = 1.5, memory: int = 100 * MIB) -> ReplicaUsage:
    return ReplicaUsage(name=name, cpu=cpu, memory=memory, cpu_given=2, memory_given=512 * MIB)


def attempt(number: int, backend: str = "local", replicas: int = 1) -> Attempt:
    return draft_attempt(
        NewAttempt(f"r1-step-{number}", "kim", "step", "r1", "step", number, backend, replicas=replicas)
    )


@pytest.fixture
def engine(tmp_path: Path) -> Counted:
    return Counted(BackendSettings("local", tmp_path))


@pytest.fixture
def usages(db: Database, engine: Counted, tmp_path: Path) -> Usages:
    backends: dict[str, Backend] = {"local": engine}
    archive = LogArchive(LogStore(ArtifactStore(f"file://{tmp_path}/store")))
    return Usages(db, Driving(db, backends, archive))


async def test_many_who_look_are_one_call_for_all(usages: Usages, engine: Counted) -> None:
    found = await asyncio.gather(*(usages.of([attempt(number % 5)]) for number in range(200)))
    assert len(engine.asked) <= 2
    assert engine.asked[-1] == {f"r1-step-{number}" for number in range(5)}
    assert {figures(one).cpu for each in found for one in each.values()} == {0.5}
    await usages.of([attempt(3)])
    assert len(engine.asked) <= 2


async def test_what_nobody_looks_at_is_not_asked_for_any_more(
    usages: Usages, engine: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("atelier_hub.engine.usage._WANTED", 0.1)
    monkeypatch.setattr("atelier_hub.engine.usage.INTERVAL", 0.1)
    await usages.of([attempt(1), attempt(2)])
    await asyncio.sleep(0.2)
    await usages.of([attempt(2)])
    assert engine.asked == [{"r1-step-1", "r1-step-2"}, {"r1-step-2"}]


async def test_shims_are_heard_where_the_engine_cannot_tell(usages: Usages, engine: Counted) -> None:
    engine.cannot = "The cluster does not say."
    one = attempt(1, replicas=2)
    seen = figures((await usages.of([one]))[one.id])
    assert (seen.cpu, seen.replicas, seen.message) == (None, 0, "The cluster does not say.")
    soon = usages.report(one, usage())
    usages.report(one, usage("main-1", memory=50 * MIB))
    usages.report(one, usage("main-2"))  # there is no third
    seen = figures((await usages.of([one]))[one.id])
    assert (seen.cpu, seen.replicas, seen.message, seen.cpu_given) == (3.0, 2, "", 4)
    late = usages.report(attempt(2), usage())
    assert soon < late < 60


async def test_what_the_engine_tells_counts_and_shims_still_call(usages: Usages, engine: Counted) -> None:
    """By the answer they hear whether their attempt goes on."""
    await usages.of([attempt(1)])
    assert 10 < usages.report(attempt(1), usage(cpu=1.9)) <= 15
    assert figures((await usages.of([attempt(1)]))["r1-step-1"]).cpu == 0.5
