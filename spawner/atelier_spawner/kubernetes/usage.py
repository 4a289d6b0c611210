"""What pods use now, as the cluster's metrics API tells it (`metrics.k8s.io`, served by metrics-server)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable
from typing import Any

from atelier_core.errors import BackendUnavailable
from atelier_core.workload import ReplicaUsage
from atelier_spawner.kubernetes.api import PODS, Api, ApiError, Resource, explain
from atelier_spawner.kubernetes.capacity import quantity
from atelier_spawner.kubernetes.labels import WORKLOAD
from atelier_spawner.kubernetes.observe import replica_names
from atelier_spawner.kubernetes.pods import MAIN

METRICS = Resource("/apis/metrics.k8s.io/v1beta1", "pods")
_GOOD = 5.0  # seconds; metrics-server itself looks every fifteen
_MISSING = 300.0  # a cluster without the API hardly gets it meanwhile
_ABSENT = frozenset({403, 404, 503})

Found = dict[str, tuple[ReplicaUsage, ...]]
Manifest = dict[str, Any]


class Metrics:
    """One list of pods and one of their metrics per namespace, at most every some seconds."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, Found]] = {}
        self._missing: tuple[float, str] = (0.0, "")

    async def usage(self, api: Api, namespaces: Collection[str], selector: str) -> Found:
        """By workload; `BackendUnavailable` where the cluster does not tell."""
        until, why = self._missing
        if time.monotonic() < until:
            raise _unavailable(why)
        found: Found = {}
        for namespace in sorted(namespaces):
            found |= await self._of_namespace(api, namespace, selector)
        return found

    def forget(self, namespace: str) -> None:
        """Something in it is gone: look anew the next time."""
        self._kept.pop(namespace, None)

    async def _of_namespace(self, api: Api, namespace: str, selector: str) -> Found:
        at, found = self._kept.get(namespace, (float("-inf"), {}))
        if time.monotonic() - at > _GOOD:
            try:
                pods, metrics = await asyncio.gather(
                    api.list(PODS.path(namespace), selector), api.list(METRICS.path(namespace), selector)
                )
            except ApiError as error:
                if error.status not in _ABSENT:
                    raise explain(error, "say what pods use") from error
                self._missing = (time.monotonic() + _MISSING, error.message)
                raise _unavailable(error.message) from error
            found = usage_of(pods["items"], metrics["items"])
            self._kept[namespace] = (time.monotonic(), found)
        return found


def usage_of(pods: Iterable[Manifest], metrics: Iterable[Manifest]) -> Found:
    """What the step's own containers use, by workload; a pod that was not measured yet is left out."""
    measured = {
        each["metadata"]["name"]: container["usage"]
        for each in metrics
        for container in each["containers"]
        if container["name"] == MAIN
    }
    by_workload: dict[str, list[Manifest]] = {}
    for pod in pods:
        by_workload.setdefault(pod["metadata"]["labels"][WORKLOAD], []).append(pod)
    found: Found = {}
    for workload, own in by_workload.items():
        replicas = tuple(
            _replica(name, same[-1], measured[same[-1]["metadata"]["name"]])
            for name, same in sorted(replica_names(own).items())
            if same[-1]["metadata"]["name"] in measured
        )
        if replicas:
            found[workload] = replicas
    return found


def _replica(name: str, pod: Manifest, used: Manifest) -> ReplicaUsage:
    main = next(each for each in pod["spec"]["containers"] if each["name"] == MAIN)
    given = main["resources"]["requests"]
    return ReplicaUsage(
        name=name,
        cpu=quantity(used["cpu"]),
        memory=int(quantity(used["memory"])),
        cpu_given=quantity(given["cpu"]),
        memory_given=int(quantity(given["memory"])),
    )


def _unavailable(why: str) -> BackendUnavailable:
    return BackendUnavailable(
        f"The cluster does not say what its pods use ({why.rstrip('.')}); they say it themselves after some seconds.",
        code="no_metrics",
        hint="Install metrics-server, and allow to list pods of metrics.k8s.io.",
    )
