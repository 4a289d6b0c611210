"""The pod that carries one replica: `init` stages, the native `sidecar` ships and reports, `main` is the step's image.

Pure functions: a spec and options in, manifests out. Everything passes Pod Security "restricted".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from atelier_core.errors import Invalid
from atelier_core.image import Image
from atelier_core.workload import Port, Role, WorkloadSpec
from atelier_spawner.kubernetes.labels import REPLICAS, ROLE, uid_of, workload_labels
from atelier_spawner.kubernetes.options import KubernetesOptions
from atelier_spawner.kubernetes.runtime_image import RUNTIME, command

Manifest = dict[str, Any]

ROOT = "/atelier/work"
SPEC = "/atelier/shim/shim.json"
SCRATCH = f"{ROOT}/tmp"  # noqa: S108 - on the attempt's own volume
COPY = f"{ROOT}/.atelier/runtime"
METRIC = "results/metric.json"
INIT, SIDECAR, MAIN = "init", "sidecar", "main"
_GRACE_MARGIN = 15  # seconds after the command's own grace, for the last logs and the report
_FIRST_PORT = 8080
_READY_SECONDS = 5  # a server that computes may be slow to say that it is well


@dataclass(frozen=True)
class Build:
    """What manifests of one workload are made from."""

    options: KubernetesOptions
    spec: WorkloadSpec
    images: Mapping[str, Image]

    @property
    def labels(self) -> dict[str, str]:
        """On every object of the workload."""
        return workload_labels(self.options, self.spec)


def pod_template(build: Build, role: Role, secret: str) -> Manifest:
    """Metadata and spec of the pods of `role`; `secret` holds its `shim.json`."""
    options, spec = build.options, build.spec
    counts = ",".join(f"{each.name}={each.count}" for each in spec.roles)
    return {
        "metadata": {"labels": {**build.labels, ROLE: role.name}, "annotations": {REPLICAS: counts}},
        "spec": {
            "restartPolicy": "Always" if spec.kind == "service" else "Never",
            "serviceAccountName": options.service_account,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": math.ceil(spec.grace) + _GRACE_MARGIN,
            **_deadline(options, spec),
            "securityContext": _pod_security(uid_of(options, spec)),
            "nodeSelector": dict(options.node_labels),
            "tolerations": _tolerations(options, role),
            "initContainers": [_init(options), _sidecar(options)],
            "containers": [_main(build, role)],
            "volumes": _volumes(role, secret),
        },
    }


def ports_of(role: Role) -> tuple[Port, ...]:
    """The role's ports, with a number for each: on a cluster every pod has its own, so 0 takes the next from 8080."""
    return tuple(
        port if port.port else port.model_copy(update={"port": _FIRST_PORT + position})
        for position, port in enumerate(role.ports)
    )


def image_reference(build: Build, name: str) -> str:
    """What the cluster pulls: a defined image's reference or the text itself, on our registry when it names none."""
    defined = build.images.get(name)
    reference = defined.reference if defined else name
    first, slash, _ = reference.partition("/")
    names_registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
    if names_registry or not build.options.registry_prefix:
        return reference
    return f"{build.options.registry_prefix.rstrip('/')}/{reference}"


def _deadline(options: KubernetesOptions, spec: WorkloadSpec) -> Manifest:
    """The shim keeps the real timeout; this net catches a pod whose shim cannot."""
    if not spec.timeout or spec.kind == "service":
        return {}
    return {"activeDeadlineSeconds": math.ceil(spec.timeout + spec.grace) + options.deadline_margin}


