"""The rig is a real cluster: each thing that the platform's tests lean on, tried once."""

from __future__ import annotations

import json
import time
import urllib.request

import pytest

from tests.harness.cluster.fixtures import Cluster
from tests.harness.cluster.settings import CannotRun
from tests.harness.cluster.shell import wait_for

from .manifests import ASK, SERVE, ended, main_state, place, pod, ready, service

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


def test_node_is_ready(cluster: Cluster) -> None:
    nodes = cluster.get("nodes")["items"]
    assert any(ready(node["status"]) for node in nodes)


def test_pod_runs_and_its_logs_are_read(cluster: Cluster, namespace: str, python_image: str) -> None:
    cluster.apply(*place(namespace, pod("hello", python_image, "python -c 'import sys; print(sys.version)'; exit 3")))
    found = cluster.wait_pod(namespace, "hello", ended)
    assert main_state(found)["terminated"]["exitCode"] == 3
    assert cluster.kubectl("logs", "-n", namespace, "hello").startswith("3.11")


def test_services_by_name_from_pods_and_by_address_from_the_host(
    cluster: Cluster, namespace: str, busybox_image: str
) -> None:
    labels = {"app": "web"}
    cluster.apply(
        *place(
            namespace,
            pod("web", busybox_image, SERVE, labels=labels),
            service("web", labels),
            pod("client", busybox_image, f"until {ASK} | nc -w 2 web.{namespace} 80 | grep web; do sleep 0.2; done"),
        )
    )
    cluster.wait_pod(namespace, "client", ended)
    assert cluster.kubectl("logs", "-n", namespace, "client").splitlines()[-1] == "web"
    if cluster.owned:  # elsewhere the test may run outside the cluster's network
        address = cluster.get("service", "-n", namespace, "web")["spec"]["clusterIP"]
        assert urllib.request.urlopen(f"http://{address}/name", timeout=10).read() == b"web\n"


def test_pod_reaches_the_host(cluster: Cluster, namespace: str, python_image: str) -> None:
    if not cluster.owned:
        pytest.skip("only the rig knows an address and a port of the host")
    script = f"python -c 'import socket; socket.create_connection((\"{cluster.advertise_host}\", 6443), 5)'"
    cluster.apply(*place(namespace, pod("caller", python_image, script)))
    assert main_state(cluster.wait_pod(namespace, "caller", ended))["terminated"]["exitCode"] == 0


def test_quota_refuses_what_is_too_much(cluster: Cluster, namespace: str, busybox_image: str) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small"},
        "spec": {"hard": {"requests.cpu": "100m"}},
    }
    limits = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "defaults"},
        "spec": {"limits": [{"type": "Container", "defaultRequest": {"cpu": "60m"}, "default": {"cpu": "1"}}]},
    }
    cluster.apply(*place(namespace, quota, limits))
    wait_for("the quota", lambda: cluster.get("quota", "-n", namespace, "small").get("status", {}).get("used"), 30)
    cluster.apply(*place(namespace, pod("first", busybox_image, "sleep 60")))
    request = cluster.get("pod", "-n", namespace, "first")["spec"]["containers"][0]["resources"]["requests"]["cpu"]
    assert request == "60m", "the LimitRange gives what the pod does not say"
    with pytest.raises(CannotRun, match="exceeded quota"):
        cluster.apply(*place(namespace, pod("second", busybox_image, "sleep 60")))


def test_restricted_namespace_refuses_root_and_runs_a_careful_pod(cluster: Cluster, busybox_image: str) -> None:
    careful = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    person = {"runAsNonRoot": True, "runAsUser": 1000, "fsGroup": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    with cluster.namespace("restricted", **{"pod-security.kubernetes.io/enforce": "restricted"}) as namespace:
        with pytest.raises(CannotRun, match="violates PodSecurity"):
            cluster.apply(*place(namespace, pod("root", busybox_image, "id")))
        tame = pod("tame", busybox_image, "id -u", spec={"securityContext": person}, securityContext=careful)
        cluster.apply(*place(namespace, tame))
        cluster.wait_pod(namespace, "tame", ended)
        assert cluster.kubectl("logs", "-n", namespace, "tame").strip() == "1000"


def reaches(cluster: Cluster, namespace: str, client: str, address: str) -> bool:
    ask = f"{ASK} | nc -w 1 {address} 80 | grep -q web"
    try:
        cluster.kubectl("exec", "-n", namespace, client, "--", "/bin/sh", "-c", ask)
    except CannotRun:
        return False
    return True


def policy(name: str, **spec: object) -> dict:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": {}, **spec},
    }


def test_network_policies_hold_between_namespaces(cluster: Cluster, namespace: str, busybox_image: str) -> None:
    labels = {"app": "web"}
    with cluster.namespace("other", team="blue") as other:
        cluster.apply(*place(namespace, pod("web", busybox_image, SERVE, labels=labels), service("web", labels)))
        cluster.apply(*place(other, pod("client", busybox_image, "sleep 600")))
        cluster.wait_pod(namespace, "web", ready)
        cluster.wait_pod(other, "client", ready)
        address = f"web.{namespace}"
        wait_for("the service", lambda: reaches(cluster, other, "client", address), 20)

        cluster.apply(*place(namespace, policy("deny", policyTypes=["Ingress"])))
        wait_for("the refusal", lambda: not reaches(cluster, other, "client", address), 20)
        host = cluster.get("pod", "-n", namespace, "web")["status"]["podIP"]
        if cluster.owned:
            assert urllib.request.urlopen(f"http://{host}:8080/name", timeout=5).read() == b"web\n"

        blue = {"namespaceSelector": {"matchLabels": {"team": "blue"}}}
        allow = [{"from": [blue], "ports": [{"port": 8080}]}]
        cluster.apply(*place(namespace, policy("allow", policyTypes=["Ingress"], ingress=allow)))
        wait_for("the way", lambda: reaches(cluster, other, "client", address), 20)

        cluster.apply(*place(other, policy("quiet", policyTypes=["Egress"])))
        wait_for("the silence", lambda: not reaches(cluster, other, "client", address), 20)


