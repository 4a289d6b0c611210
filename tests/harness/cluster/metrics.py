"""metrics-server beside the rig, for the time of a block: the API `metrics.k8s.io`, which says what pods use."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .fixtures import Cluster
from .pki import kubeconfig_path
from .programs import PROGRAMS
from .settings import NODE_IP
from .shell import wait_for

PORT = 4443
NAME, NAMESPACE = "metrics-server", "kube-system"
API = "v1beta1.metrics.k8s.io"


@contextmanager
def metrics_server(cluster: Cluster) -> Iterator[None]:
    """It looks every ten seconds. A test that needs it is skipped where nobody has compiled it: that takes minutes."""
    program = PROGRAMS[NAME].target
    if not cluster.owned or not program.exists():
        pytest.skip("needs the rig and metrics-server: python -m tests.harness.cluster build metrics-server")
    with tempfile.TemporaryDirectory() as folder:
        admin = kubeconfig_path("admin")
        process = subprocess.Popen(
            [
                str(program), f"--kubeconfig={admin}", f"--authentication-kubeconfig={admin}",
                f"--authorization-kubeconfig={admin}", f"--bind-address={NODE_IP}", f"--secure-port={PORT}",
                f"--cert-dir={folder}", "--kubelet-insecure-tls", "--kubelet-preferred-address-types=InternalIP",
                "--metric-resolution=10s", "--kubelet-request-timeout=5s",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            cluster.apply(*_documents())
            wait_for(NAME, lambda: _available(cluster), 60)
            yield
        finally:
            cluster.kubectl("delete", "apiservice", API, "--ignore-not-found")
            cluster.kubectl("delete", "service,endpoints", "-n", NAMESPACE, NAME, "--ignore-not-found")
            process.terminate()
            process.wait(20)


def _available(cluster: Cluster) -> bool:
    conditions = cluster.get("apiservice", API).get("status", {}).get("conditions", [])
    return any(one["type"] == "Available" and one["status"] == "True" for one in conditions)


def _documents() -> list[dict]:
    named = {"name": NAME, "namespace": NAMESPACE}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": named, "spec": {"ports": [{"port": 443}]}},
        {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": named,
            "subsets": [{"addresses": [{"ip": NODE_IP}], "ports": [{"port": PORT}]}],
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": API},
            "spec": {
                "service": {"name": NAME, "namespace": NAMESPACE},
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "insecureSkipTLSVerify": True,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
            },
        },
    ]
