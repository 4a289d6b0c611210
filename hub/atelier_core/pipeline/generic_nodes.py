"""Elyra's generic nodes: a notebook, a Python script or an R script of the project."""

from __future__ import annotations

import posixpath
from typing import Any

from pydantic import ValidationError

from atelier_core.pipeline.datasets import datasets_in
from atelier_core.pipeline.document import Node, input_path
from atelier_core.pipeline.plan import CodeRef, InputPlan, OutputRef, RetryPolicy
from atelier_core.pipeline.ports import project_path
from atelier_core.pipeline.scope import ENV_NAME, Scope, check_input_name, check_path, output_of, unwrap
from atelier_core.template import ResourceRequest
from atelier_core.workload import Resources

GENERIC_RESOURCES = Resources(cpu=0.5, memory=1024**3)


def generic_step(scope: Scope, node: Node) -> dict[str, Any]:
    """What the node's file and Elyra's fields give its step."""
    filename = unwrap(node.parameters.get("filename"))
    path = ""
    if not isinstance(filename, str) or not filename.strip():
        scope.problem(node, "filename", "it has no file.", "Choose the notebook or script that it runs.")
    else:
        path = check_path(scope, node, "filename", filename) or ""
    folder, file = posixpath.split(path)
    _check_dependencies(scope, node, folder)
    inputs, references = _generic_sources(scope, node, folder)
    parameters = _generic_parameters(scope, node)
    command, code = _generic_command(scope, node, file or "-")
    return {
        "kind": node.generic,
        "image": _generic_image(scope, node),
        "command": command,
        "env": _elyra_environment(scope, node),
        "parameters": parameters,
        "references": references,
        "inputs": inputs,
        "datasets": datasets_in(scope, node, parameters, set(parameters) - set(inputs), strict=False),
        "code": code,
        "workdir": posixpath.join("code", folder) if folder else "code",
        "resources": _elyra_resources(scope, node),
        "replicas": 1,
        "topology": "single",
        "light": False,
        "timeout": 0.0,
        "grace": 10.0,
        "retry": RetryPolicy(),
    }


def _generic_command(scope: Scope, node: Node, file: str) -> tuple[tuple[str, ...], tuple[CodeRef, ...]]:
    snapshot = (CodeRef(digest=scope.context.snapshot),) if scope.context.snapshot else ()
    if node.generic == "notebook":
        runner = CodeRef(digest=scope.context.code_digest("runner:notebook"), path="template")
        return ("python", "${ATELIER_TEMPLATE}/notebook.py", file), (*snapshot, runner)
    return ("Rscript" if node.generic == "r" else "python", file), snapshot


def _generic_image(scope: Scope, node: Node) -> str:
    given = _setting(scope, node, "runtime_image")
    image = scope.fill(node, "runtime_image", given) if isinstance(given, str) else ""
    if image or node.atelier.image:
        return str(image or node.atelier.image)
    if node.generic == "r":
        scope.problem(node, "runtime_image", "an R script needs an image with R.", "Choose an image for the node.")
    return scope.context.default_image


def _setting(scope: Scope, node: Node, name: str) -> Any:
    """A field of a generic node, or the pipeline's default for it."""
    value = unwrap(node.parameters.get(name))
    return unwrap(scope.document.defaults.get(name)) if value in (None, "", []) else value


def _check_dependencies(scope: Scope, node: Node, folder: str) -> None:
    given = node.parameters.get("dependencies")
    for item in given if isinstance(given, list) else []:
        if not isinstance(item, str) or not item.strip():
            continue
        if not any(mark in item for mark in "*?["):
            check_path(scope, node, "dependencies", item, folder)
        elif not scope.matches(posixpath.normpath(posixpath.join(folder, item))):
            hint = "Correct the pattern or remove it from the dependencies."
            scope.problem(node, "dependencies", f"no file of the pipeline's folder matches {item!r}.", hint)


