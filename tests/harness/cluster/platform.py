"""What the platform needs on the rig: its images in the registry, and the options of a back end that uses them."""

from __future__ import annotations

from typing import Any

from atelier_templates.images import load_images

from . import images
from .fixtures import Cluster
from .runtime import publish_runtime


def backend_options(cluster: Cluster, prefix: str = "atelier-") -> dict[str, Any]:
    """Publish runtime and images; returns the back end's entry for `c.AtelierHub.backends`."""
    for image in load_images().values():
        lock = image.lock if image.lock and image.lock.read_text().strip() else None
        cluster.publish(images.build_image(image.reference, lock=lock))
    return {
        "type": "kubernetes",
        "kubeconfig": str(cluster.kubeconfig),
        "namespace_prefix": prefix,
        "instance": prefix.strip("-"),
        "runtime_image": publish_runtime(cluster),
        "registry_prefix": cluster.registry or "",
    }
