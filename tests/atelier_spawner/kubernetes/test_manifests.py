"""Manifests as whole documents; nothing here needs a cluster."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from atelier_core.errors import Invalid
from atelier_core.image import Image
from atelier_core.names import label
from atelier_core.workload import Port, Resources, Role, Topology, WorkloadSpec
from atelier_spawner.kubernetes.labels import namespace_of, object_name, uid_of, workload_labels
from atelier_spawner.kubernetes.options import KubernetesOptions, read_options
from atelier_spawner.kubernetes.pods import Build, check, image_reference
from atelier_spawner.kubernetes.project import ControlPlane, project_manifests
from atelier_spawner.kubernetes.starting import find_control_plane
from atelier_spawner.kubernetes.workloads import runners, secrets, services

OPTIONS = KubernetesOptions(runtime_image="registry:5000/atelier/runtime:1", uid_range=(7000, 7000))
LABELS = {
    "app.kubernetes.io/managed-by": "atelier",
    "atelier.dev/instance": "atelier",
    "atelier.dev/workload": "r1-train-1",
    "atelier.dev/project": "demo",
    "atelier.dev/kind": "job",
}
Specs = Callable[..., WorkloadSpec]


def loader(runtime: str, *arguments: str) -> list[str]:
    start = [f"{runtime}/lib/ld.so", "--inhibit-cache", "--library-path", f"{runtime}/lib", f"{runtime}/bin/python3"]
    return [*start, "-I", "-S", "-B", "-X", "utf8", "-m", "atelier_runtime", *arguments]


def locked(read_only: bool) -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": read_only,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def own(name: str, *arguments: str) -> dict[str, Any]:
    return {
        "name": name,
        "image": "registry:5000/atelier/runtime:1",
        "imagePullPolicy": "IfNotPresent",
        "command": loader("/atelier/runtime", *arguments),
        "env": [
            {"name": "SSL_CERT_FILE", "value": "/atelier/runtime/etc/ca.pem"},
            {"name": "TMPDIR", "value": "/atelier/work/tmp"},
            {"name": "ATELIER_POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
            {"name": "ATELIER_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "ATELIER_NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        ],
        "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "96Mi"}},
        "securityContext": locked(read_only=True),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "work", "mountPath": "/atelier/work"},
            {"name": "shim", "mountPath": "/atelier/shim", "readOnly": True},
        ],
    }


POD_SPEC: dict[str, Any] = {
    "restartPolicy": "Never",
    "serviceAccountName": "atelier-workload",
    "automountServiceAccountToken": False,
    "enableServiceLinks": False,
    "terminationGracePeriodSeconds": 25,
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 7000,
        "runAsGroup": 7000,
        "fsGroup": 7000,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    },
    "nodeSelector": {},
    "tolerations": [
        {
            "key": f"node.kubernetes.io/{taint}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 30,
        }
        for taint in ("not-ready", "unreachable")
    ],
    "initContainers": [
        own(
            "init",
            "init",
            "--spec",
            "/atelier/shim/shim.json",
            "--root",
            "/atelier/work",
            "--runtime",
            "/atelier/runtime",
        ),
        own("sidecar", "sidecar", "--spec", "/atelier/shim/shim.json", "--root", "/atelier/work")
        | {"restartPolicy": "Always"},
    ],
    "containers": [
        {
            "name": "main",
            "image": "python",
            "imagePullPolicy": "IfNotPresent",
            "command": loader("/atelier/work/.atelier/runtime", "main", "--root", "/atelier/work"),
            "workingDir": "/atelier/work",
            "env": [
                {"name": "HOME", "value": "/atelier/work/tmp"},
                {"name": "USER", "value": "atelier"},
                {"name": "LOGNAME", "value": "atelier"},
            ],
            "resources": {"requests": {"cpu": "100m", "memory": "268435456"}, "limits": {"memory": "268435456"}},
            "securityContext": locked(read_only=False),
            "volumeMounts": [
                {"name": "work", "mountPath": "/atelier/work"},
                {"name": "work", "mountPath": "/metric.json", "subPath": "results/metric.json"},
                {"name": "shm", "mountPath": "/dev/shm"},
            ],
        }
    ],
    "volumes": [
        {"name": "work", "emptyDir": {}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "134217728"}},
        {"name": "shim", "secret": {"secretName": "r1-train-1", "defaultMode": 0o440}},
    ],
}


def test_a_single_job_is_a_bare_pod(workload_specs: Specs) -> None:
    build = Build(OPTIONS, workload_specs(), {})
    assert runners(build) == [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "r1-train-1",
                "namespace": "atelier-demo",
                "labels": {**LABELS, "atelier.dev/role": "main"},
                "annotations": {"atelier.dev/replicas": "main=1"},
            },
            "spec": POD_SPEC,
        }
    ]
    assert services(build) == []


def test_the_secret_holds_what_the_shim_is_told(workload_specs: Specs) -> None:
    role = Role(image="i", command=("a", "${ATELIER_INPUTS}"), env={"K": "v"}, secret_env={"PW": "hidden"})
    (secret,) = secrets(Build(OPTIONS, workload_specs(roles=(role,), timeout=5, parameters={"n": 1}), {}))
    document = json.loads(base64.b64decode(secret.pop("data")["shim.json"]))
    assert secret == {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": "r1-train-1",
            "namespace": "atelier-demo",
            "labels": {**LABELS, "atelier.dev/role": "main"},
        },
        "immutable": True,
    }
    told = {
        "attempt": "r1-train-1",
        "replica": "main-0",
        "index": 0,
        "url": "http://10.1.2.3:8000/api",
        "token": "token-1",
        "root": "/atelier/work",
        "command": ["a", "${ATELIER_INPUTS}"],
        "env": {"ATELIER_PROJECT": "demo", "K": "v", "PW": "hidden"},
        "workdir": "code",
        "parameters": {"n": 1},
        "code": [],
        "inputs": [],
        "outputs": [],
        "timeout": 5.0,
        "grace": 10.0,
        "kind": "job",
        "stores": True,
        "claim": "http",
        "uid": None,
        "gang": None,
    }
    assert {key: document[key] for key in told} == told


def test_a_gang_is_one_indexed_job_per_role_behind_a_headless_service(workload_specs: Specs) -> None:
    roles = (Role(name="chief", image="i", command=("c",)), Role(name="worker", count=3, image="i", command=("w",)))
    build = Build(OPTIONS, workload_specs(roles=roles, topology=Topology.GANG), {})
    (service,) = services(build)
    assert service["spec"] == {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": {"atelier.dev/workload": "r1-train-1"},
    }
    chief, worker = runners(build)
    assert (chief["metadata"]["name"], worker["metadata"]["name"]) == ("r1-train-1-chief", "r1-train-1-worker")
    template = worker["spec"].pop("template")
    assert worker["spec"] == {
        "completionMode": "Indexed",
        "completions": 3,
        "parallelism": 3,
        "backoffLimit": 0,
        "podReplacementPolicy": "Failed",
    }
    assert template["spec"]["subdomain"] == "r1-train-1"
    assert template["spec"]["restartPolicy"] == "Never"
    documents = [json.loads(base64.b64decode(each["data"]["shim.json"])) for each in secrets(build)]
    assert [each["gang"] for each in documents] == [
        {"size": 4, "address": "r1-train-1-chief-0.r1-train-1", "port": 29500, "base": base} for base in (0, 1)
    ]
    assert [(each["replica"], each["stores"]) for each in documents] == [("chief-*", True), ("worker-*", False)]


def test_a_service_is_a_deployment_with_an_address_and_a_probe(workload_specs: Specs) -> None:
    role = Role(image="i", command=("serve",), count=2, ports=(Port(name="http", port=0), Port(name="admin", port=9)))
    build = Build(OPTIONS, workload_specs(roles=(role,), kind="service", timeout=60), {})
    (service,) = services(build)
    assert service["spec"]["ports"] == [
        {"name": "http", "port": 8080, "targetPort": 8080, "protocol": "TCP"},
        {"name": "admin", "port": 9, "targetPort": 9, "protocol": "TCP"},
    ]
    (deployment,) = runners(build)
    pod = deployment["spec"]["template"]["spec"]
    assert deployment["spec"]["replicas"] == 2
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    assert (pod["restartPolicy"], "activeDeadlineSeconds" in pod) == ("Always", False)
    assert pod["containers"][0]["readinessProbe"]["tcpSocket"] == {"port": 8080}
    environment = json.loads(base64.b64decode(secrets(build)[0]["data"]["shim.json"]))["env"]
    assert environment["ATELIER_PORT_HTTP"] == "8080"
    assert environment["ATELIER_PORT_ADMIN"] == "9"


def test_resources_accelerators_and_the_outer_time_limit(workload_specs: Specs) -> None:
    role = Role(image="i", command=("c",), resources=Resources(cpu=1.5, memory=2**30, accelerators=2))
    options = OPTIONS.model_copy(update={"limit_cpu": True, "node_labels": {"pool": "gpu"}})
    (pod,) = runners(Build(options, workload_specs(roles=(role,), timeout=60), {}))
    assert pod["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "1500m", "memory": "1073741824", "nvidia.com/gpu": "2"},
        "limits": {"cpu": "1500m", "memory": "1073741824", "nvidia.com/gpu": "2"},
    }
    assert pod["spec"]["nodeSelector"] == {"pool": "gpu"}
    assert pod["spec"]["tolerations"][-1] == {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    assert pod["spec"]["activeDeadlineSeconds"] == 60 + 10 + 1800


def test_only_the_shims_own_containers_mount_the_secret(workload_specs: Specs) -> None:
    (pod,) = runners(Build(OPTIONS, workload_specs(), {}))
    containers = [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]
    mounts = {each["name"]: {mount["name"] for mount in each["volumeMounts"]} for each in containers}
    assert {name for name, volumes in mounts.items() if "shim" in volumes} == {"init", "sidecar"}


CLOSED_IPV4 = [
    "10.0.0.0/8",
    "100.0.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
]


def test_the_project_is_closed_to_other_projects() -> None:
    more = {"control_plane_cidrs": ("10.9.0.0/16",), "platform_ports": (8080,), "egress_cidrs": ("10.8.0.0/24",)}
    options = OPTIONS.model_copy(update={"labels": {"team": "ml"}, "private_cidrs": ("192.0.2.0/24",), **more})
    made = project_manifests(options, "demo", ["100.0.0.0/16"], ControlPlane(("10.1.2.3/32",), 8000))
    labels = {
        "team": "ml",
        "app.kubernetes.io/managed-by": "atelier",
        "atelier.dev/instance": "atelier",
        "atelier.dev/project": "demo",
    }
    metadata = {"name": "atelier", "namespace": "atelier-demo", "labels": labels}
    security = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    platform = {"namespaceSelector": {"matchLabels": {"atelier.dev/system": "true"}}}
    assert made == [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "atelier-demo", "labels": {**labels, **security}},
        },
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {**metadata, "name": "atelier-workload"},
            "automountServiceAccountToken": False,
        },
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": metadata,
            "spec": {"hard": {"pods": "200", "services.nodeports": "0"}},
        },
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": metadata,
            "spec": {
                "limits": [
                    {
                        "type": "Container",
                        "defaultRequest": {"cpu": "100m", "memory": "256Mi"},
                        "default": {"memory": "256Mi"},
                    }
                ]
            },
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata,
            "spec": {
                "podSelector": {},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{"from": [{"podSelector": {}}, platform]}],
                "egress": [
                    {"to": [{"podSelector": {}}]},
                    {
                        "to": [
                            platform,
                            {"ipBlock": {"cidr": "10.9.0.0/16"}},
                            {"ipBlock": {"cidr": "10.1.2.3/32"}},
                        ],
                        "ports": [{"protocol": "TCP", "port": 8000}, {"protocol": "TCP", "port": 8080}],
                    },
                    {
                        "to": [
                            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}},
                            {"ipBlock": {"cidr": "169.254.20.10/32"}},
                        ],
                        "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
                    },
                    {
                        "to": [
                            {"ipBlock": {"cidr": "0.0.0.0/0", "except": CLOSED_IPV4}},
                            {"ipBlock": {"cidr": "::/0", "except": ["fc00::/7", "fe80::/10"]}},
                        ]
                    },
                    {"to": [{"ipBlock": {"cidr": "10.8.0.0/24"}}]},
                ],
            },
        },
    ]


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("sklearn", "ghcr.io/team/sklearn:2"),
        ("python:3.12", "mirror:5000/python:3.12"),
        ("team/image", "mirror:5000/team/image"),
        ("localhost/image", "localhost/image"),
        ("quay.io/a/b@sha256:00", "quay.io/a/b@sha256:00"),
    ],
)
def test_images_come_from_our_registry_unless_they_name_one(name: str, reference: str, workload_specs: Specs) -> None:
    images = {"sklearn": Image(name="sklearn", reference="ghcr.io/team/sklearn:2")}
    options = OPTIONS.model_copy(update={"registry_prefix": "mirror:5000/"})
    assert image_reference(Build(options, workload_specs(), images), name) == reference


def test_labels_of_the_spec_are_kept_where_they_are_valid(workload_specs: Specs) -> None:
    spec = workload_specs(labels={"run": "r1", "step": "has spaces", "workload": "forged"})
    labels = workload_labels(OPTIONS, spec)
    assert labels == {**LABELS, "atelier.dev/run": "r1"}


def test_whatever_a_user_is_called_their_project_has_a_namespace_of_its_own(workload_specs: Specs) -> None:
    control_plane = ControlPlane((), 80)
    for prefix in ("atelier-", "a--", "x" * 20):
        options = KubernetesOptions(namespace_prefix=prefix)
        plain = ["jane-doe", "a--b", "9lives", "x" * 30]
        odd = ["jane.doe", "Jane-Doe", "bob@example.com", "bob_smith", "Jane", "x" * 200, "jane-doe-"]
        odd += [label(name) for name in odd]
        assert [namespace_of(options, name) for name in plain] == [f"{prefix}{name}" for name in plain]
        named = {name: namespace_of(options, name) for name in plain + odd}
        assert len(set(named.values())) == len(named)
        for name, namespace in named.items():
            assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", namespace), namespace
            assert namespace.startswith(prefix)
            made = [one["metadata"]["labels"] for one in project_manifests(options, name, [], control_plane)]
            made.append(workload_labels(options, workload_specs(project=name)))
            assert {one["atelier.dev/project"] for one in made} == {label(name)}
            assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", label(name))


def test_names_of_jobs_leave_room_for_the_index() -> None:
    long = "r" + "0123456789" * 6
    assert len(object_name(long)) <= 54
    assert object_name(long) != object_name(long + "1")
    assert object_name("1-begins-with-a-digit")[0].isalpha()


def test_each_namespace_has_a_uid_of_its_own(workload_specs: Specs) -> None:
    options = KubernetesOptions()
    uids = {uid_of(options, workload_specs(project=name)) for name in ("a", "b", "c")}
    assert len(uids) == 3
    assert all(1_000_000_000 <= uid <= 1_000_999_999 for uid in uids)
    assert uid_of(options, workload_specs(uid=1234)) == 1234


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"uid": 0}, "root_uid"),
        ({"kind": "service"}, "no_port"),
        ({"roles": (Role(image="i", command=("c",)),) * 2}, "role_twice"),
    ],
)
def test_what_no_cluster_can_run_is_refused(changes: dict[str, Any], code: str, workload_specs: Specs) -> None:
    with pytest.raises(Invalid) as refused:
        check(Build(OPTIONS, workload_specs(**changes), {}))
    assert refused.value.code == code
    assert refused.value.hint


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"kubeconfg": "x"}, "kubeconfg"),
        ({"namespace_prefix": "Big_"}, "namespace_prefix"),
        ({"uid_range": (0, 5)}, "uid_range"),
        ({"private_cidrs": ("10.0.0.0/99",)}, "private_cidrs"),
        ({"image_pull_policy": "Sometimes"}, "image_pull_policy"),
        ({"labels": {"a": "no spaces"}}, "labels"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_options("cluster", options)
    assert named in refused.value.message
    assert "cluster" in refused.value.message


@pytest.mark.parametrize(
    ("url", "cidrs", "port"),
    [
        ("http://10.1.2.3:8000/api", ("10.1.2.3/32",), 8000),
        ("https://10.1.2.3/api", ("10.1.2.3/32",), 443),
        ("http://[fd00::5]:81/api", ("fd00::5/128",), 81),
        ("http://no-such-name.invalid/api", (), 80),
    ],
)
async def test_where_steps_report_to(url: str, cidrs: tuple[str, ...], port: int) -> None:
    assert await find_control_plane(url) == ControlPlane(cidrs, port)


async def test_a_name_stands_for_the_addresses_that_it_has_here() -> None:
    assert "127.0.0.1/32" in (await find_control_plane("http://localhost:8000/api")).cidrs
