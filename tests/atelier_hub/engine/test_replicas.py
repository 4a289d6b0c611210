"""Two control planes on one PostgreSQL, each with a data folder of its own, as on two machines.

The steps are processes of this machine in a folder that both know: so whoever drives finds what the other started.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from atelier_sdk import Client
from tests.faults.campaign import EXPECTED_STARTS, Campaign, query
from tests.harness.control_plane import ControlPlane, environment_cache, pipeline, submit, wait_for
from tests.harness.hub import TestHub
from tests.harness.postgres import Postgres

USER = "kim"
LEASE_SECONDS = 15


class Replica(ControlPlane):
    """A control plane that shares database, artifacts and keys with others."""

    def __init__(self, folder: Path, hub: TestHub, shared: Path, db_url: str) -> None:
        local = {"type": "local", "cache_dir": str(environment_cache()), "folder": str(shared / "steps"), "cpu": 16}
        super().__init__(folder, hub, backends={"local": local}, db_url=db_url)
        settings = {"store_url": f"file://{shared}/store", "secret_key_file": str(shared / "key")}
        lines = [f"c.AtelierHub.{name} = {value!r}\n" for name, value in settings.items()]
        with (folder / "control-plane.py").open("a") as file:
            file.writelines(lines)

    def signal(self, number: int) -> None:
        """Pause it or let it go on."""
        assert self.process is not None
        os.kill(self.process.pid, number)


@pytest.fixture
def replicas(tmp_path: Path, hub: TestHub, postgres: Postgres) -> Iterator[tuple[Replica, Replica]]:
    """The one who drives, and the other."""
    shared = tmp_path / "shared"
    shared.mkdir()
    url = postgres.database()
    made = [Replica(tmp_path / name, hub, shared, url) for name in ("first", "second")]
    for replica in made:
        replica.start()
        _until(lambda: _holders(made[0]))
    yield made[0], made[1]
    for replica in made:
        if replica.process is not None and replica.process.poll() is None:
            replica.signal(signal.SIGCONT)
        replica.stop()


def _holders(replica: ControlPlane) -> list[Any]:
    return query(replica, "SELECT holder, fence FROM leases WHERE name = 'engine' AND holder <> ''")


def _until(what: Callable[[], Any], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


def _when(client: Client, subject: str, kind: str, events: list[Any]) -> float:
    """When something happened, by the control plane's clock."""
    for event in client.events.follow(project=USER, after=1):
        events.append(event)
        if (event.subject, event.kind) == (subject, kind):
            return float(event.at.timestamp())
    raise AssertionError(f"no event {kind} of {subject}")


def test_what_another_replica_is_told_is_done_at_once(replicas: tuple[Replica, Replica], tmp_path: Path) -> None:
    """Not when the one who drives looks for it by itself, which it does every five seconds."""
    _, other = replicas
    client = other.client(USER)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "wait.py").write_text("import time\ntime.sleep(600)\n")
    document = pipeline({"wait": {"file": "wait.py", "image": "python"}})
    waits = []
    for _ in range(4):
        run = submit(client, USER, tmp_path / "code", document)
        begun = _when(client, f"{run}-wait-1", "attempt.started", [])
        submitted = _when(client, run, "run.created", [])
        (used,) = client.runs.usage(USER, run)  # which the one who drives must be asked for
        assert (used.step, used.replicas, used.message) == ("wait", 1, ""), used
        client.runs.cancel(USER, run)
        assert wait_for(client, USER, run).state == "stopped"
        asked = _when(client, run, "run.stop_requested", [])
        stopping = _when(client, f"{run}-wait-1", "attempt.stop_requested", [])
        waits += [begun - submitted, stopping - asked]
    assert max(waits) < 2, waits


def test_a_paused_holder_changes_nothing_when_it_goes_on(
    replicas: tuple[Replica, Replica], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is stopped in the middle of its work for longer than its lease, the other takes over, then both are there."""
    first, second = replicas
    campaign = Campaign(second, second.client(USER), USER, tmp_path / "folder", on="local")
    campaign.prepare()
    paused, running = first, second
    for turn in range(2):
        for _ in range(campaign.instances):
            campaign.start_run()
        time.sleep(0.4 + 0.3 * turn)
        before = _holders(second)
        campaign.plane, campaign.client = running, running.client(USER)
        paused.signal(signal.SIGSTOP)
        campaign.phases["paused"] += 1
        _until(lambda before=before: _holders(second)[0][1] > before[0][1], LEASE_SECONDS + 45)
        time.sleep(1.0)
        paused.signal(signal.SIGCONT)
        _until(lambda paused=paused: "lease of the engine was lost" in paused.log())
        campaign.finish()
        paused, running = running, paused
    with capsys.disabled():
        print(f"\nthe replica that drives paused: {campaign.report()}")
    assert set(campaign.states()) == {"done"}
    assert max(campaign.starts().values()) == 1
    assert len(campaign.starts()) == EXPECTED_STARTS * len(campaign.runs)
    assert campaign.second_attempts() == []
