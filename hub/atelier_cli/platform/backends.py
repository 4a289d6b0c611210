"""The engines of the platform as the control plane is told of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from atelier_cli.platform.layout import GATEWAY_PATH, Layout, Settings
from atelier_core.errors import Invalid
from atelier_spawner.kubernetes.options import KubernetesOptions, read_options
from atelier_spawner.notebooks.folders import identities_file

CLUSTER = "cluster"
RUNTIME = "atelier/runtime:latest"
_OWN = {"type", "kubeconfig"}  # said by options of their own


def backends(layout: Layout, settings: Settings, one_person: str) -> dict[str, Any]:
    """The value of `c.AtelierHub.backends`."""
    found = {"local": _local(layout, one_person)}
    if settings.kubeconfig:
        found[CLUSTER] = {"type": "kubernetes", **_cluster_options(settings)}
    return found


def check(settings: Settings) -> None:
    """Raise `Invalid` now for what would keep the control plane from starting later."""
    if not settings.kubeconfig and (settings.registry or settings.cluster_options):
        raise Invalid(
            "A registry and cluster options need a cluster, and none was named.",
            code="no_cluster",
            hint="Give --kubeconfig the file that kubectl uses.",
        )
    if settings.kubeconfig:
        cluster_options(settings)


def cluster_options(settings: Settings) -> KubernetesOptions:
    """The checked options of the back end that runs on the cluster."""
    return read_options(CLUSTER, _cluster_options(settings))


def parse_cluster_options(items: Sequence[str]) -> dict[str, Any]:
    """`KEY=VALUE` as a person writes it; the value is YAML."""
    found = {}
    for item in items:
        name, separator, text = item.partition("=")
        if not separator or not name.strip():
            raise Invalid(f"--cluster-option {item!r} is not KEY=VALUE.", hint="For example: stop_seconds=30")
        key = name.strip().replace("-", "_")
        if key in _OWN:
            raise Invalid(f"--cluster-option does not set {key!r}.", hint="--kubeconfig names the cluster.")
        try:
            found[key] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise Invalid(
                f"The value of --cluster-option {item!r} is not YAML.", hint="A list is written [a, b], a map {a: b}."
            ) from None
    return found


def _local(layout: Layout, one_person: str) -> dict[str, Any]:
    """The embedded engine. Its folders lie outside the control plane's, which no step may enter."""
    options = {"type": "local", "folder": str(layout.workloads), "cache_dir": str(layout.cache)}
    options["people"] = str(layout.data)
    return options if one_person else {**options, "identities": str(identities_file(layout.data))}


def _cluster_options(settings: Settings) -> Mapping[str, Any]:
    options: dict[str, Any] = {"kubeconfig": settings.kubeconfig}
    if settings.registry:
        registry = settings.registry.rstrip("/")
        options |= {"registry_prefix": registry, "runtime_image": f"{registry}/{RUNTIME}"}
    if settings.mlflow and settings.gateway_bind:
        options["mlflow_url"] = f"http://{settings.gateway_bind}{GATEWAY_PATH}/mlflow"
        options["platform_ports"] = [settings.gateway_pods_port]
    return options | settings.cluster_options
