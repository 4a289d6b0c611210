"""Parameters that name a dataset (`dataset:name@version`): the plan says which version, the step finds its files."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from atelier_core.dataset import DatasetReference, FoundDataset, parse_reference
from atelier_core.errors import Invalid
from atelier_core.pipeline.document import Node
from atelier_core.pipeline.plan import DatasetRef
from atelier_core.pipeline.scope import Scope, check_input_name


def datasets_in(
    scope: Scope, node: Node, values: Mapping[str, Any], names: Collection[str], *, strict: bool = True
) -> dict[str, DatasetRef]:
    """The datasets that the parameters `names` name; what cannot be used is noted.

    Not `strict`: a text that only begins like a reference is a text like any other.
    """
    found: dict[str, DatasetRef] = {}
    for name in names:
        value = values.get(name)
        if not isinstance(value, str):
            continue
        try:
            reference = parse_reference(value)
        except Invalid as error:
            if strict:
                scope.problem(node, name, f"`{name}`: {error.message}", error.hint)
            continue
        pinned = _pinned(scope, node, name, reference) if reference is not None else None
        if pinned is not None:
            check_input_name(scope, node, name)
            found[name] = pinned
    return found


def _pinned(scope: Scope, node: Node, field: str, reference: DatasetReference) -> DatasetRef | None:
    """The version that is meant; from here on the run keeps to it."""
    resolve = scope.context.datasets
    if resolve is None:
        return None  # nobody here knows the project's datasets
    found = resolve(reference)
    if found is None or not found.version:
        _note_missing(scope, node, field, reference, found)
        return None
    if found.kind == "uri":
        message = f"`{field}`: {reference} is only an address ({found.uri}), which the platform does not fetch."
        scope.problem(node, field, message, "Let the step read that address itself, or register the files.")
        return None
    return DatasetRef(name=reference.name, version=found.version)


def _note_missing(
    scope: Scope, node: Node, field: str, reference: DatasetReference, found: FoundDataset | None
) -> None:
    if found is None:
        what = f"the project has no {reference}."
        hint = "Register it, choose another one, or correct name and version."
    else:
        what = f"{reference} has no version yet."
        hint = "Add files to it first."
    scope.problem(node, field, f"`{field}`: {what}", hint)
