"""What a back end lists and watches when not all of it is as it should be."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from atelier_core.states import Reason, State
from atelier_core.workload import Observation
from atelier_spawner.kubernetes.backend import KubernetesBackend
from tests.atelier_spawner.kubernetes.conftest import pod_of
from tests.harness.kube_api import KubeApi


def _forged() -> dict[str, Any]:
    """A step may write its own last words; these once ended every watch."""
    status = {"exitCode": 1, "reason": "Error", "message": '{"exit_code": 1, "values": [1]}'}
    return pod_of("forged", phase="Failed", containerStatuses=[{"name": "main", "state": {"terminated": status}}])


def _senseless() -> dict[str, Any]:
    pod = pod_of("senseless", phase="Running")
    pod["metadata"]["annotations"] = {"atelier.dev/replicas": "main=many"}
    return pod


BAD = {"forged": (_forged, Reason.EXIT_CODE), "senseless": (_senseless, Reason.SHIM_LOST)}


@pytest.mark.parametrize("name", BAD)
async def test_the_others_are_seen(name: str, quiet_cluster: KubeApi, quiet_backend: KubernetesBackend) -> None:
    make, reason = BAD[name]
    quiet_cluster.put("pods", make())
    quiet_cluster.put("pods", pod_of("good", phase="Succeeded"))
    listed = {each.workload: each for each in await quiet_backend.list()}
    watched: dict[str, Observation] = {}
    async with asyncio.timeout(5), aclosing(quiet_backend.watch()) as observations:  # type: ignore[type-var]
        async for seen in observations:
            watched[seen.workload] = seen
            if len(watched) == 2:
                break
    for told in (listed, watched):
        assert told["good"].state is State.DONE
        assert (told[name].state, told[name].reason) == (State.FAILED, reason)
        assert told[name].message


async def test_a_job_without_pods_too(quiet_cluster: KubeApi, quiet_backend: KubernetesBackend) -> None:
    job = _senseless()
    quiet_cluster.put("jobs", job)
    quiet_cluster.put("jobs", pod_of("good"))
    listed = {each.workload: each.state for each in await quiet_backend.list()}
    assert listed == {"senseless": State.FAILED, "good": State.STARTING}


async def test_a_complete_job_whose_pods_were_collected_is_over(
    quiet_cluster: KubeApi, quiet_backend: KubernetesBackend
) -> None:
    quiet_cluster.put("jobs", pod_of("done", conditions=[{"type": "Complete", "status": "True"}]))
    (seen,) = await quiet_backend.list()
    assert (seen.state, seen.reported) == (State.DONE, False)
