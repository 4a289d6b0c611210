"""Template nodes: inputs, references and parameters, checked against what the template says."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from jsonschema import Draft202012Validator

from atelier_core.pipeline.datasets import datasets_in
from atelier_core.pipeline.document import Node, input_path
from atelier_core.pipeline.parameters import coerce, did_you_mean
from atelier_core.pipeline.plan import CodeRef, InputPlan, OutputRef, RetryPolicy
from atelier_core.pipeline.scope import Scope, check_path, output_of, unwrap
from atelier_core.template import Template
from atelier_core.workload import Resources

# What Elyra adds to catalog nodes by itself; kept in the file, not parameters of the template.
_ELYRA_OWNED = frozenset(
    {"label", "component_source", "runtime_image", "env_vars", "dependencies", "outputs", "mounted_volumes",
     "kubernetes_secrets", "kubernetes_tolerations", "kubernetes_pod_annotations", "kubernetes_pod_labels",
     "kubernetes_shared_mem_size", "disallow_cached_output", "pipeline_parameters"}
)  # fmt: skip
_SCHEME = re.compile(r"[a-z][a-z0-9+-]*:")
_PLACE = re.compile(r"\$\{parameters\.([A-Za-z_][A-Za-z0-9_]*)\}")


def template_step(scope: Scope, node: Node, template: Template) -> dict[str, Any]:
    """What the template gives its step."""
    inputs, references = _template_sources(scope, node, template)
    parameters, uncertain = _template_parameters(scope, node, template, references)
    code = [CodeRef(digest=scope.context.code_digest(template.key), path="template")]
    if template.project_files and scope.context.snapshot:
        code.insert(0, CodeRef(digest=scope.context.snapshot))
    return {
        "kind": "template",
        "template": f"{template.name}@{template.version}",
        "image": _image(template, parameters),
        "command": _command(scope, node, template, parameters),
        "env": dict(template.env),
        "parameters": parameters,
        "references": references,
        "inputs": inputs,
        "datasets": datasets_in(scope, node, parameters, _dataset_parameters(template) - uncertain),
        "code": tuple(code),
        "workdir": "code" if template.project_files and scope.context.snapshot else "template",
        "resources": template.resources.over(Resources()),
        "replicas": template.replicas,
        "topology": template.topology,
        "ports": template.ports,
        "light": template.light,
        "timeout": template.timeout,
        "grace": template.grace,
        "retry": template.retry.over(RetryPolicy()),
    }


def _image(template: Template, parameters: Mapping[str, Any]) -> str:
    """A parameter with the picker `image` chooses the step's image; empty means the template's."""
    pickers = {name: (one.get("x-ui") or {}).get("picker") for name, one in template.properties.items()}
    chosen = [parameters.get(name) for name, picker in pickers.items() if picker == "image"]
    return next((one for one in chosen if isinstance(one, str) and one), template.image)


def _command(scope: Scope, node: Node, template: Template, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """The template's command, with `${parameters.NAME}` filled in: for images without anything that reads JSON."""

    def value(found: re.Match[str]) -> str:
        if found[1] in parameters or found[1] not in node.sources():
            return str(parameters.get(found[1], ""))
        scope.problem(node, found[1], f"{found[1]!r} is part of the command and must be known before the run starts.",
                      "Write it into the form instead of connecting it.")  # fmt: skip
        return ""

    return tuple(_PLACE.sub(value, item) for item in template.command)


def _template_sources(
    scope: Scope, node: Node, template: Template
) -> tuple[dict[str, InputPlan], dict[str, OutputRef]]:
    """Inputs and references of a template node."""
    inputs: dict[str, InputPlan] = {}
    references: dict[str, OutputRef] = {}
    for name, source in node.sources().items():
        port = template.inputs.get(name)
        if port is None and name not in template.properties:
            known = ", ".join(template.inputs) or "none"
            scope.problem(node, name, f"the template {template.name!r} has no input {name!r}.", f"It has: {known}.")
            continue
        found = output_of(scope, node, name, source)
        if found is None:
            continue
        reference, kind = found
        wanted = port.type if port else "value"
        if not _fits(kind, wanted):
            message = f"{name!r} takes {wanted!r}, but {source.output!r} of the step before it is {kind!r}."
            scope.problem(node, name, message, "Connect an output of the right type.")
        elif kind == "value":
            references[name] = reference
        else:
            inputs[name] = InputPlan(source=reference)
    connected = node.sources()
    for name, port in template.inputs.items():
        if port.required and name not in connected:
            hint = port.description or f"Connect an output of type {port.type!r} to it."
            scope.problem(node, name, f"its input {name!r} is not connected.", hint)
    return inputs, references


