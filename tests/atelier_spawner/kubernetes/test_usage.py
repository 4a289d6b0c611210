"""What the metrics API says of pods, as replicas of workloads."""

from __future__ import annotations

from typing import Any

from atelier_core.workload import ReplicaUsage
from atelier_spawner.kubernetes.labels import INDEX, KIND, ROLE, WORKLOAD
from atelier_spawner.kubernetes.usage import usage_of

MIB = 1024**2


def pod(name: str, workload: str, created: str = "2026-01-01T00:00:00Z", **labels: str) -> dict[str, Any]:
    resources = {"requests": {"cpu": "500m", "memory": str(512 * MIB)}}
    metadata = {"name": name, "creationTimestamp": created, "labels": {WORKLOAD: workload, ROLE: "main", **labels}}
    return {"metadata": metadata, "spec": {"containers": [{"name": "main", "resources": resources}]}}


def metrics(name: str, cpu: str, memory: str) -> dict[str, Any]:
    ours = {"name": "sidecar", "usage": {"cpu": "9", "memory": "9Gi"}}
    main = {"name": "main", "usage": {"cpu": cpu, "memory": memory}}
    return {
        "metadata": {"name": name},
        "timestamp": "2026-01-01T00:00:10Z",
        "window": "10s",
        "containers": [ours, main],
    }


def test_the_steps_own_containers_count_by_replica() -> None:
    pods = [
        pod("one", "w1"),
        pod("gang-0", "w2", **{INDEX: "0"}),
        pod("gang-1", "w2", **{INDEX: "1"}),
        pod("served", "w3", **{KIND: "service"}),
        pod("new", "w4"),
    ]
    told = [
        metrics("one", "250m", "100Mi"),
        metrics("gang-0", "1500000000n", "1Gi"),
        metrics("gang-1", "0", "1Mi"),
        metrics("served", "20m", "65536Ki"),
        metrics("somebody-elses", "1", "1Gi"),
    ]
    given = {"cpu_given": 0.5, "memory_given": 512 * MIB}
    assert usage_of(pods, told) == {
        "w1": (ReplicaUsage(name="main-0", cpu=0.25, memory=100 * MIB, **given),),
        "w2": (
            ReplicaUsage(name="main-0", cpu=1.5, memory=1024 * MIB, **given),
            ReplicaUsage(name="main-1", cpu=0, memory=MIB, **given),
        ),
        "w3": (ReplicaUsage(name="main-0", cpu=0.02, memory=64 * MIB, **given),),
    }


def test_of_a_replica_that_was_started_again_the_newest_pod_counts() -> None:
    pods = [pod("late", "w", "2026-01-01T00:01:00Z"), pod("early", "w")]
    (found,) = usage_of(pods, [metrics("early", "1", "1Gi"), metrics("late", "2", "2Gi")])["w"]
    assert found.cpu == 2
