"""A notebook or script by itself as a pipeline of one step, which is what "Run as job" runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from atelier_server.local.files import read_text
from atelier_server.local.ports import KINDS, guess

_OPS = {"notebook": "execute-notebook-node", "python": "execute-python-node", "r": "execute-r-node"}


def single_step(file: Path, parameters: dict[str, Any], image: str, outputs: list[str] | None) -> dict[str, Any]:
    """The document. `outputs` are the files to keep; without a choice those that the code always writes."""
    kind = KINDS[file.suffix]
    if outputs is None:
        outputs = guess(kind, read_text(file))["files"]["always_written"]
    extras: dict[str, Any] = {"name": file.stem, "parameters": parameters}
    if image:
        extras["image"] = image
    component = {
        "filename": file.name,
        "outputs": outputs,
        "env_vars": [],
        "dependencies": [],
        "include_subdirectories": False,
    }
    node = {
        "id": "step",
        "type": "execution_node",
        "op": _OPS[kind],
        "app_data": {
            "label": file.name,
            "component_parameters": component,
            "ui_data": {"label": file.name, "x_pos": 100, "y_pos": 100},
            "atelier": extras,
        },
        "inputs": [{"id": "inPort", "links": []}],
        "outputs": [{"id": "outPort"}],
    }
    data = {"version": 8, "ui_data": {"comments": []}, "properties": {"name": file.stem}, "atelier": {}}
    primary = {"id": "primary", "runtime_ref": "", "nodes": [node], "app_data": data}
    return {
        "doc_type": "pipeline",
        "version": "3.0",
        "id": f"job-{file.stem}",
        "primary_pipeline": "primary",
        "schemas": [],
        "pipelines": [primary],
    }
