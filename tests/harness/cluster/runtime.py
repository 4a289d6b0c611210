"""The runtime image in the rig's registry, made from this checkout."""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path

from atelier_spawner.kubernetes.runtime_image import build_image_root

from . import images, layers
from .fixtures import Cluster


def publish_runtime(cluster: Cluster, tag: str | None = None) -> str:
    """Build and publish it, under its content if no `tag` is given.

    On a cluster of someone else ATELIER_TEST_RUNTIME_IMAGE names the one to use.
    """
    given = os.environ.get("ATELIER_TEST_RUNTIME_IMAGE")
    if given:
        return given
    layer = _layer()
    if tag is None:
        tag = layer.digest[7:19]
    return cluster.publish(images.Image(f"atelier/runtime:{tag}", (layer,)))


@functools.cache
def _layer() -> layers.Layer:
    """Its content, made once by each process of tests: that takes seconds."""
    with tempfile.TemporaryDirectory() as folder:
        root, tar = build_image_root(Path(folder) / "root"), Path(folder) / "layer.tar"
        layers.pack_tree(root, tar)
        return layers.store(tar)
