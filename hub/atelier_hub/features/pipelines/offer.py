"""What pipelines may refer to: templates with their code, images, and the names of the back ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from atelier_templates.loader import CodeArchives

from atelier_core.errors import NotFound
from atelier_core.image import Image
from atelier_core.template import Catalog


@dataclass(frozen=True)
class Offer:
    """Loaded once at start."""

    templates: Catalog
    code_archives: CodeArchives
    images: Mapping[str, Image]
    backends: frozenset[str]
    default_backend: str

    def code_digest(self, key: str) -> str:
        """The digest of the code behind `template:<name>@<version>` or `runner:<name>`."""
        return self.code_archives.digest(key)

    def code(self, digest: str) -> bytes:
        """The tar.gz with this digest."""
        found = self.code_archives.content(digest)
        if found is None:
            raise NotFound(f"There is no code with digest {digest!r}.")
        return found


def load_offer(settings: Settings) -> Offer:
    """Read all templates and images; a broken one stops the start with a sentence."""
    loaded = load()
    return Offer(
        templates=loaded.catalog,
        archives=loaded.archives,
        images={**loaded.images, **settings.images},
        backends=frozenset(settings.backends),
        default_backend=settings.default_backend,
    )
