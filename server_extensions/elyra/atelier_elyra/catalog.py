"""Atelier's templates as components of Elyra's palette."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from elyra.pipeline.catalog_connector import CatalogEntry, ComponentCatalogConnector, EntryData
from elyra.pipeline.component import Component, ComponentParser
from elyra.pipeline.properties import ComponentProperty

from atelier_elyra.compat import ATELIER
from atelier_elyra.platform import client
from atelier_sdk import AtelierError

KEY = "template"  # the op of a node is a hash of this, as Atelier's own editor writes it
_FIELDS = {"integer": "number", "number": "number", "boolean": "boolean"}
# Two kinds of input make Elyra save `{widget, value}`; with one it saves a bare value that its validation trips over.
_VALUE, _PATH = ["inputvalue", "inputpath"], ["inputpath"]


class TemplateCatalog(ComponentCatalogConnector):
    """Asks the platform for its templates when Elyra fills its palette."""

    def get_catalog_entries(self, catalog_metadata: dict[str, Any]) -> list[dict[str, Any]]:
        """The name of each template."""
        try:
            with client() as connected:
                return [{KEY: name} for name in sorted({template.name for template in connected.templates.list()})]
        except AtelierError as error:
            self.log.error("Atelier's templates are not in the palette: %s %s", error.message, error.hint)
            return []

    def get_entry_data(self, catalog_entry_data: dict[str, Any], catalog_metadata: dict[str, Any]) -> EntryData | None:
        """The template as the platform describes it."""
        try:
            with client() as connected:
                template = connected.templates.get(catalog_entry_data[KEY])
        except AtelierError as error:
            self.log.error("%s: %s %s", catalog_entry_data[KEY], error.message, error.hint)
            return None
        return EntryData(definition=template.model_dump_json())

    @classmethod
    def get_hash_keys(cls) -> list[Any]:
        """What a component's identity is made of."""
        return [KEY]


class TemplateParser(ComponentParser):
    """A template's parameters, inputs and outputs as fields of Elyra's form."""

    component_platform = ATELIER
    _file_types: ClassVar = [".json"]

    def parse(self, catalog_entry: CatalogEntry) -> list[Component] | None:
        """One component."""
        template = json.loads(catalog_entry.entry_data.definition)
        fields = [*_inputs(template), *_parameters(template), *_outputs(template)]
        title = template.get("label") or template["name"]
        catalog_entry.categories = [template["category"]]
        return [catalog_entry.get_component(catalog_entry.id, title, template["description"], fields, ".json")]


def _inputs(template: dict[str, Any]) -> list[ComponentProperty]:
    return [
        _field(name, name, "string", _described(port, port["type"]), _PATH, required=port["required"])
        for name, port in template["inputs"].items()
    ]


def _parameters(template: dict[str, Any]) -> list[ComponentProperty]:
    schema = template["parameters"]
    required = schema.get("required", ())
    return [
        _field(
            name,
            field.get("title") or name,
            _FIELDS.get(str(field.get("type")), "string"),
            _described(field, _choices(field) or str(field.get("type", "text"))),
            _VALUE,
            value=_default(field),
            required=name in required,
        )
        for name, field in schema.get("properties", {}).items()
    ]


def _outputs(template: dict[str, Any]) -> list[ComponentProperty]:
    return [
        _field(f"output_{name}", name, "string", _described(port, port["type"]), [None])
        for name, port in template["outputs"].items()
    ]


def _field(
    id: str, name: str, kind: str, description: str, inputs: list[Any], *, value: Any = "", required: bool = False
) -> ComponentProperty:
    """A field. Elyra takes the mere word `required` in a description for an order, so ours is said again."""
    field = ComponentProperty(id, name, kind, description, inputs, value=value)
    field._required = required
    return field


def _default(field: dict[str, Any]) -> Any:
    """Elyra's forms know text, numbers and ticks; anything else is JSON in a text field."""
    value = field.get("default")
    if value is None:
        return False if field.get("type") == "boolean" else ""
    return value if isinstance(value, (str, int, float, bool)) else json.dumps(value)


def _choices(field: dict[str, Any]) -> str:
    return "one of " + ", ".join(str(choice) for choice in field["enum"]) if "enum" in field else ""


def _described(what: dict[str, Any], kind: str) -> str:
    return f"{what.get('description', '')} ({kind})".strip()
