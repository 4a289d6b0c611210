"""What pipelines may refer to: templates with their code, images, and the names of the back ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from atelier_core.flavor import Flavor
from atelier_core.image import Image
from atelier_core.template import Catalog, Template
from atelier_hub.artifacts.store import ArtifactStore
from atelier_hub.context import Settings
from atelier_templates.images import load_images
from atelier_templates.loader import Library


@dataclass(frozen=True)
class Offer:
    """Loaded once at start. `code_digest` gives the digest of `template:<name>@<version>` or `runner:<name>`.

    `code` has all of these digests.
    """

    templates: Catalog
    code_digest: Callable[[str], str]
    readme: Callable[[Template, str], str]
    images: Mapping[str, Image]
    backends: frozenset[str]
    flavors: tuple[Flavor, ...]
    default_backend: str
    code: frozenset[str]


def load_offer(settings: Settings, store: ArtifactStore) -> Offer:
    """Read all templates and images; a broken one stops the start with a sentence.

    Their code goes into the store, where a run that began before an upgrade still finds what it was planned with.
    """
    library = Library()
    code = frozenset(store.put_sync([library.archive(key).data]).digest for key in library.keys)

    def readme(template: Template, language: str) -> str:
        folder = library.folder(template)
        for path in (folder / f"README.{language}.md", folder / "README.md"):
            if path.is_file():
                return path.read_text("utf-8")
        return ""

    return Offer(
        templates=library.catalog,
        code_digest=library.digest,
        readme=readme,
        images={**load_images(), **settings.images},
        backends=frozenset(settings.backends),
        flavors=settings.flavors,
        default_backend=settings.default_backend,
        code=code,
    )
