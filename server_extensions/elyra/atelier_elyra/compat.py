"""One more kind of runtime for Elyra 4.1, whose list of them is closed.

Elyra asks third parties to extend the enumeration themselves and gives no way to do it (elyra-ai/elyra#2100). Three
places are touched; each is looked at first, so that another Elyra fails here with a sentence and not later.
"""

from __future__ import annotations

from typing import Any, ClassVar

from elyra._version import __version__
from elyra.pipeline import component, runtime_type
from elyra.pipeline.runtime_type import RuntimeProcessorType, RuntimeTypeResources

NAME, TITLE = "ATELIER", "Atelier"
PARSER = "atelier_elyra.catalog:TemplateParser"
_ENUM_PARTS = ("_member_names_", "_member_map_", "_value2member_map_")


class UnknownElyra(ImportError):
    """This Elyra is not built like the one that Atelier was tried with."""


def _check() -> None:
    missing = [part for part in _ENUM_PARTS if not hasattr(RuntimeProcessorType, part)]
    if not hasattr(RuntimeTypeResources, "get_instance_by_type"):
        missing.append("RuntimeTypeResources.get_instance_by_type")
    if not isinstance(getattr(component.ComponentParser, "_parser_class_map", None), dict):
        missing.append("ComponentParser._parser_class_map")
    if missing:
        raise UnknownElyra(
            f"Elyra {__version__} has no {', '.join(missing)}, so Atelier cannot join it. "
            "Install Elyra 4.1, or a newer atelier-elyra."
        )


def _extend() -> RuntimeProcessorType:
    """A further member, made as the enumeration makes its own."""
    if NAME in RuntimeProcessorType.__members__:
        return RuntimeProcessorType[NAME]
    member = object.__new__(RuntimeProcessorType)
    member._name_, member._value_, member.__objclass__ = NAME, TITLE, RuntimeProcessorType
    member._sort_order_ = len(RuntimeProcessorType.__members__)
    RuntimeProcessorType._member_names_.append(NAME)
    RuntimeProcessorType._member_map_[NAME] = member
    RuntimeProcessorType._value2member_map_[TITLE] = member
    type.__setattr__(RuntimeProcessorType, NAME, member)
    return member


_check()
ATELIER = _extend()


class AtelierResources(RuntimeTypeResources):
    """How the editor shows the runtime; pipelines are not exported, the file is what runs."""

    type = ATELIER
    icon_endpoint = "static/elyra/pipeline-flow.svg"
    export_file_types: ClassVar[list[dict[str, str]]] = []


_theirs = RuntimeTypeResources.get_instance_by_type


def _resources(kind: Any, runtime_enabled: bool | None = True) -> RuntimeTypeResources:
    if kind is ATELIER:
        return AtelierResources(runtime_enabled=runtime_enabled)
    return _theirs(kind, runtime_enabled=runtime_enabled)


runtime_type.RuntimeTypeResources.get_instance_by_type = staticmethod(_resources)
component.ComponentParser._parser_class_map[NAME] = PARSER
