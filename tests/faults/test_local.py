"""The control plane and shims are killed while pipelines run on the laptop's engine."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.faults.campaign import EXPECTED_STARTS, LAST_ATTEMPT, Campaign, query
from tests.faults.demo import run_under_fire
from tests.harness.control_plane import ControlPlane
from tests.harness.hub import TestHub
from tests.harness.postgres import Postgres


@pytest.fixture
def plane(tmp_path: Path, hub: TestHub):
    plane = ControlPlane(tmp_path / "plane", hub)
    plane.start()
    yield plane
    plane.stop()


@pytest.fixture
def campaign(plane: ControlPlane, tmp_path: Path) -> Campaign:
    campaign = Campaign(plane, plane.client("kim"), "kim", tmp_path / "folder", on="local")
    campaign.prepare()
    return campaign


def test_a_killed_control_plane_loses_nothing_and_does_nothing_twice(campaign: Campaign, kills: int, capsys):
    def strike() -> None:
        campaign.plane.kill()
        campaign.plane.start()

    campaign.hit(kills, strike)
    campaign.finish()
    with capsys.disabled():
        print(f"\ncontrol plane killed: {campaign.report()}")
    assert set(campaign.states()) == {"done"}
    assert max(campaign.starts().values()) == 1
    assert len(campaign.starts()) == EXPECTED_STARTS * len(campaign.runs)
    assert campaign.second_attempts() == []


def test_the_demo_ends_with_the_same_numbers(plane: ControlPlane, kills: int, tmp_path: Path, capsys):
    client = plane.client("dana")
    times = max(1, kills // 16)
    strikes = [run_under_fire(plane, client, "dana", tmp_path / f"demo{n}", "local", n) for n in range(times)]
    with capsys.disabled():
        print(f"\n{times} demos with the control plane killed {strikes} times: all done, same numbers")


def test_a_killed_control_plane_on_postgresql(tmp_path: Path, hub: TestHub, postgres: Postgres, capsys):
    """The next process waits for the lease of the one that was killed; then all goes on."""
    plane = ControlPlane(tmp_path / "plane", hub, db_url=postgres.database())
    plane.start()
    campaign = Campaign(plane, plane.client("kim"), "kim", tmp_path / "folder", on="local")
    campaign.prepare()

    def strike() -> None:
        plane.kill()
        plane.start()

    try:
        campaign.hit(2, strike, seed=7)
        campaign.finish()
        with capsys.disabled():
            print(f"\ncontrol plane on PostgreSQL killed: {campaign.report()}")
        assert set(campaign.states()) == {"done"}
        assert max(campaign.starts().values()) == 1
        assert campaign.second_attempts() == []
    finally:
        plane.stop()


def test_a_killed_shim_is_followed_by_one_second_attempt(campaign: Campaign, kills: int, capsys):
    chance, killed = random.Random(1), 0

    def strike() -> None:
        nonlocal killed
        until = time.monotonic() + 30
        while not (shims := running_shims(campaign.plane.folder, last=False)) and time.monotonic() < until:
            time.sleep(0.02)
        if shims:
            victim = chance.choice(shims)
            try:
                os.kill(victim, signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                pass

    campaign.hit(max(3, kills // 2), strike, seed=2)
    campaign.finish()
    with capsys.disabled():
        print(f"\n{killed} shims killed: {campaign.report()}")
    assert set(campaign.states()) == {"done"}
    assert max(campaign.starts().values()) == 1
    assert 0 < len(campaign.second_attempts()) <= killed
    lost = query(campaign.plane, "SELECT DISTINCT reason FROM attempts WHERE state = 'failed'")
    assert {row[0] for row in lost} == {"ShimLost"}


def test_nothing_survives_a_cancelled_run(campaign: Campaign):
    campaign.start_run()
    time.sleep(0.6)
    campaign.client.runs.cancel("kim", campaign.runs[0])
    campaign.finish(30)
    assert set(campaign.states()) == {"stopped"}
    assert running_shims(campaign.plane.folder) == []


def running_shims(folder: Path, last: bool = True) -> list[int]:
    """Process ids of the shims of this control plane, found by their claims, those of `last` attempts or not."""
    found = []
    for root, _, names in os.walk(folder / "data" / "backends" / "local" / "attempts"):
        for name in names:
            if name.startswith("claim-") and (last or not Path(root).parent.name.endswith(f"-{LAST_ATTEMPT}")):
                with contextlib.suppress(OSError, ValueError):  # its attempt was removed meanwhile
                    found += alive(Path(root, name).read_text(errors="replace"))
    return found


def alive(claim: str) -> list[int]:
    """The shim that wrote the claim, if it still runs."""
    pid = json.loads(claim)["pid"]
    return [pid] if Path(f"/proc/{pid}").exists() else []
