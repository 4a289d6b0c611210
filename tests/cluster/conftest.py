"""Tests of the cluster rig itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.cluster import images
from tests.harness.cluster.fixtures import Cluster, cluster

__all__ = ["cluster"]


@pytest.fixture(scope="session")
def python_image(cluster: Cluster) -> str:
    """Debian with Python."""
    return cluster.publish(images.base())


@pytest.fixture(scope="session")
def busybox_image(cluster: Cluster) -> str:
    """A shell and nothing else."""
    return cluster.publish(images.busybox())


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    with cluster.namespace("rig") as name:
        yield name
