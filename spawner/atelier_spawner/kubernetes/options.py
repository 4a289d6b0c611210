"""What an operator may set for the Kubernetes back end (`options` of `BackendSettings`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from atelier_core.errors import Invalid
from atelier_spawner.shim import LOG_LIMIT

_PREFIX = re.compile(r"[a-z]([a-z0-9-]{0,19})")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_METADATA = "169.254.169.254/32"
_NODE_LOCAL_DNS = "169.254.20.10/32"  # where the cache of names listens that many clusters run on each node


class KubernetesOptions(BaseModel):
    """Checked options; every field has a default that works on an ordinary cluster, except `runtime_image`.

    Without `kubeconfig` and `context` the pod's own service account is used. `pull_seconds` bounds how long an image
    that cannot be pulled is tried; `unschedulable_seconds` 0 waits for a place as long as it takes.
    Steps reach their own project's pods, names (of kube-system and `dns_cidrs`), the world outside, and of all private
    addresses only the control plane at the port of its URL (`control_plane_cidrs` beside the URL's own address,
    `platform_ports` beside its port) and `egress_cidrs`; `private_cidrs` are further ranges that stay closed.
    `mlflow_url` is where pods reach MLflow, through the gateway; without one steps are not told of it.
    `projects` is needed only where the back end may not list namespaces and pods of the whole cluster.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kubeconfig: str = ""
    context: str = ""
    instance: str = "atelier"
    namespace_prefix: str = "atelier-"
    manage_namespaces: bool = True
    projects: tuple[str, ...] = ()
    runtime_image: str = "atelier/runtime:latest"
    registry_prefix: str = ""
    pull_secrets: tuple[str, ...] = ()
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    service_account: str = "atelier-workload"
    node_labels: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    uid_range: tuple[int, int] = (1_000_000_000, 1_000_999_999)
    quota: dict[str, str] = Field(default_factory=lambda: {"pods": "200", "services.nodeports": "0"})
    default_requests: dict[str, str] = Field(default_factory=lambda: {"cpu": "100m", "memory": "256Mi"})
    default_limits: dict[str, str] = Field(default_factory=lambda: {"memory": "256Mi"})
    limit_cpu: bool = False
    sidecar_cpu: str = "50m"
    sidecar_memory: str = "96Mi"
    private_cidrs: tuple[str, ...] = ()
    metadata_cidrs: tuple[str, ...] = (_METADATA,)
    control_plane_cidrs: tuple[str, ...] = ()
    platform_ports: tuple[int, ...] = ()
    dns_cidrs: tuple[str, ...] = (_NODE_LOCAL_DNS,)
    egress_cidrs: tuple[str, ...] = ()
    ingress_cidrs: tuple[str, ...] = ()
    mlflow_url: str = ""
    log_limit: int = Field(default=LOG_LIMIT, ge=0)
    toleration_seconds: int = Field(default=30, ge=0)
    deadline_margin: int = Field(default=1800, ge=1)
    pull_seconds: float = Field(default=120, ge=0)
    unschedulable_seconds: float = Field(default=0, ge=0)
    # What runs on a lost node hears from its shim within 20 s that it is over, and must not meet its successor.
    stop_seconds: float = Field(default=60, ge=20)
    resync_seconds: float = Field(default=600, ge=1)

    @field_validator("namespace_prefix")
    @classmethod
    def _prefix(cls, value: str) -> str:
        if not _PREFIX.fullmatch(value):
            raise ValueError("must start with a letter and hold at most 20 lower-case letters, digits and dashes")
        return value

    @field_validator(
        "private_cidrs", "metadata_cidrs", "control_plane_cidrs", "dns_cidrs", "egress_cidrs", "ingress_cidrs"
    )
    @classmethod
    def _cidrs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(ip_network(item)) for item in value)

    @field_validator("labels", "node_labels")
    @classmethod
    def _labels(cls, value: dict[str, str]) -> dict[str, str]:
        bad = [item for item in value.values() if not _LABEL_VALUE.fullmatch(item)]
        if bad:
            raise ValueError(f"{bad[0]!r} is not a label value")
        return value

    @field_validator("instance")
    @classmethod
    def _instance(cls, value: str) -> str:
        if not value or not _LABEL_VALUE.fullmatch(value):
            raise ValueError("must be a label value")
        return value

    @model_validator(mode="after")
    def _uids(self) -> KubernetesOptions:
        low, high = self.uid_range
        if not 1 <= low <= high < 2**31:
            raise ValueError("uid_range must be two numbers from 1 to 2147483647, the smaller first")
        return self


def read_options(name: str, options: Mapping[str, Any]) -> KubernetesOptions:
    """Check the operator's options; `Invalid` names each one that is wrong."""
    try:
        return KubernetesOptions.model_validate(dict(options))
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'options'}: {item['msg']}" for item in error.errors()
        )
        raise Invalid(
            f"The options of back end {name!r} are wrong: {wrong}.",
            code="bad_backend_options",
            hint=f"Known options: {', '.join(sorted(KubernetesOptions.model_fields))}.",
        ) from error
