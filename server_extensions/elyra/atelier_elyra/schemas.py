"""The two schemas that Elyra's editor needs for a runtime and a catalog; there is nothing to fill in."""

from __future__ import annotations

from typing import Any

from elyra.metadata.schema import SchemasProvider

import atelier_elyra.compat  # noqa: F401  (adds the runtime that the schemas name)

_META = "https://raw.githubusercontent.com/elyra-ai/elyra/main/elyra/metadata/schemas/meta-schema.json"


def _schema(name: str, title: str, space: str, space_id: str, metadata_class: str) -> dict[str, Any]:
    return {
        "$schema": _META,
        "$id": f"urn:atelier:elyra:{name}",
        "title": title,
        "name": name,
        "display_name": title,
        "schemaspace": space,
        "schemaspace_id": space_id,
        "metadata_class_name": metadata_class,
        "uihints": {"icon": "", "reference_url": ""},
        "properties": {
            "schema_name": {"title": "Schema Name", "type": "string", "const": name},
            "display_name": {"title": "Display Name", "type": "string", "minLength": 1},
            "metadata": {
                "type": "object",
                "properties": {
                    "description": {"title": "Description", "type": "string"},
                    "runtime_type": {"title": "Runtime Type", "type": "string", "const": "ATELIER"},
                    "categories": {"title": "Category Names", "type": "array", "items": {"type": "string"}},
                    "tags": {"title": "Tags", "type": "array", "items": {"type": "string"}},
                },
                "required": ["runtime_type"],
            },
        },
        "required": ["schema_name", "display_name", "metadata"],
    }


class Schemas(SchemasProvider):
    """Found by the entry point `metadata.schemas_providers`."""

    def get_schemas(self) -> list[dict[str, Any]]:
        """One for the runtime, one for the catalog."""
        return [
            {"runtime_type": "ATELIER"}
            | _schema(
                "atelier",
                "Atelier",
                "runtimes",
                "130b8e00-de7c-4b32-b553-b4a52824a3b5",
                "elyra.pipeline.runtimes_metadata.RuntimesMetadata",
            ),
            _schema(
                "atelier-template-catalog",
                "Atelier templates",
                "component-catalogs",
                "8dc89ca3-4b90-41fd-adb9-9510ad346620",
                "elyra.pipeline.component_metadata.ComponentCatalogMetadata",
            ),
        ]
