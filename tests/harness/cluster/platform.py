"""What the platform needs on the rig: its images in the registry, and the options of a back end that uses them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from atelier_templates.images import load_images
from tests.atelier_cli.platform.installation import Installation
from tests.harness.control_plane import ControlPlane
from tests.harness.hub import TestHub
from tests.harness.ports import free_port

from . import images
from .fixtures import Cluster
from .runtime import publish_runtime

# Those of the demo and of most tests; others are gigabytes.
IMAGES = ("python", "ml", "serve-sklearn")


def backend_options(cluster: Cluster, prefix: str = "atelier-") -> dict[str, Any]:
    """Publish runtime and images; returns the back end's entry for `c.AtelierHub.backends`."""
    publish_images(cluster)
    return {
        "type": "kubernetes",
        "kubeconfig": str(cluster.kubeconfig),
        "namespace_prefix": prefix,
        "instance": prefix.strip("-"),
        "runtime_image": publish_runtime(cluster),
        "registry_prefix": cluster.registry or "",
    }


def plane_options(cluster: Cluster, prefix: str, **options: Any) -> dict[str, Any]:
    """How a control plane is told that its steps are pods, in namespaces that begin with `prefix`."""
    host, port = cluster.advertise_host or "127.0.0.1", free_port()
    return {
        "backends": {"cluster": backend_options(cluster, prefix) | options},
        "extra_binds": [f"{host}:{port}"],
        "advertise_url": f"http://{host}:{port}/api",
    }


@contextmanager
def control_plane(folder: Path, hub: TestHub, cluster: Cluster, prefix: str, **options: Any) -> Iterator[ControlPlane]:
    """A running control plane whose steps are pods, in namespaces that begin with `prefix` and go with it."""
    plane = ControlPlane(folder, hub, **plane_options(cluster, prefix, **options))
    plane.start()
    with emptied(cluster, prefix):
        try:
            yield plane
        finally:
            plane.stop()


@contextmanager
def emptied(cluster: Cluster, prefix: str) -> Iterator[None]:
    """The namespaces that begin with `prefix` go at the end."""
    try:
        yield
    finally:
        names = cluster.kubectl("get", "namespaces", "-o", "name").split()
        if ours := [name for name in names if name.startswith(f"namespace/{prefix}")]:
            cluster.kubectl("delete", *ours, "--wait=false")


@contextmanager
def installed_beside(cluster: Cluster, data: Path, env: Mapping[str, str]) -> Iterator[tuple[Installation, Any]]:
    """`atelier up` with an account for `ada` beside the cluster, in namespaces of its own, and what it printed."""
    publish_runtime(cluster, "latest")
    publish_images(cluster)
    installed = Installation(data, env={**os.environ, **env})
    instance = f"d{uuid.uuid4().hex[:6]}"
    options = ["--cluster-option", f"namespace_prefix={instance}-", "--cluster-option", f"instance={instance}"]
    try:
        started = installed.up("--port", str(free_port()), "--admin", "ada", *up_options(cluster), *options)
        yield installed, started
    finally:
        installed.run("down", "--stop-runs", check=False)
        installed.run("down", check=False)
        cluster.kubectl("delete", "namespace", f"{instance}-ada", "--wait=false", "--ignore-not-found")


def publish_images(cluster: Cluster, names: Sequence[str] = IMAGES) -> list[str]:
    """The images that steps and services name, made from their locks."""
    found, known = [], load_images()
    for image in (known[name] for name in names):
        lock = image.lock if image.lock and image.lock.read_text().strip() else None
        below = images.base(*image.packages)
        found.append(cluster.publish(images.build_image(image.reference, on=below, lock=lock)))
    return found


def up_options(cluster: Cluster) -> list[str]:
    """What `atelier up` must be told to use this cluster, once everything is published."""
    host = cluster.advertise_host or "127.0.0.1"
    address = f"{host}:{free_port(host)}"
    return [
        "--kubeconfig", str(cluster.kubeconfig), "--registry", cluster.registry or "",
        "--bind", address, "--advertise-url", f"http://{address}",
    ]  # fmt: skip
