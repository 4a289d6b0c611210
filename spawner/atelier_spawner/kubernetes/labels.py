"""Names and labels of cluster objects: deterministic, so that whoever makes one twice meets the first."""

from __future__ import annotations

import hashlib
import re

from atelier_core.names import label, slug
from atelier_core.workload import Role, WorkloadSpec
from atelier_spawner.kubernetes.options import KubernetesOptions

DOMAIN = "atelier.dev"
WORKLOAD = f"{DOMAIN}/workload"
PROJECT = f"{DOMAIN}/project"
INSTANCE = f"{DOMAIN}/instance"
ROLE = f"{DOMAIN}/role"
KIND = f"{DOMAIN}/kind"
REPLICAS = f"{DOMAIN}/replicas"  # annotation: replicas per role, "main=2,ps=1"
SYSTEM = f"{DOMAIN}/system"  # on the namespace of the control plane and gateway
MANAGED = "app.kubernetes.io/managed-by"
INDEX = "batch.kubernetes.io/job-completion-index"
_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_LABEL = 63
_OBJECT_NAME = 54  # leaves room for "-<index>" in a host name of 63 characters


def namespace_of(options: KubernetesOptions, project: str) -> str:
    """The project's namespace; a user's name, which a personal project has, need not be a DNS label."""
    return f"{options.namespace_prefix}{label(project, _LABEL - len(options.namespace_prefix))}"


def object_name(workload: str, role: str = "") -> str:
    """The name of a workload's objects, or of one role's where roles have objects of their own."""
    return slug(f"{workload}-{role}" if role else workload, _OBJECT_NAME)


def role_object(spec: WorkloadSpec, role: Role) -> str:
    """The name of the Job or Deployment that carries `role`."""
    return object_name(spec.id, role.name if len(spec.roles) > 1 else "")


def common_labels(options: KubernetesOptions) -> dict[str, str]:
    """On everything we make."""
    return {**options.labels, MANAGED: "atelier", INSTANCE: options.instance}


def workload_labels(options: KubernetesOptions, spec: WorkloadSpec) -> dict[str, str]:
    """On everything that belongs to one workload; its own labels too, where they are valid ones."""
    own = {f"{DOMAIN}/{key}": value for key, value in spec.labels.items() if _VALUE.fullmatch(value)}
    own = {key: value for key, value in own.items() if _VALUE.fullmatch(key.partition("/")[2])}
    fixed = {WORKLOAD: spec.id, PROJECT: label(spec.project), KIND: spec.kind}
    return {**own, **common_labels(options), **fixed}


def selector(options: KubernetesOptions, workload: str = "") -> str:
    """Chooses all our workloads' objects, or those of one."""
    which = f"{WORKLOAD}={workload}" if workload else WORKLOAD
    return f"{MANAGED}=atelier,{INSTANCE}={options.instance},{which}"


def uid_of(options: KubernetesOptions, spec: WorkloadSpec) -> int:
    """The uid that its containers run under: the spec's, or one that belongs to the namespace."""
    if spec.uid:
        return spec.uid
    low, high = options.uid_range
    digest = hashlib.sha256(namespace_of(options, spec.project).encode()).digest()
    return low + int.from_bytes(digest[:8], "big") % (high - low + 1)
