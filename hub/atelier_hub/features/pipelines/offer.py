"""What pipelines may refer to: templates with their code, images, and the names of the back ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from atelier_core.image import Image
from atelier_core.template import Catalog, Template
from atelier_hub.artifacts.store import ArtifactStore
from atelier_hub.context import Settings
from atelier_templates.images import load_images
from atelier_templates.loader import Library


@dataclass(frozen=True)
class Offer:
    """Loaded once at start. `code_digest` gives the digest of `template:<name>@<version>` or `runner:<name>`."""

    templates: Catalog
    code_digest: Callable[[str], str]
    readme: Callable[[Template], str]
    images: Mapping[str, Image]
    backends: frozenset[str]
    default_backend: str


def load_offer(settings: Settings, store: ArtifactStore) -> Offer:
    """Read all templates and images; a broken one stops the start with a sentence.

    Their code goes into the store, where a run that began before an upgrade still finds what it was planned with.
    """
    library = Library()
    for key in library.keys:
        store.put_sync([library.archive(key).data])

    def readme(template: Template) -> str:
        path = library.folder(template) / "README.md"
        return path.read_text("utf-8") if path.is_file() else ""

    return Offer(
        templates=library.catalog,
        code_digest=library.digest,
        readme=readme,
        images={**load_images(), **settings.images},
        backends=frozenset(settings.backends),
        default_backend=settings.default_backend,
    )


def template_summary(template: Template) -> dict[str, Any]:
    """A template as it stands in a palette."""
    fields = {"name", "version", "stage", "category", "description", "image", "inputs", "outputs"}
    return template.model_dump(mode="json", include=fields) | {"op": template.op}


def template_body(offer: Offer, template: Template) -> dict[str, Any]:
    """A template with its parameter form and its documentation."""
    return template.model_dump(mode="json") | {"op": template.op, "readme": offer.readme(template)}


def image_body(image: Image) -> dict[str, Any]:
    """An image as people see it."""
    return {
        "name": image.name,
        "reference": image.reference,
        "python": image.python,
        "description": image.description,
        "cluster_only": image.cluster_only,
    }
