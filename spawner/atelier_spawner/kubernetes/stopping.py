"""Ending a workload: everything of it goes, and nobody is told so before its processes are gone."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from contextlib import aclosing

from atelier_core.errors import BackendUnavailable
from atelier_spawner.kubernetes.api import (
    DEPLOYMENTS,
    JOBS,
    NODES,
    PODS,
    REPLICA_SETS,
    SECRETS,
    SERVICES,
    Api,
    ApiError,
    Object,
)
from atelier_spawner.kubernetes.capacity import is_ready

log = logging.getLogger(__name__)

_WATCH_SECONDS = 30.0


async def remove(api: Api, namespace: str, selector: str, grace: float, patience: float) -> None:
    """Delete what runs, wait until it is gone, then delete the rest; `BackendUnavailable` if a pod will not go."""
    # Never 0: that removes the object at once and leaves the processes to whoever finds them.
    seconds = max(1, math.ceil(grace))
    for resource in (JOBS, DEPLOYMENTS, REPLICA_SETS):
        await api.delete(resource.path(namespace), labelSelector=selector)
    left = await _wait_gone(api, namespace, selector, seconds, seconds + patience)
    if left:
        await _give_up_dead_nodes(api, left)
    for resource in (SERVICES, SECRETS):
        await api.delete(resource.path(namespace), labelSelector=selector)


async def _wait_gone(api: Api, namespace: str, selector: str, grace: int, patience: float) -> list[Object]:
    """Ask every pod to end and wait for it; returns those that are still there when patience ends."""
    path = PODS.path(namespace)
    deadline = time.monotonic() + patience
    while True:
        listing = await api.list(path, selector)
        pods: list[Object] = listing["items"]
        if not pods:
            return []
        for pod in pods:
            if "deletionTimestamp" not in pod["metadata"] or _grace(pod) > grace:
                await _delete(api, pod, grace)
        left = deadline - time.monotonic()
        if left <= 0:
            return pods
        await _until_deleted(api, path, listing, selector, left)


async def _delete(api: Api, pod: Object, grace: int) -> None:
    """An ended pod has no processes left, so its object may go at once."""
    ended = pod["status"].get("phase") in ("Succeeded", "Failed")
    await api.delete(_path(pod), grace=0 if ended else grace)


def _grace(pod: Object) -> float:
    return float(pod["metadata"].get("deletionGracePeriodSeconds") or 0)


async def _until_deleted(api: Api, path: str, listing: Object, selector: str, left: float) -> None:
    """Until all listed pods were deleted, or the time is up, or the watch ends; the caller looks again anyway."""
    seconds, count = min(left, _WATCH_SECONDS), len(listing["items"])
    version = listing["metadata"]["resourceVersion"]
    try:
        async with asyncio.timeout(seconds):
            watching = api.watch(path, version, selector, timeoutSeconds=math.ceil(seconds))
            async with aclosing(watching) as events:
                async for event in events:
                    count -= event["type"] == "DELETED"
                    if count <= 0 or event["type"] == "ADDED":
                        return
    except TimeoutError:
        return
    except ApiError as error:
        if error.status != 410:
            raise


async def _give_up_dead_nodes(api: Api, pods: list[Object]) -> None:
    """A node that is dead cannot confirm; only then is a pod's object removed without it."""
    for pod in pods:
        node, name = pod["spec"].get("nodeName", ""), pod["metadata"]["name"]
        if node and await _alive(api, node):
            raise BackendUnavailable(
                f"The pod {name} does not end on node {node}.",
                code="pod_does_not_end",
                hint="It is tried again by itself; look at the node's kubelet if it lasts.",
            )
    for pod in pods:
        name = pod["metadata"]["name"]
        log.warning(
            "Node %s is lost; the pod %s is removed without its word. If it still runs, its shim has heard that it is "
            "over; on a node that reaches nobody it ends when the node returns.",
            pod["spec"].get("nodeName"),
            name,
        )
        await api.delete(_path(pod), grace=0)


async def _alive(api: Api, node: str) -> bool:
    try:
        return is_ready(await api.get(NODES.path(name=node)))
    except ApiError as error:
        if error.status == 404:
            return False
        if error.status == 403:
            return True  # cannot tell; the safe answer
        raise


def _path(pod: Object) -> str:
    return PODS.path(pod["metadata"]["namespace"], pod["metadata"]["name"])
