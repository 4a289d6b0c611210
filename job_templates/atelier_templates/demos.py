"""Small real runs of templates: the pipeline of a template's demo values, and the check of what it left."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from atelier_core.errors import Invalid
from atelier_core.template import Catalog, Template

DIGITS = Path(__file__).parent / "demo" / "digits"
_VERIFY = "verify.py"


def demo_pipeline(template: Template, catalog: Catalog) -> dict[str, Any]:
    """A `.pipeline` that runs a template with its demo values, and before it the templates that feed it."""
    nodes: dict[str, dict[str, Any]] = {}
    _add(template, catalog, nodes, ())
    for name, parameters in template.demo.before.items():
        if name not in nodes:
            message = f"demo.before of {template.name!r} names {name!r}, which its demo does not run."
            raise Invalid(message, code="bad_template", hint="Correct demo.before in template.yaml.")
        nodes[name]["app_data"]["component_parameters"] |= parameters
    app_data = {"version": 8, "ui_data": {"comments": []}, "properties": {"name": f"demo {template.name}"}}
    pipeline = {"id": "primary", "runtime_ref": "", "nodes": list(nodes.values()), "app_data": app_data}
    return {
        "doc_type": "pipeline",
        "version": "3.0",
        "id": f"demo-{template.name}",
        "primary_pipeline": "primary",
        "schemas": [],
        "pipelines": [pipeline],
    }


def _add(template: Template, catalog: Catalog, nodes: dict[str, dict[str, Any]], path: tuple[str, ...]) -> None:
    if template.name in path:
        shown = " → ".join((*path, template.name))
        raise Invalid(f"The demo inputs run in a circle: {shown}.", hint="Correct demo.inputs in template.yaml.")
    for name, wanted in template.demo.inputs.items():
        source = catalog.find(wanted.template)
        if source is None or wanted.output not in source.outputs:
            message = (
                f"demo.inputs.{name} of {template.name!r} names {wanted.template}.{wanted.output}, which is not there."
            )
            raise Invalid(message, code="bad_template", hint="Correct demo.inputs in template.yaml.")
        if source.name not in nodes:
            _add(source, catalog, nodes, (*path, template.name))
    nodes[template.name] = _node(template)


def _node(template: Template) -> dict[str, Any]:
    sources = list(dict.fromkeys(source.template for source in template.demo.inputs.values()))
    links = [{"id": f"{one}-{template.name}", "node_id_ref": one, "port_id_ref": "outPort"} for one in sources]
    inputs = {name: {"node": one.template, "output": one.output} for name, one in template.demo.inputs.items()}
    extras = {"template": template.name, "version": template.version, "name": template.name, "inputs": inputs}
    return {
        "id": template.name,
        "type": "execution_node",
        "op": template.op,
        "app_data": {
            "label": template.name,
            "component_parameters": dict(template.demo.parameters),
            "ui_data": {"label": template.name},
            "atelier": extras,
        },
        "inputs": [{"id": "inPort", "links": links}],
        "outputs": [{"id": "outPort"}],
    }


def verify(folder: Path, outputs: Path, results: Path) -> None:
    """Check what a demo run left by the template's own `verify.py`; raises AssertionError with a sentence."""
    file = folder / _VERIFY
    if not file.is_file():
        raise Invalid(
            f"{folder} has no {_VERIFY}.", code="bad_template", hint="It says what must be true after a demo run."
        )
    function = runpy.run_path(str(file)).get("verify")
    if not callable(function):
        raise Invalid(f"{file} has no function `verify(outputs, results)`.", code="bad_template", hint="Add it.")
    function(outputs, results)
