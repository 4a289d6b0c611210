"""What makes a namespace a project: quota, limits, network policy, a service account without a token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import collapse_addresses, ip_network
from typing import Any

from atelier_core.names import label
from atelier_spawner.kubernetes.labels import PROJECT, SYSTEM, common_labels, namespace_of
from atelier_spawner.kubernetes.options import KubernetesOptions

Manifest = dict[str, Any]
QUOTA = "atelier"
_SECURITY = "pod-security.kubernetes.io"
# Where pods, nodes, Services and whatever else is not the world may be; also link-local and benchmarking addresses.
PRIVATE = (
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "198.18.0.0/15"),
    *("fc00::/7", "fe80::/10"),
)


@dataclass(frozen=True)
class ControlPlane:
    """Where steps report to: ranges of addresses, and the port."""

    cidrs: tuple[str, ...]
    port: int


def project_manifests(
    options: KubernetesOptions, project: str, pods: Sequence[str], control_plane: ControlPlane
) -> list[Manifest]:
    """Everything in the project's namespace apart from workloads, in the order in which it is made.

    `pods` are the ranges of the cluster's pods, which stay closed even where they are no private addresses.
    """
    return [
        _namespace(options, project),
        _service_account(options, project),
        *([_quota(options, project)] if options.quota else []),
        _limit_range(options, project),
        _network_policy(options, project, pods, control_plane),
    ]


def _metadata(options: KubernetesOptions, project: str, name: str) -> Manifest:
    labels = {**common_labels(options), PROJECT: label(project)}
    return {"name": name, "namespace": namespace_of(options, project), "labels": labels}


def _namespace(options: KubernetesOptions, project: str) -> Manifest:
    security = {f"{_SECURITY}/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    labels = {**common_labels(options), PROJECT: label(project), **security}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace_of(options, project), "labels": labels},
    }


def _service_account(options: KubernetesOptions, project: str) -> Manifest:
    manifest = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata(options, project, options.service_account),
        "automountServiceAccountToken": False,
    }
    if options.pull_secrets:
        manifest["imagePullSecrets"] = [{"name": name} for name in options.pull_secrets]
    return manifest


def _quota(options: KubernetesOptions, project: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": _metadata(options, project, QUOTA),
        "spec": {"hard": dict(options.quota)},
    }


def _limit_range(options: KubernetesOptions, project: str) -> Manifest:
    limits = {
        "type": "Container",
        "defaultRequest": dict(options.default_requests),
        "default": dict(options.default_limits),
    }
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": _metadata(options, project, "atelier"),
        "spec": {"limits": [limits]},
    }


def _network_policy(
    options: KubernetesOptions, project: str, pods: Sequence[str], control_plane: ControlPlane
) -> Manifest:
    """In: the same project and the platform. Out: the same project, names, the control plane, and the world outside."""
    platform = {"namespaceSelector": {"matchLabels": {SYSTEM: "true"}}}
    names = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
    closed = [*PRIVATE, *options.private_cidrs, *options.metadata_cidrs, *pods]
    reports = [platform, *_blocks([*options.control_plane_cidrs, *control_plane.cidrs])]
    egress: list[Manifest] = [
        {"to": [{"podSelector": {}}]},
        {"to": reports, "ports": _ports(["TCP"], [control_plane.port, *options.platform_ports])},
        {"to": [names, *_blocks(options.dns_cidrs)], "ports": _ports(["UDP", "TCP"], [53])},
        {"to": [_world("0.0.0.0/0", closed), _world("::/0", closed)]},
    ]
    if options.egress_cidrs:
        egress.append({"to": _blocks(options.egress_cidrs)})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(options, project, "atelier"),
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [{"podSelector": {}}, platform, *_blocks(options.ingress_cidrs)]}],
            "egress": egress,
        },
    }


def _ports(protocols: Sequence[str], numbers: Sequence[int]) -> list[Manifest]:
    return [{"protocol": protocol, "port": port} for port in dict.fromkeys(numbers) for protocol in protocols]


def _blocks(cidrs: Sequence[str]) -> list[Manifest]:
    return [{"ipBlock": {"cidr": cidr}} for cidr in dict.fromkeys(cidrs)]


def _world(cidr: str, closed: Sequence[str]) -> Manifest:
    """The whole address family without what is closed."""
    holes = [item for item in closed if (":" in item) == (":" in cidr)]
    return {"ipBlock": {"cidr": cidr, "except": _apart(holes)}}


def _apart(cidrs: Sequence[str]) -> list[str]:
    """Without ranges that lie in another one of the list (the API takes them, some enforcers do not)."""
    return [str(network) for network in collapse_addresses(ip_network(cidr) for cidr in cidrs)]  # type: ignore[type-var]
