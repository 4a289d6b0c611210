"""Triton and vLLM on a cluster: what is asked of it, and that a real one would take it. The images are not run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from atelier_core.errors import Invalid
from atelier_core.service import validate
from atelier_hub.artifacts.store import ArtifactStore
from atelier_hub.features.serving.sources import make_plan
from atelier_spawner.kubernetes.options import KubernetesOptions
from tests.atelier_spawner.kubernetes.model_servers import DEFINITIONS, OFFER, manifests_of, spec_of
from tests.harness.cluster.fixtures import Cluster, cluster
from tests.harness.cluster.settings import CannotRun

__all__ = ["cluster"]

OPTIONS = KubernetesOptions(runtime_image="registry:5000/atelier/runtime:1", uid_range=(7000, 7000))


def pod_of(name: str, folder: Path) -> dict[str, Any]:
    runner = next(one for one in manifests_of(spec_of(name, folder), OPTIONS) if one["kind"] == "Deployment")
    spec: dict[str, Any] = runner["spec"]["template"]["spec"]
    return spec


def test_triton_listens_at_three_ports_and_says_itself_when_it_is_ready(tmp_path: Path) -> None:
    (main,) = pod_of("triton", tmp_path)["containers"]
    assert main["image"] == OFFER.images["serve-triton"].reference
    assert [(one["name"], one["containerPort"]) for one in main["ports"]] == [
        ("http", 8000), ("grpc", 8001), ("metrics", 8002),
    ]  # fmt: skip
    assert main["readinessProbe"]["httpGet"] == {"path": "/v2/health/ready", "port": 8000}
    (role,) = spec_of("triton", tmp_path).roles
    assert role.command[:2] == ("tritonserver", "--model-repository=${ATELIER_INPUTS}/model")


def test_vllm_has_accelerators_and_much_shared_memory_and_asks_nobody_for_what_lies_beside_it(tmp_path: Path) -> None:
    pod = pod_of("vllm", tmp_path)
    (main,) = pod["containers"]
    assert main["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod["tolerations"]
    shared = next(one for one in pod["volumes"] if one["name"] == "shm")["emptyDir"]
    assert shared == {"medium": "Memory", "sizeLimit": str(32 * 1024**3)}
    assert {"name": "shm", "mountPath": "/dev/shm"} in main["volumeMounts"]
    assert main["readinessProbe"]["httpGet"] == {"path": "/health", "port": 8000}
    (role,) = spec_of("vllm", tmp_path).roles
    assert role.command[2] == "${ATELIER_INPUTS}/model" and "--tensor-parallel-size" in role.command
    assert role.env["HF_HUB_OFFLINE"] == "1"


def test_vllm_may_fetch_a_model_itself_with_a_secret_of_the_project(tmp_path: Path) -> None:
    spec = spec_of("vllm-fetches", tmp_path)
    (role,) = spec.roles
    assert role.command[2] == "Qwen/Qwen3-0.6B" and role.command[-2:] == ("--max-model-len", "4096")
    assert role.secret_env == {"HF_TOKEN": "secret"} and "HF_HUB_OFFLINE" not in role.env
    assert spec.inputs == ()


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_laptop_says_that_it_is_for_a_cluster(name: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="runs on a cluster only") as refusal:
        make_plan(OFFER, ArtifactStore(tmp_path.as_uri()), validate(DEFINITIONS[name]), None, number=1, backend="local")
    assert refusal.value.hint == "Deploy it with on: cluster."


def test_vllms_own_image_needs_an_accelerator_and_another_may_do_without(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="needs an accelerator"):
        spec_of("vllm", tmp_path, flavor="")
    (role,) = spec_of("vllm", tmp_path, flavor="", image="example.org/vllm-cpu:1").roles
    assert role.image == "example.org/vllm-cpu:1" and not role.resources.accelerators


@pytest.mark.cluster
@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_real_cluster_would_take_it(name: str, tmp_path: Path, cluster: Cluster) -> None:
    """All of it is sent as it is for a deployment, and the pod alone, too: of that Pod Security decides."""
    with cluster.namespace("servers") as namespace:
        cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
        cluster.kubectl("create", "serviceaccount", OPTIONS.service_account, "-n", namespace)
        prefix, _, project = namespace.partition("-")
        options = OPTIONS.model_copy(update={"namespace_prefix": f"{prefix}-"})
        made = manifests_of(spec_of(name, tmp_path, project), options)
        template = next(one["spec"]["template"] for one in made if one["kind"] == "Deployment")
        metadata = {**template["metadata"], "name": "alone", "namespace": namespace}
        pod = {"apiVersion": "v1", "kind": "Pod", **template, "metadata": metadata}
        for one in (*made, pod):
            said = cluster.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(one))
            assert json.loads(said)["metadata"]["namespace"] == namespace
        spoiled = {**pod, "spec": {**pod["spec"], "hostNetwork": True}}
        with pytest.raises(CannotRun, match="PodSecurity"):
            cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(spoiled))
