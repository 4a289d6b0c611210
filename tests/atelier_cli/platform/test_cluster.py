"""A person's way to a cluster: up, demo, doctor, each as the real command."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.atelier_cli.platform.installation import Installation
from tests.harness.cluster import images
from tests.harness.cluster.fixtures import Cluster
from tests.harness.cluster.platform import installed_beside

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def there(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A platform that uses the cluster, in namespaces of its own."""
    top = tmp_path_factory.mktemp("cluster")
    with installed_beside(cluster, top / "data", {"ATELIER_CREDENTIALS": str(top / "credentials.json")}) as (found, _):
        yield found


def doctor(there: Installation, *options: str) -> dict[str, Any]:
    """What it says of each thing."""
    done = there.run("doctor", "--from-pod", "--json", *options, check=False)
    return {check["name"]: check for check in map(json.loads, done.stdout.splitlines())}


@pytest.mark.timeout(600)
def test_the_demo_runs_on_the_cluster(there: Installation, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = [there.python, "-c", "from atelier_cli.main import main; main()"]
    started = time.monotonic()
    done = subprocess.run(
        [*program, "demo", "--on", "cluster", "--to", str(tmp_path / "demo")],
        env=there.env, cwd=tmp_path, capture_output=True, text=True, timeout=580, check=False,
    )  # fmt: skip
    with capsys.disabled():
        print(f"\ndemo on the cluster: {time.monotonic() - started:.0f} s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "evaluate: random-forest: confusion matrix" in done.stdout and "Run by ada" in done.stdout
    asked, said = re.findall(r"Asked about a handwritten (\d), it says (\d)\.", done.stdout)[0]
    assert asked == said


def test_a_pod_finds_the_way_back(there: Installation, cluster: Cluster) -> None:
    """From our own image, and from one that has nothing but a broken wget and nc."""
    for options in ([], ["--image", cluster.publish(images.busybox())]):
        found = doctor(there, *options)
        bad = [check for check in found.values() if check["state"] == "bad"]
        assert not bad and found["way back"]["state"] == "good", bad
    pods = cluster.get("pods", "-n", "default", "-l", "app.kubernetes.io/component=doctor")["items"]
    assert not [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]


def test_options_of_the_cluster_are_checked_before_anything_starts(spare: Installation, cluster: Cluster) -> None:
    for options, code in (
        (["--cluster-option", "stop_second=3"], "bad_backend_options"),
        (["--cluster-option", "stop_seconds"], "invalid"),
        (["--cluster-option", "uid_range=[5, 2]"], "bad_backend_options"),
    ):
        done = spare.run("up", "--json", "--kubeconfig", str(cluster.kubeconfig), *options, check=False)
        error = json.loads(done.stderr.splitlines()[-1])["error"]
        assert error["code"] == code and error["hint"], error
    done = spare.run("up", "--json", "--registry", "ghcr.io/me", check=False)
    assert json.loads(done.stderr.splitlines()[-1])["error"]["code"] == "no_cluster"
    assert not spare.processes()


def test_z_without_the_platform_the_way_back_is_bad(there: Installation, cluster: Cluster) -> None:
    there.run("down")
    found = doctor(there)["way back"]
    assert found["state"] == "bad" and "--bind" in found["hint"]
