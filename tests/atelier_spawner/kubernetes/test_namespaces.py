"""Whose namespace it is that a project's name leads to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atelier_core.backend import BackendSettings
from atelier_core.errors import BackendUnavailable, Invalid
from atelier_core.workload import WorkloadSpec
from atelier_spawner.kubernetes.backend import KubernetesBackend
from tests.harness.kube_api import KubeApi

Specs = Callable[..., WorkloadSpec]
OURS = {"atelier.dev/instance": "atelier", "atelier.dev/project": "system"}


@pytest.fixture
def start(quiet_cluster: KubeApi, workload_specs: Specs, tmp_path: Path) -> Callable[..., Any]:
    """Start a step of the project `system`; returns the handle."""

    async def starts(**options: Any) -> dict[str, Any]:
        kubeconfig = quiet_cluster.kubeconfig(tmp_path / "kubeconfig")
        options = {"kubeconfig": kubeconfig, "quota": {}, **options}
        backend = KubernetesBackend(BackendSettings("quiet", tmp_path, options=options))
        await backend.open()
        try:
            async for handle in backend.start(workload_specs(project="system")):
                last = handle
            return last.data
        finally:
            await backend.close()

    return starts


def namespace(**labels: str) -> dict[str, Any]:
    return {"metadata": {"name": "atelier-system", "labels": labels}}


@pytest.mark.parametrize("labels", [{}, OURS | {"atelier.dev/instance": "other"}, OURS | {"atelier.dev/project": "x"}])
async def test_somebody_elses_is_left_alone(
    labels: dict[str, str], quiet_cluster: KubeApi, start: Callable[..., Any]
) -> None:
    quiet_cluster.put("namespaces", namespace(**labels))
    with pytest.raises(Invalid, match="atelier-system, which is not its own") as refused:
        await start()
    assert "kubectl label namespace atelier-system atelier.dev/instance=atelier" in refused.value.hint
    assert list(quiet_cluster.objects) == [("namespaces", "", "atelier-system")]
    assert quiet_cluster.objects["namespaces", "", "atelier-system"]["metadata"]["labels"] == labels


@pytest.mark.parametrize("before", [[], [namespace(**OURS)]])
async def test_ones_own_is_made_and_found_again(
    before: list[dict[str, Any]], quiet_cluster: KubeApi, start: Callable[..., Any]
) -> None:
    for each in before:
        quiet_cluster.put("namespaces", each)
    for _ in range(2):
        assert (await start())["namespace"] == "atelier-system"
    labels = quiet_cluster.objects["namespaces", "", "atelier-system"]["metadata"]["labels"]
    assert labels.items() >= OURS.items() and labels["pod-security.kubernetes.io/enforce"] == "restricted"


async def test_an_operators_needs_no_labels_but_is_not_the_platforms(
    quiet_cluster: KubeApi, start: Callable[..., Any]
) -> None:
    with pytest.raises(BackendUnavailable):
        await start(manage_namespaces=False)
    quiet_cluster.put("namespaces", namespace(theirs="yes"))
    assert await start(manage_namespaces=False)
    quiet_cluster.put("namespaces", namespace(**{"atelier.dev/system": "true"}))
    with pytest.raises(Invalid):
        await start(manage_namespaces=False)