def _pod_security(uid: int) -> Manifest:
    return {
        "runAsNonRoot": True,
        "runAsUser": uid,
        "runAsGroup": uid,
        "fsGroup": uid,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _container_security(read_only: bool) -> Manifest:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": read_only,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _tolerations(options: KubernetesOptions, role: Role) -> list[Manifest]:
    """A lost node is given up soon; nodes that are kept for accelerators take what asks for one."""
    lost = [
        {
            "key": f"node.kubernetes.io/{taint}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": options.toleration_seconds,
        }
        for taint in ("not-ready", "unreachable")
    ]
    if not role.resources.accelerators:
        return lost
    return [*lost, {"key": role.resources.device, "operator": "Exists", "effect": "NoSchedule"}]


def _init(options: KubernetesOptions) -> Manifest:
    arguments = ("--spec", SPEC, "--root", ROOT, "--runtime", RUNTIME)
    return _own_container(options, INIT, command(INIT, *arguments))


def _sidecar(options: KubernetesOptions) -> Manifest:
    container = _own_container(options, SIDECAR, command(SIDECAR, "--spec", SPEC, "--root", ROOT))
    return {**container, "restartPolicy": "Always"}


def _own_container(options: KubernetesOptions, name: str, words: list[str]) -> Manifest:
    fields = {"ATELIER_POD_UID": "metadata.uid", "ATELIER_POD_NAME": "metadata.name", "ATELIER_NODE": "spec.nodeName"}
    resources = {"cpu": options.sidecar_cpu, "memory": options.sidecar_memory}
    return {
        "name": name,
        "image": options.runtime_image,
        "imagePullPolicy": options.image_pull_policy,
        "command": words,
        "env": [
            {"name": "SSL_CERT_FILE", "value": f"{RUNTIME}/etc/ca.pem"},
            {"name": "TMPDIR", "value": SCRATCH},
            *({"name": key, "valueFrom": {"fieldRef": {"fieldPath": path}}} for key, path in fields.items()),
        ],
        "resources": {"requests": dict(resources), "limits": {"memory": options.sidecar_memory}},
        "securityContext": _container_security(read_only=True),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "work", "mountPath": ROOT},
            {"name": "shim", "mountPath": SPEC.rpartition("/")[0], "readOnly": True},
        ],
    }


def _main(build: Build, role: Role) -> Manifest:
    """The step's image; a uid without a passwd entry needs a home and a name of its own."""
    options = build.options
    container = {
        "name": MAIN,
        "image": image_reference(build, role.image),
        "imagePullPolicy": options.image_pull_policy,
        "command": command(MAIN, "--root", ROOT, runtime=COPY),
        "workingDir": ROOT,
        "env": [
            {"name": "HOME", "value": SCRATCH},
            {"name": "USER", "value": "atelier"},
            {"name": "LOGNAME", "value": "atelier"},
        ],
        "resources": _resources(options, role),
        "securityContext": _container_security(read_only=False),
        "volumeMounts": [
            {"name": "work", "mountPath": ROOT},
            {"name": "work", "mountPath": "/metric.json", "subPath": METRIC},
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108
        ],
    }
    ports = ports_of(role)
    if ports:
        container["ports"] = [{"name": port.name, "containerPort": port.port, "protocol": "TCP"} for port in ports]
    if ports and build.spec.kind == "service":
        container["readinessProbe"] = _ready(role, ports[0])
    return container


def _ready(role: Role, port: Port) -> Manifest:
    often = {"periodSeconds": 1, "failureThreshold": 3}
    if role.health:
        return {"httpGet": {"path": role.health, "port": port.port}, "timeoutSeconds": _READY_SECONDS, **often}
    return {"tcpSocket": {"port": port.port}, **often}


def _resources(options: KubernetesOptions, role: Role) -> Manifest:
    """Memory is what it may have, no more; processor time may be borrowed unless the operator forbids it."""
    wanted = role.resources
    cpu, memory = f"{math.ceil(wanted.cpu * 1000)}m", str(wanted.memory)
    limits = {"memory": memory}
    if options.limit_cpu:
        limits["cpu"] = cpu
    if wanted.accelerators:
        limits[role.resources.device] = str(wanted.accelerators)
    requests = {"cpu": cpu, "memory": memory}
    if wanted.accelerators:
        requests[role.resources.device] = str(wanted.accelerators)
    return {"requests": requests, "limits": limits}


def _volumes(role: Role, secret: str) -> list[Manifest]:
    shared = {"medium": "Memory", "sizeLimit": str(max(role.resources.memory // 2, 1024**2))}
    return [
        {"name": "work", "emptyDir": {}},
        {"name": "shm", "emptyDir": shared},
        {"name": "shim", "secret": {"secretName": secret, "defaultMode": 0o440}},
    ]


def check(build: Build) -> None:
    """`Invalid` for what no cluster can run, before anything is made."""
    spec = build.spec
    if spec.uid == 0:
        raise Invalid(
            "A step on a cluster cannot run as root (uid 0).",
            code="root_uid",
            hint="Leave the uid out; the project's own is used then.",
        )
    if spec.kind == "service" and not any(role.ports for role in spec.roles):
        raise Invalid(f"The service {spec.id} has no port.", code="no_port", hint="Name the port that it listens on.")
    if len({role.name for role in spec.roles}) != len(spec.roles):
        raise Invalid(f"Two roles of {spec.id} have the same name.", code="role_twice", hint="Give each its own name.")
