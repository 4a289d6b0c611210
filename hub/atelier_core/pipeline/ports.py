"""What each node takes and leaves, and the names that steps go by."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from atelier_core.pipeline.document import Node, Problem
from atelier_core.pipeline.plan import OutputPlan
from atelier_core.template import OP_PREFIX, RESERVED_OUTPUTS, Catalog, Template

NOTEBOOK_OUTPUT = "notebook"
_NOT_NAME = re.compile(r"[^a-z0-9]+")
_NOT_OUTPUT = re.compile(r"[^A-Za-z0-9._-]+")
_PORT_TYPE = re.compile(r"[a-z][a-z0-9-]{0,29}")


@dataclass
class NodePorts:
    """The outputs of a node by name; `files` maps the files that a generic node declares to their outputs."""

    template: Template | None
    outputs: dict[str, OutputPlan] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def find(self, output: str) -> str:
        """The name of an output that is named by itself or by its file, or an empty text."""
        return output if output in self.outputs else self.files.get(output, "")


def project_path(text: str) -> str | None:
    """A path inside the pipeline's folder in its shortest form, or None if it leads out of it."""
    path = posixpath.normpath(text.strip().replace("\\", "/"))
    outside = path == ".." or path.startswith(("../", "/")) or re.match(r"[A-Za-z]:", path)
    return None if outside or path == "." else path


def step_names(nodes: Iterable[Node]) -> dict[str, str]:
    """Names for objects and addresses, at most 30 characters, each once: from the node's own name."""
    taken: set[str] = set()
    found = {}
    for node in nodes:
        plain = _NOT_NAME.sub("-", node.name.lower()).strip("-")
        base = plain if plain[:1].isalpha() else f"step-{plain}".strip("-")
        name = base[:30].strip("-")
        number = 1
        while name in taken:
            number += 1
            tail = f"-{number}"
            name = base[: 30 - len(tail)].strip("-") + tail
        taken.add(name)
        found[node.id] = name
    return found


def ports_of(node: Node, catalog: Catalog, problems: list[Problem]) -> NodePorts | None:
    """The outputs of a node; None, with a problem noted, where it cannot be known what the node is."""
    if node.generic:
        return _generic_ports(node, problems)
    template = _template_of(node, catalog, problems)
    if template is None:
        return None
    for name in sorted(set(node.atelier.outputs) - set(template.outputs)):
        message = f"The template {template.name!r} of {node.name!r} has no output {name!r}."
        hint = f"It has: {', '.join(template.outputs) or 'none'}."
        problems.append(Problem(node.id, f"outputs.{name}", message, hint))
    outputs = {
        name: OutputPlan(type=port.type, path=f"outputs/{port.path}" if port.path else "", required=port.required)
        for name, port in template.outputs.items()
    }
    return NodePorts(template, outputs)


def _template_of(node: Node, catalog: Catalog, problems: list[Problem]) -> Template | None:
    name, version = node.atelier.template, node.atelier.version
    if not name and not node.op.startswith(OP_PREFIX):
        message = f"{node.name!r} is of a kind that is not known here ({node.op or 'no op'})."
        hint = "Use a template of the catalog, or a notebook, Python or R node."
        problems.append(Problem(node.id, "op", message, hint))
        return None
    template = catalog.find(name, version) if name else catalog.by_op(node.op)
    if template is not None:
        return template
    if name and name in catalog:
        message = f"{node.name!r} uses version {version} of the template {name!r}, which is not there."
        problems.append(Problem(node.id, "template", message, f"There are: {', '.join(catalog.versions(name))}."))
        return None
    near = catalog.similar(name)
    message = f"{node.name!r} uses the template {name or node.op!r}, which is not in the catalog."
    hint = f"Did you mean {near!r}?" if near else "`atelier template list` shows what there is."
    problems.append(Problem(node.id, "template", message, hint))
    return None


def _generic_ports(node: Node, problems: list[Problem]) -> NodePorts:
    ports = NodePorts(None)
    folder = posixpath.dirname(str(node.parameters.get("filename") or ""))
    for given in _texts(node.parameters.get("outputs")):
        path = project_path(posixpath.join(folder, given))
        if path is None or any(mark in given for mark in "*?["):
            message = f"{node.name!r} declares the output {given!r}, which is not one file or folder of the project."
            hint = "Name each file by a path inside the project, or a folder that holds them all."
            problems.append(Problem(node.id, "outputs", message, hint))
            continue
        name = _output_name(given)
        kind = node.atelier.outputs.get(given) or node.atelier.outputs.get(name) or "any"
        ports.outputs[name] = OutputPlan(type=kind, path=f"code/{path}")
        ports.files[posixpath.normpath(given)] = name
    if node.generic == "notebook":
        ports.outputs[NOTEBOOK_OUTPUT] = OutputPlan(type="notebook", path="outputs/notebook.ipynb")
    for name, kind in node.atelier.outputs.items():
        if not ports.find(name):
            ports.outputs[name] = OutputPlan(type=kind)
        if not _PORT_TYPE.fullmatch(kind) or _output_name(name) != name or name in RESERVED_OUTPUTS:
            message = f"{node.name!r}: the output {name!r} of type {kind!r} is not right."
            hint = "Names are letters, digits, dots, dashes; types are words such as dataset, model, metrics, value."
            problems.append(Problem(node.id, f"outputs.{name}", message, hint))
    return ports


def _output_name(file: str) -> str:
    """A name for the output that is a file: the path itself where that is a plain name, else made unlike any other."""
    plain = _NOT_OUTPUT.sub("-", file).strip("-.")
    if plain == file and len(plain) <= 100 and plain not in RESERVED_OUTPUTS:
        return plain
    return f"{plain[:80]}-{hashlib.sha256(file.encode()).hexdigest()[:8]}"


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str) and item.strip()] if isinstance(value, list) else []
