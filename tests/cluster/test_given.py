"""The suite on a cluster that is there already, and where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.cluster import images
from tests.harness.cluster.fixtures import Cluster
from tests.harness.cluster.runtime import publish_runtime

pytestmark = pytest.mark.cluster  # as what it is about
ROOT = Path(__file__).parents[2]
TEST = "tests/contract/test_lifecycle.py::test_runs_to_its_end[kubernetes]"


def suite(**settings: str) -> subprocess.CompletedProcess[str]:
    """One test of the back end, in a suite of its own that is told of a cluster."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | settings
    words = [sys.executable, "-m", "pytest", "-p", "no:schemathesis", "-p", "no:cacheprovider", "-q", TEST]
    return subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False)


def test_a_cluster_that_is_named_is_used(cluster: Cluster) -> None:
    cluster.publish(images.base())  # as whoever has the cluster did
    named = {
        "ATELIER_TEST_KUBECONFIG": str(cluster.kubeconfig),
        "ATELIER_TEST_ADVERTISE_HOST": cluster.advertise_host or "",
        "ATELIER_TEST_REGISTRY": cluster.registry or "",
        "ATELIER_TEST_RUNTIME_IMAGE": publish_runtime(cluster),
    }
    done = suite(**named)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_no_cluster_is_a_failure_that_says_why(tmp_path: Path) -> None:
    done = suite(ATELIER_TEST_KUBECONFIG=str(tmp_path / "none"))
    assert done.returncode == 1
    assert (
        f"no cluster for this test: ATELIER_TEST_KUBECONFIG names {tmp_path}/none, which is not a file" in done.stdout
    )
    assert "passed" not in done.stdout
