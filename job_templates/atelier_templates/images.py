"""The images that come with Atelier: a reference for clusters and a lock from which a laptop makes the same."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml
from pydantic import ValidationError

from atelier_core.errors import Invalid
from atelier_core.image import Image

ROOT = Path(__file__).parent / "images"
_MANIFEST = "image.yaml"
_LOCK = "requirements.lock"


def load_images(registry: str = "", extra_folders: Iterable[Path] = ()) -> dict[str, Image]:
    """All images by name. References without a registry of their own get `registry`, which the operator sets."""
    found = {}
    for root in (ROOT, *extra_folders):
        for manifest in sorted(root.glob(f"*/{_MANIFEST}")):
            image = _load(manifest, registry)
            found[image.name] = image
    return found


def _load(manifest: Path, registry: str) -> Image:
    try:
        raw = yaml.safe_load(manifest.read_text("utf-8"))
        image = Image.model_validate(raw)
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise Invalid(f"{manifest} is not right: {error}", code="bad_image", hint="Correct the file.") from None
    lock = manifest.with_name(_LOCK)
    update = {"lock": lock if lock.is_file() else None, "reference": with_registry(image.reference, registry)}
    return image.model_copy(update=update)


def with_registry(reference: str, registry: str) -> str:
    """`reference` as it is called in `registry`; one that names its own registry stays as it is."""
    first, slash, _ = reference.partition("/")
    own = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return reference if own or not registry else f"{registry.rstrip('/')}/{reference}"
