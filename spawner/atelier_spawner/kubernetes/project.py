"""What makes a namespace a project: quota, limits, network policy, a service account without a token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from atelier_spawner.kubernetes.labels import PROJECT, SYSTEM, common_labels, namespace_of
from atelier_spawner.kubernetes.options import KubernetesOptions

Manifest = dict[str, Any]
_SECURITY = "pod-security.kubernetes.io"
PRIVATE_IPV4 = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")


def project_manifests(
    options: KubernetesOptions, project: str, private: Sequence[str], reachable: Sequence[str]
) -> list[Manifest]:
    """Everything in the project's namespace apart from workloads, in the order in which it is made.

    `private` are the ranges of the cluster's pods, which stay closed; `reachable` the control plane's addresses.
    """
    return [
        _namespace(options, project),
        _service_account(options, project),
        *([_quota(options, project)] if options.quota else []),
        _limit_range(options, project),
        _network_policy(options, project, private, reachable),
    ]


def _metadata(options: KubernetesOptions, project: str, name: str) -> Manifest:
    labels = {**common_labels(options), PROJECT: project}
    return {"name": name, "namespace": namespace_of(options, project), "labels": labels}


def _namespace(options: KubernetesOptions, project: str) -> Manifest:
    security = {f"{_SECURITY}/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    labels = {**common_labels(options), PROJECT: project, **security}
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
        "metadata": _metadata(options, project, "atelier"),
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
    options: KubernetesOptions, project: str, private: Sequence[str], reachable: Sequence[str]
) -> Manifest:
    """In: the same project and the platform. Out: the same project, names, the platform, and the world outside."""
    platform = {"namespaceSelector": {"matchLabels": {SYSTEM: "true"}}}
    dns = {"ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]}
    names = {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}], **dns}
    closed = [*private, *options.metadata_cidrs]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(options, project, "atelier"),
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [{"podSelector": {}}, platform, *_blocks(options.ingress_cidrs)]}],
            "egress": [
                {"to": [{"podSelector": {}}, platform, *_blocks([*options.control_plane_cidrs, *reachable])]},
                names,
                {"to": [_world("0.0.0.0/0", closed), _world("::/0", closed)]},
            ],
        },
    }


def _blocks(cidrs: Sequence[str]) -> list[Manifest]:
    return [{"ipBlock": {"cidr": cidr}} for cidr in dict.fromkeys(cidrs)]


def _world(cidr: str, closed: Sequence[str]) -> Manifest:
    """The whole address family without what is closed; IPv6's local ranges are always closed."""
    six = ":" in cidr
    holes = [item for item in closed if (":" in item) == six] + (["fc00::/7", "fe80::/10"] if six else [])
    return {"ipBlock": {"cidr": cidr, "except": list(dict.fromkeys(_apart(holes)))}}


def _apart(cidrs: Sequence[str]) -> list[str]:
    """Without ranges that lie in another one of the list (the API takes them, some enforcers do not)."""
    from ipaddress import collapse_addresses, ip_network

    return [str(network) for network in collapse_addresses(ip_network(cidr) for cidr in cidrs)]  # type: ignore[type-var]