def test_native_sidecar_starts_before_main_and_ends_after_it(
    cluster: Cluster, namespace: str, busybox_image: str
) -> None:
    sidecar = {
        "name": "side",
        "image": busybox_image,
        "restartPolicy": "Always",
        "command": ["/bin/sh", "-c", "trap 'echo side-end >> /x/log; cat /x/log; exit 0' TERM; echo side >> /x/log; "
                    "touch /x/up; while :; do sleep 0.1; done"],
        "startupProbe": {"exec": {"command": ["/bin/test", "-e", "/x/up"]}, "periodSeconds": 1},
        "volumeMounts": [{"name": "x", "mountPath": "/x"}],
    }  # fmt: skip
    first = sidecar | {"name": "first", "command": ["/bin/sh", "-c", "echo first >> /x/log"]}
    first = {key: value for key, value in first.items() if key not in ("restartPolicy", "startupProbe")}
    whole = pod(
        "ordered", busybox_image, "echo main >> /x/log; exit 5", volumeMounts=[{"name": "x", "mountPath": "/x"}],
        spec={"initContainers": [first, sidecar], "volumes": [{"name": "x", "emptyDir": {"sizeLimit": "2Gi"}}],
              "terminationGracePeriodSeconds": 10},
    )  # fmt: skip
    cluster.apply(*place(namespace, whole))
    found = cluster.wait_pod(namespace, "ordered", ended)
    assert found["status"]["phase"] == "Failed"
    assert main_state(found)["terminated"]["exitCode"] == 5
    assert cluster.kubectl("logs", "-n", namespace, "ordered", "-c", "side").split() == [
        "first",
        "side",
        "main",
        "side-end",
    ]


def test_too_much_memory_is_oom_killed(cluster: Cluster, namespace: str, python_image: str) -> None:
    hungry = pod(
        "hungry", python_image, "exec python -c 'bytearray(300 << 20)'", resources={"limits": {"memory": "64Mi"}}
    )
    cluster.apply(*place(namespace, hungry))
    state = main_state(cluster.wait_pod(namespace, "hungry", ended))["terminated"]
    assert (state["reason"], state["exitCode"]) == ("OOMKilled", 137)


def test_image_that_is_not_there(cluster: Cluster, namespace: str) -> None:
    cluster.apply(*place(namespace, pod("lost", f"{cluster.registry}/atelier/no-such-image:1", "true")))

    def reason(status: dict) -> str:
        lines = status.get("containerStatuses") or [{}]
        return lines[0].get("state", {}).get("waiting", {}).get("reason", "")

    cluster.wait_pod(namespace, "lost", lambda status: reason(status) == "ErrImagePull")
    cluster.wait_pod(namespace, "lost", lambda status: reason(status) == "ImagePullBackOff")


def test_indexed_job_with_headless_service(cluster: Cluster, namespace: str, busybox_image: str) -> None:
    meet = f"until ping -c1 -W1 gang-0.gang.{namespace} >/dev/null 2>&1; do sleep 0.2; done"
    script = f"{meet}; sleep 2; echo $JOB_COMPLETION_INDEX"
    template = pod("ignored", busybox_image, script, labels={"gang": "gang"})
    template = {"metadata": {"labels": {"gang": "gang"}}, "spec": template["spec"] | {"subdomain": "gang"}}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "gang"},
        "spec": {
            "completions": 2,
            "parallelism": 2,
            "completionMode": "Indexed",
            "backoffLimit": 0,
            "template": template,
        },
    }
    headless = service("gang", {"gang": "gang"}, clusterIP="None", publishNotReadyAddresses=True)
    cluster.apply(*place(namespace, headless, job))
    cluster.kubectl("wait", "-n", namespace, "job/gang", "--for=condition=Complete", "--timeout=60s")
    logs = cluster.kubectl("logs", "-n", namespace, "-l", "gang=gang", "--tail=1")
    assert sorted(logs.split()) == ["0", "1"]


def test_dynamic_volume_keeps_what_a_person_wrote(cluster: Cluster, namespace: str, busybox_image: str) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "home"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}},
    }
    spec = {
        "securityContext": {"runAsUser": 1000, "fsGroup": 1000},
        "volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": "home"}}],
    }
    mount = {"volumeMounts": [{"name": "home", "mountPath": "/home"}]}
    started = time.monotonic()
    cluster.apply(*place(namespace, claim, pod("writer", busybox_image, "echo kept > /home/note", spec=spec, **mount)))
    assert cluster.wait_pod(namespace, "writer", ended)["status"]["phase"] == "Succeeded"
    assert time.monotonic() - started < 30
    cluster.apply(*place(namespace, pod("reader", busybox_image, "cat /home/note", spec=spec, **mount)))
    cluster.wait_pod(namespace, "reader", ended)
    assert cluster.kubectl("logs", "-n", namespace, "reader").strip() == "kept"


def test_roles_limit_a_service_account(cluster: Cluster, namespace: str) -> None:
    who = f"--as=system:serviceaccount:{namespace}:default"
    with pytest.raises(CannotRun, match="orbidden"):
        cluster.kubectl("get", "pods", "-n", namespace, who)
    cluster.kubectl(
        "create", "rolebinding", "view", "-n", namespace, "--clusterrole=view", f"--serviceaccount={namespace}:default"
    )
    wait_for("the role", lambda: json.loads(cluster.kubectl("get", "pods", "-n", namespace, who, "-o", "json")), 10)
