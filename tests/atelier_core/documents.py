"""Documents and templates for tests, in the shape in which Elyra writes them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from atelier_core.pipeline.compile import RunContext
from atelier_core.template import Catalog, Template, op_id

NOW = dt.datetime(2026, 3, 4, 5, 6, 7, tzinfo=dt.UTC)
FILES = {"main.py", "sub/notebook.ipynb", "sub/data one.csv", "analyse.R"}


def template(name: str, **fields: Any) -> Template:
    """A template with sensible rest."""
    return Template.model_validate(
        {"name": name, "version": "1.0", "category": "Test", "description": "For tests.", "image": "ml",
         "command": ["python", "${ATELIER_TEMPLATE}/main.py"], **fields}
    )  # fmt: skip


READ = template(
    "read-data",
    project_files=True,
    parameters={
        "type": "object",
        "required": ["file"],
        "properties": {
            "file": {"type": "string", "description": "Which file to read.", "x-ui": {"widget": "file"}},
            "rows": {"type": "integer", "minimum": 1, "default": 10},
            "names": {"type": "array", "items": {"type": "string"}, "default": []},
            "mode": {"type": "string", "enum": ["fast", "safe"], "default": "safe"},
        },
    },
    outputs={"data": {"type": "dataset"}, "count": {"type": "value"}, "log": {}},
    resources={"cpu": 2, "memory": "2Gi"},
)
TRAIN = template(
    "train-model",
    parameters={
        "type": "object",
        "properties": {"rate": {"type": "number", "default": 0.1}, "count": {"type": "integer"}},
    },
    inputs={"data": {"type": "dataset"}, "start": {"type": "model", "required": False}},
    outputs={"model": {"type": "model", "path": "model.bin"}},
)
CATALOG = Catalog([READ, TRAIN, template("read-data", version="0.9", outputs={"old": {}})])


def links(*parents: str) -> list[dict[str, Any]]:
    """The in-port of a node behind these."""
    return [
        {"id": "inPort", "links": [{"id": f"l-{one}", "node_id_ref": one, "port_id_ref": "outPort"} for one in parents]}
    ]


def node(node_id: str, op: str, given: dict[str, Any], /, *parents: str, **extras: Any) -> dict[str, Any]:
    """A node; `extras` go to `app_data.atelier`."""
    data: dict[str, Any] = {"label": node_id, "component_parameters": given, "ui_data": {"label": node_id}}
    if extras:
        data["atelier"] = extras
    return {"id": node_id, "type": "execution_node", "op": op, "app_data": data, "inputs": links(*parents)}


def read(node_id: str = "read", **parameters: Any) -> dict[str, Any]:
    """A node of the template read-data."""
    return node(node_id, op_id("read-data"), {"file": "main.py", **parameters}, template="read-data", version="1.0")


def train(node_id: str, parent: str, output: str = "data", **parameters: Any) -> dict[str, Any]:
    """A node of the template train-model that takes an output as Elyra says it."""
    source = {"widget": "inputpath", "value": {"value": parent, "option": f"output_{output}"}}
    return node(node_id, op_id("train-model"), {"data": source, **parameters}, parent)


def script(node_id: str, *parents: str, filename: str = "main.py", **parameters: Any) -> dict[str, Any]:
    """A Python node."""
    return node(node_id, "execute-python-node", {"filename": filename, **parameters}, *parents)


def pipeline(*nodes: dict[str, Any], properties: dict[str, Any] | None = None, **extras: Any) -> dict[str, Any]:
    """A document; `extras` go to the pipeline's `app_data.atelier`."""
    data = {"version": 8, "ui_data": {"comments": []}, "properties": {"name": "test", **(properties or {})}}
    if extras:
        data["atelier"] = extras
    return {
        "doc_type": "pipeline", "version": "3.0", "id": "doc", "primary_pipeline": "primary", "schemas": [],
        "pipelines": [{"id": "primary", "runtime_ref": "", "nodes": list(nodes), "app_data": data}],
    }  # fmt: skip


def context(**fields: Any) -> RunContext:
    """A run of Ann's."""
    return RunContext(
        **{
            "run_id": "run1", "pipeline_id": "p7", "pipeline_name": "test", "project": "vision", "creator": "ann",
            "runner": "bob", "cluster_name": "laptop", "execution_date": NOW - dt.timedelta(days=1), "now": NOW,
            "snapshot": "sha256:code", "code_digest": lambda key: f"sha256:{key}", "files": FILES, **fields,
        }
    )  # fmt: skip
