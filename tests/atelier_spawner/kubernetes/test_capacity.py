"""Quantities, demands and quotas."""

from __future__ import annotations

from typing import Any

import pytest

from atelier_core.errors import QuotaExceeded
from atelier_spawner.kubernetes.capacity import check_quota, demand, free, quantity


def container(cpu: str, memory: str = "1Gi", **more: Any) -> dict[str, Any]:
    return {"resources": {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}}, **more}


def node(name: str, ready: str = "True", **spec: Any) -> dict[str, Any]:
    allocatable = {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "2", "pods": "110", "ephemeral-storage": "1"}
    conditions = [{"type": "Ready", "status": ready}]
    return {"metadata": {"name": name}, "spec": spec, "status": {"allocatable": allocatable, "conditions": conditions}}


@pytest.mark.parametrize(
    ("text", "number"), [("100m", 0.1), ("2", 2), ("1Gi", 2**30), ("1.5M", 1.5e6), ("12e6", 12e6), ("5k", 5000)]
)
def test_quantities(text: str, number: float) -> None:
    assert quantity(text) == pytest.approx(number)


def test_a_pod_asks_for_its_containers_and_sidecars_or_its_largest_init_step() -> None:
    sidecar = container("1", restartPolicy="Always")
    assert demand({"initContainers": [container("3"), sidecar], "containers": [container("1")]})["cpu"] == 3
    assert demand({"initContainers": [sidecar, container("3")], "containers": [container("1")]})["cpu"] == 4
    assert demand({"initContainers": [sidecar], "containers": [container("1"), container("1")]})["cpu"] == 3


def test_only_healthy_schedulable_nodes_count_and_ended_pods_do_not() -> None:
    nodes = [node("a"), node("b", ready="Unknown"), node("c", unschedulable=True)]
    running = {"spec": {"nodeName": "a", "containers": [container("1")]}, "status": {"phase": "Running"}}
    done = {"spec": {"nodeName": "a", "containers": [container("1")]}, "status": {"phase": "Succeeded"}}
    elsewhere = {"spec": {"nodeName": "b", "containers": [container("1")]}, "status": {"phase": "Running"}}
    assert free(nodes, [running, done, elsewhere]) == {
        "cpu": {"total": 4, "free": 3},
        "memory": {"total": 8 * 2**30, "free": 7 * 2**30},
        "nvidia.com/gpu": {"total": 2, "free": 2},
    }


def test_a_gang_that_does_not_fit_is_refused_whole() -> None:
    pod = {"containers": [container("1")]}
    quota = {"spec": {"hard": {"requests.cpu": "4", "pods": "10"}}, "status": {"used": {"requests.cpu": "2"}}}
    check_quota([quota], pod, 2)
    with pytest.raises(QuotaExceeded, match=r"requests\.cpu"):
        check_quota([quota], pod, 3)
    with pytest.raises(QuotaExceeded, match=r"limits\.memory"):
        check_quota([{"spec": {"hard": {"limits.memory": "1Gi"}}}], pod, 2)
