"""The control plane, the kubelet, the API server, watches and shims fail while pipelines run in pods."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.campaign import EXPECTED_STARTS, LAST_ATTEMPT, Campaign, counting, query
from tests.faults.demo import run_under_fire
from tests.harness.cluster.fixtures import Cluster
from tests.harness.cluster.platform import control_plane
from tests.harness.cluster.settings import CannotRun
from tests.harness.control_plane import ControlPlane, pipeline, submit, wait_for
from tests.harness.hub import TestHub

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

PREFIX = "faults-"
RESOURCES = {"cpu": 0.02, "memory": "96Mi"}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory, hub: TestHub, cluster: Cluster) -> Iterator[ControlPlane]:
    # The steps tell a counter on this machine of each start; nothing else of it is open to them.
    egress = [f"{cluster.advertise_host or '127.0.0.1'}/32"]
    with control_plane(tmp_path_factory.mktemp("plane"), hub, cluster, PREFIX, egress_cidrs=egress) as plane:
        yield plane


@pytest.fixture
def campaign(
    plane: ControlPlane, cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Campaign]:
    count_file = tmp_path / "starts.txt"
    project = f"f{abs(hash(request.node.name)) % 10**6}"
    with counting(count_file, cluster.advertise_host or "127.0.0.1") as url:
        campaign = Campaign(
            plane,
            plane.client(project),
            project,
            tmp_path / "folder",
            on="cluster",
            instances=2,
            count_file=count_file,
            count_url=url,
        )
        campaign.prepare()
        yield campaign


def settle(
    campaign: Campaign, what: str, say: Callable[[str], None], lost: int = 0, starts_may_fail: bool = False
) -> None:
    """Wait for the end, print the figures, and check what must hold after every fault; at most `lost` attempts may be
    followed by another, and those that ran nothing if `starts_may_fail`."""
    campaign.finish(300)
    say(f"\n{what}: {campaign.report()}")
    assert set(campaign.states()) == {"done"}
    assert max(campaign.starts().values()) == 1
    assert len(campaign.starts()) >= EXPECTED_STARTS * len(campaign.runs)
    allowed = lost + (campaign.cancelled_starts() if starts_may_fail else 0)
    assert len(campaign.second_attempts()) <= allowed, campaign.second_attempts()


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    def print_through(text: str) -> None:
        with capsys.disabled():
            print(text)

    return print_through


def test_a_killed_control_plane_loses_nothing_and_does_nothing_twice(campaign: Campaign, kills: int, say):
    def strike() -> None:
        campaign.plane.kill()
        campaign.plane.start()

    campaign.hit(max(3, int(kills * 0.4)), strike, longest=4)
    settle(campaign, "cluster, control plane killed", say)


def test_the_demo_ends_with_the_same_numbers(plane: ControlPlane, kills: int, tmp_path: Path, say):
    client = plane.client("dana")
    times = max(1, kills // 16)
    strikes = [run_under_fire(plane, client, "dana", tmp_path / f"demo{n}", "cluster", n) for n in range(times)]
    say(f"\n{times} demos in pods with the control plane killed {strikes} times: all done, same numbers")


@pytest.mark.alone
def test_a_killed_kubelet_loses_nothing(campaign: Campaign, cluster: Cluster, say):
    def strike() -> None:
        with cluster.faults.kubelet_down():
            time.sleep(3)

    campaign.hit(2, strike, seed=3, longest=4)
    settle(campaign, "kubelet killed", say, starts_may_fail=True)  # what it is starting is cancelled with it


@pytest.mark.alone
def test_an_api_server_that_is_away_for_a_minute_loses_nothing(campaign: Campaign, cluster: Cluster, say):
    def strike() -> None:
        with cluster.faults.apiserver_down():
            time.sleep(60)

    campaign.hit(1, strike, seed=4, longest=4)
    settle(campaign, "API server away for 60 s", say)


@pytest.mark.alone
def test_a_watch_that_expired_loses_nothing(campaign: Campaign, cluster: Cluster, say):
    campaign.hit(1, cluster.faults.expire_watches, seed=5, longest=4)
    settle(campaign, "watches expired (410)", say)


BEATS = """\
import os, time
from urllib.request import Request, urlopen
attempt = os.environ["ATELIER_ATTEMPT"]
while True:
    urlopen(Request(os.environ["COUNT_URL"], f"{attempt} {time.time()}".encode()), timeout=5).close()
    if attempt.endswith("-2"):
        break
    time.sleep(0.2)
"""


@pytest.mark.alone
def test_what_runs_on_a_lost_node_ends_before_its_successor_begins(cluster: Cluster, hub: TestHub, tmp_path: Path):
    """Its kubelet is gone, it itself goes on: until it hears that it is over."""
    host = cluster.advertise_host or "127.0.0.1"
    options = {"egress_cidrs": [f"{host}/32"], "toleration_seconds": 1, "stop_seconds": 20}
    file = tmp_path / "beats.txt"
    with counting(file, host) as url, control_plane(tmp_path / "plane", hub, cluster, "lost-", **options) as plane:
        client, folder = plane.client("lea"), tmp_path / "folder"
        folder.mkdir()
        (folder / "beats.py").write_text(BEATS)
        step = {"file": "beats.py", "image": "python", "env": {"COUNT_URL": url}, "resources": RESOURCES}
        run = submit(client, "lea", folder, pipeline({"only": step}), on="cluster")
        _until(60, file.exists)
        with cluster.faults.kubelet_down():
            _until(200, lambda: next(client.steps.attempts("lea", run, "only")).state == "failed")
            over = time.time()
        assert wait_for(client, "lea", run).state == "done"
        beats = [(attempt, float(at)) for attempt, at in map(str.split, file.read_text().splitlines())]
        (lost, again) = client.steps.attempts("lea", run, "only")
    assert (lost.reason, again.state) == ("NodeLost", "done")
    assert len(beats) > 200, "it went on long after the kubelet was gone"
    assert max(at for attempt, at in beats if attempt.endswith("-1")) < over
    assert [attempt for attempt, _ in beats if attempt.endswith("-2")] == [again.id]


def _until(seconds: float, condition: Callable[[], object]) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_killed_shim_is_followed_by_one_second_attempt(campaign: Campaign, cluster: Cluster, say):
    chance, killed = random.Random(6), 0
    campaign.step_seconds = 3  # long enough to be found and hit while it runs
    victims = f"SELECT id, project FROM attempts WHERE state = 'running' AND number < {LAST_ATTEMPT}"

    def strike() -> None:
        nonlocal killed
        for _ in range(200):
            rows = query(campaign.plane, victims)
            if rows:
                attempt, project = chance.choice(rows)
                try:
                    hit = cluster.faults.kill_container(f"{PREFIX}{project}", attempt, "main")
                except CannotRun:
                    hit = []
                if hit:
                    killed += 1
                    return
            time.sleep(0.1)

    campaign.hit(3, strike, seed=6, longest=3)
    settle(campaign, f"cluster, {killed} shims killed", say, lost=killed)
    assert killed
    assert campaign.second_attempts()