def _generic_sources(scope: Scope, node: Node, folder: str) -> tuple[dict[str, InputPlan], dict[str, OutputRef]]:
    """Files that steps before it declared go to its working directory; what it asks for by name to its inputs."""
    inputs: dict[str, InputPlan] = {}
    references: dict[str, OutputRef] = {}
    for ancestor in scope.ancestors.get(node.id, ()):
        for file, output in scope.ports[ancestor].files.items():
            place = project_path(posixpath.join(folder, file))
            if place is None:
                scope.problem(node, "inputs", f"the file {file!r} of a step before it would land outside the project.")
                continue
            inputs[output] = InputPlan(
                source=OutputRef(step=scope.names[ancestor], output=output), path=posixpath.join("code", place)
            )
    for name, source in node.sources().items():
        found = output_of(scope, node, name, source)
        if found and found[1] == "value":
            references[name] = found[0]
        elif found:
            check_input_name(scope, node, name)
            inputs[name] = InputPlan(source=found[0])
    return inputs, references


def _generic_parameters(scope: Scope, node: Node) -> dict[str, Any]:
    found = {}
    for name, wrapped in node.atelier.parameters.items():
        if input_path(wrapped) is None:
            found[name] = scope.fill(node, name, unwrap(wrapped))
    return found


def _elyra_environment(scope: Scope, node: Node) -> dict[str, str]:
    """`env_vars` as `NAME=value` texts or `{env_var, value}` objects, the pipeline's first; and Elyra's own two."""
    found = {"ELYRA_RUNTIME_ENV": "atelier", "ELYRA_RUN_NAME": f"{scope.context.pipeline_name}-{scope.context.run_id}"}
    names = node.parameters.get("pipeline_parameters")
    for name in names if isinstance(names, list) else []:
        found[str(name)] = str(scope.fill(node, "pipeline_parameters", f"{{{{ parameters.{name} }}}}"))
    given = [scope.document.defaults.get("env_vars"), node.parameters.get("env_vars")]
    for item in [one for items in given if isinstance(items, list) for one in items]:
        if isinstance(item, dict):
            name, equals, text = str(item.get("env_var", "")), "=", item.get("value")
        else:
            name, equals, text = str(item).partition("=")
        if not equals or not ENV_NAME.fullmatch(name.strip()):
            hint = "Write NAME=value; names are letters, digits and underscores."
            scope.problem(node, "env_vars", f"{item!r} is not an environment variable.", hint)
            continue
        found[name.strip()] = str(scope.fill(node, "env_vars", "" if text is None else str(text)))
    return found


def _elyra_resources(scope: Scope, node: Node) -> Resources:
    """`cpu` in cores, `memory` in gigabytes, `gpu` with its vendor's resource name."""
    found: dict[str, Any] = {}
    factors = {"cpu": ("cpu", 1.0), "memory": ("memory", 1e9), "gpu": ("accelerators", 1.0)}
    for name, (field, factor) in factors.items():
        value = _setting(scope, node, name)
        if value in (None, "", 0):
            continue
        try:
            number = float(value) * factor
            found[field] = number if field == "cpu" else int(number)
        except (TypeError, ValueError, OverflowError):
            scope.problem(node, name, f"`{name}` is {value!r}, which is not a number.", "Write a number.")
    if found.get("accelerators"):
        found["accelerator"] = str(_setting(scope, node, "gpu_vendor") or "nvidia.com/gpu")
    if any(value <= 0 for value in found.values() if not isinstance(value, str)):
        scope.problem(node, "resources", "its resources must be more than nothing.", "Write positive numbers.")
        return GENERIC_RESOURCES
    try:
        return ResourceRequest.model_validate(found).over(GENERIC_RESOURCES)
    except ValidationError as error:
        why = error.errors(include_url=False)[0]
        message = f"its resources are not right: {why['loc'][0]}: {why['msg']}."
        scope.problem(node, "resources", message, "Write numbers that a machine may have.")
        return GENERIC_RESOURCES
