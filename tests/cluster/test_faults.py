"""The faults are real ones, and the cluster comes back from each."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest

from tests.harness.cluster.api import Api, Refused
from tests.harness.cluster.fake_nodes import TAINT, FakeNodes
from tests.harness.cluster.fixtures import Cluster
from tests.harness.cluster.settings import CannotRun
from tests.harness.cluster.shell import wait_for

from .manifests import ended, main_state, place, pod, ready

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


@pytest.mark.alone
def test_pods_survive_the_api_server(cluster: Cluster, namespace: str, busybox_image: str) -> None:
    cluster.apply(*place(namespace, pod("steady", busybox_image, "sleep 600")))
    before = cluster.wait_pod(namespace, "steady", ready)
    with cluster.faults.apiserver_down(kill=True), pytest.raises(CannotRun):
        cluster.kubectl("get", "--raw", "/readyz", timeout=10)
    after = cluster.wait_pod(namespace, "steady", ready)
    same: Callable[[dict], str] = lambda found: found["status"]["containerStatuses"][0]["containerID"]  # noqa: E731
    assert same(before) == same(after)


@pytest.mark.alone
def test_watch_from_before_gets_410(cluster: Cluster) -> None:
    faults = cluster.faults
    with contextlib.closing(Api()) as api:
        version = api.get("/api/v1/pods")["metadata"]["resourceVersion"]
        faults.expire_watches()
        assert first_answer(api, version) == 410
        assert first_answer(api, api.get("/api/v1/pods")["metadata"]["resourceVersion"]) != 410


def first_answer(api: Api, version: str) -> int:
    """A refusal comes as the answer's status or as the first event; 200 for any other first event."""
    try:
        event = next(api.watch("/api/v1/pods", version, timeoutSeconds="2"), {"type": "END"})
    except Refused as refused:
        return refused.status
    return event["object"]["code"] if event["type"] == "ERROR" else 200


def test_killed_process_in_a_pod(cluster: Cluster, namespace: str, busybox_image: str) -> None:
    faults = cluster.faults
    script = "sleep 601 & wait $!; echo child $?; sleep 602"
    cluster.apply(*place(namespace, pod("victim", busybox_image, script)))
    cluster.wait_pod(namespace, "victim", ready)
    wait_for("the child", lambda: faults.kill_in_pod(namespace, "victim", "main", matching="^sleep 601"), 10)
    wait_for("the shell", lambda: "child 137" in cluster.kubectl("logs", "-n", namespace, "victim"), 10)
    assert faults.kill_container(namespace, "victim", "main")
    state = main_state(cluster.wait_pod(namespace, "victim", ended))["terminated"]
    assert (state["exitCode"], state["reason"]) == (137, "Error")


@pytest.mark.alone
def test_pod_that_ends_while_the_kubelet_is_dead(cluster: Cluster, namespace: str, busybox_image: str) -> None:
    cluster.apply(*place(namespace, pod("alone", busybox_image, "sleep 3; exit 7")))
    cluster.wait_pod(namespace, "alone", ready)
    with cluster.faults.kubelet_down():
        time.sleep(4)
        status = cluster.get("pod", "-n", namespace, "alone")["status"]
        assert status["phase"] == "Running", "nobody can have told"
    state = main_state(cluster.wait_pod(namespace, "alone", ended))["terminated"]
    assert state["exitCode"] == 7


def test_fake_nodes_take_accelerator_pods(cluster: Cluster, namespace: str) -> None:
    assert cluster.faults  # fake nodes are for the rig only
    greedy = {"resources": {"limits": {"nvidia.com/gpu": "8"}}}
    spec = {"tolerations": [{"key": TAINT, "operator": "Exists"}]}
    pods = [pod(f"train-{number}", "nowhere/image:1", "true", spec=spec, **greedy) for number in range(3)]
    pods[0]["metadata"]["annotations"] = {"atelier.test/ends-after": "0.5", "atelier.test/exit-code": "4"}
    with FakeNodes(2, {"nvidia.com/gpu": "8"}, labels={"gpu": "h100"}):
        cluster.apply(*place(namespace, *pods))
        phases = lambda: [item["status"]["phase"] for item in cluster.get("pods", "-n", namespace)["items"]]  # noqa: E731
        wait_for(
            "an end, then the waiting pod's turn", lambda: sorted(phases()) == ["Failed", "Running", "Running"], 30
        )
        cluster.kubectl("delete", "pod", "-n", namespace, "train-1", timeout=20)
    names = [item["metadata"]["name"] for item in cluster.get("nodes")["items"]]
    assert not [name for name in names if name.startswith("fake-")]
