"""Registered models: names, references (`models:/name/3`, `models:/name@alias`), and who may use which alias."""

from __future__ import annotations

import re
from typing import NamedTuple

from atelier_core.errors import Invalid
from atelier_core.names import slug

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,59}")
PRODUCTION = "production"
REFERENCE_PREFIX = "models:/"
# Names and aliases that MLflow's own clients may have given are wider than those that Atelier gives.
_REFERENCE = re.compile(r"models:/([^/@:\x00-\x1f]{1,255})(?:/(latest|[1-9]\d{0,8})|@([^/@:\x00-\x1f]{1,255}))")


class ModelReference(NamedTuple):
    """A version of a model: by its number, by an alias, or (with neither) the newest one at the moment of use."""

    name: str
    version: int | None = None
    alias: str = ""

    def __str__(self) -> str:
        if self.alias:
            return f"{REFERENCE_PREFIX}{self.name}@{self.alias}"
        return f"{REFERENCE_PREFIX}{self.name}/{self.version or 'latest'}"


def parse_reference(text: str) -> ModelReference:
    """The version that a text names; `Invalid` if it names none."""
    found = _REFERENCE.fullmatch(text.strip())
    if found is None:
        raise Invalid(
            f"{text[:100]!r} is not a reference to a model.",
            code="bad_reference",
            hint="Write models:/NAME/VERSION or models:/NAME@ALIAS, for example models:/digits/3.",
        )
    name, number, alias = found.groups()
    return ModelReference(name, int(number) if number and number != "latest" else None, alias or "")


def check_name(name: str) -> str:
    """Return `name` if a model may be called that."""
    if not MODEL_NAME.fullmatch(name):
        raise Invalid(
            f"{name[:100]!r} is not a name for a model.",
            code="bad_name",
            hint="Use 1 to 100 letters, digits, dots, dashes and underscores; start with a letter or a digit.",
        )
    return name


def check_alias(alias: str) -> str:
    """Return `alias` if a version may be called that; `latest` and numbers mean something else already."""
    if not ALIAS.fullmatch(alias) or alias == "latest" or re.fullmatch(r"v\d+", alias):
        raise Invalid(
            f"{alias[:100]!r} is not an alias.",
            code="bad_alias",
            hint="Use 1 to 60 lower-case letters, digits, dashes and underscores, and neither 'latest' nor 'v3'.",
        )
    return alias


_RESERVED_WORKSPACES = frozenset({"default", "workspaces", "api", "ajax-api", "static-files"})


def workspace_name(project: str) -> str:
    """The workspace of a project at MLflow: the project's name, or one that MLflow takes and no other project has."""
    fits = len(project) >= 2 and project not in _RESERVED_WORKSPACES
    return slug(project if fits else f"{project} ", 60)