def _fits(kind: str, wanted: str) -> bool:
    """Whether an output may go into an input. A value goes only where a value is taken."""
    return kind == wanted or ("any" in (kind, wanted) and "value" not in (kind, wanted))


def _template_parameters(
    scope: Scope, node: Node, template: Template, references: Mapping[str, OutputRef]
) -> tuple[dict[str, Any], set[str]]:
    """The parameters of a template node: filled in, read from text, completed by defaults and checked.

    And the names of those whose value is not known yet.
    """
    given = _given_parameters(node, template)
    values: dict[str, Any] = {}
    uncertain = set(references)
    for name, raw in given.items():
        schema = template.properties.get(name)
        if schema is None:
            hint = did_you_mean(name, template.properties).strip() or f"It has: {', '.join(template.properties)}."
            scope.problem(node, name, f"the template {template.name!r} has no parameter {name!r}.", hint)
            continue
        if scope.guessed(raw):
            uncertain.add(name)
        value = coerce(scope.fill(node, name, raw), schema)
        if value is not None:
            values[name] = value
    values = {**template.defaults, **values}
    _check_parameters(scope, node, template, values, uncertain)
    for name in sorted(set(values) - uncertain):
        _check_file(scope, node, name, values[name], template.properties[name])
    return {name: value for name, value in values.items() if name not in references}, uncertain


def _dataset_parameters(template: Template) -> set[str]:
    return {name for name, one in template.properties.items() if (one.get("x-ui") or {}).get("picker") == "dataset"}


def _given_parameters(node: Node, template: Template) -> dict[str, Any]:
    """What the file says, out of Elyra's `{widget, value}`; a field that was left empty says nothing."""
    found = {}
    for name, wrapped in {**node.parameters, **node.atelier.parameters}.items():
        if name in template.inputs or input_path(wrapped) is not None:
            continue
        if name in _ELYRA_OWNED and name not in template.properties:
            continue
        value = unwrap(wrapped)
        schema = template.properties.get(name, {})
        text = schema.get("type", "string") == "string" and "enum" not in schema
        required = name in template.parameters.get("required", ())
        if value is None or (value == "" and (required or not text)):
            continue
        found[name] = value
    return found


def _check_parameters(
    scope: Scope, node: Node, template: Template, values: dict[str, Any], uncertain: Collection[str]
) -> None:
    for name in template.parameters.get("required", ()):
        if name not in values and name not in uncertain and not _noted(scope, node, name):
            hint = str(template.properties.get(name, {}).get("description", "")) or "Fill it in."
            scope.problem(node, name, f"the parameter {name!r} is missing.", hint)
    for error in Draft202012Validator(template.parameters).iter_errors(values):
        field = str(error.path[0]) if error.path else ""
        if field in uncertain or error.validator in ("required", "additionalProperties"):
            continue
        shown = error.message if len(error.message) < 300 else f"it does not fit {error.validator!r} of its schema"
        hint = str(template.properties.get(field, {}).get("description", "")) or "Correct the value."
        scope.problem(node, field, f"the parameter {field!r} is not right: {shown}.", hint)


def _noted(scope: Scope, node: Node, field: str) -> bool:
    return any(one.node == node.id and one.field == field for one in scope.problems)


def _check_file(scope: Scope, node: Node, name: str, value: Any, schema: Mapping[str, Any]) -> None:
    """A parameter that names a file of the project must name one that is there."""
    hint = schema.get("x-ui") or {}
    if "file" not in (hint.get("widget"), hint.get("picker")) or not isinstance(value, str) or not value:
        return
    if _SCHEME.match(value):
        return
    check_path(scope, node, name, value)
