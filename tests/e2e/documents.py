"""Nodes of a `.pipeline` as Elyra writes them: templates, notebooks and scripts, linked by their inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from atelier_core.template import op_id
from tests.harness.control_plane import pipeline

Sources = Mapping[str, tuple[str, str]]  # input: (node, output)


def document(*nodes: dict[str, Any], **extras: Any) -> dict[str, Any]:
    """A whole document around `nodes`."""
    made = pipeline({}, **extras)
    made["pipelines"][0]["nodes"] = list(nodes)
    return made


def template(name: str, of: str, *, inputs: Sources | None = None, **parameters: Any) -> dict[str, Any]:
    """A node of the template `of`."""
    given = {key: {"widget": "string", "value": value} for key, value in parameters.items()}
    taken = {key: _input_path(*source) for key, source in (inputs or {}).items()}
    return _node(name, op_id(of), given | taken, {"template": of, "version": "1.0"}, inputs or {})


def generic(
    name: str,
    file: str,
    *,
    inputs: Sources | None = None,
    outputs: Mapping[str, str] | None = None,
    files: Sequence[str] = (),
    image: str = "ml",
    **parameters: Any,
) -> dict[str, Any]:
    """A node that runs a notebook or a script."""
    kind = "notebook" if file.endswith(".ipynb") else "python"
    own = {"filename": file, "runtime_image": image, "outputs": list(files), "env_vars": [], "dependencies": []}
    sources = {key: {"node": node, "output": output} for key, (node, output) in (inputs or {}).items()}
    extras = {"inputs": sources, "outputs": dict(outputs or {}), "parameters": parameters}
    return _node(name, f"execute-{kind}-node", own, extras, inputs or {})


def _input_path(node: str, output: str) -> dict[str, Any]:
    return {"widget": "inputpath", "value": {"value": node, "option": f"output_{output}"}}


def _node(name: str, op: str, parameters: dict[str, Any], extras: dict[str, Any], inputs: Sources) -> dict[str, Any]:
    parents = dict.fromkeys(node for node, _ in inputs.values())
    links = [{"id": f"{one}-{name}", "node_id_ref": one, "port_id_ref": "outPort"} for one in parents]
    return {
        "id": name,
        "type": "execution_node",
        "op": op,
        "app_data": {
            "label": name,
            "component_parameters": parameters,
            "ui_data": {"label": name, "x_pos": 0, "y_pos": 0},
            "atelier": extras,
        },
        "inputs": [{"id": "inPort", "links": links}],
        "outputs": [{"id": "outPort"}],
    }


def notebook(*cells: str, parameters: str) -> dict[str, Any]:
    """A notebook with a parameters cell before the others."""
    tags = [["parameters"], *[[] for _ in cells]]
    made = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {"tags": tag} if tag else {},
            "source": text,
            "execution_count": None,
            "outputs": [],
        }
        for number, (tag, text) in enumerate(zip(tags, [parameters, *cells], strict=True))
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
