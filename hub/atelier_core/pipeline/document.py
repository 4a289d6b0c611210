"""The `.pipeline` document: Elyra's file (document version 3.0, `app_data.version` 8), read without losing a field.

Edges are stored on the child. What is ours lives in `app_data.atelier`; everything that is not known here is kept.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from atelier_core import json_values
from atelier_core.errors import Invalid
from atelier_core.template import ResourceRequest, RetryRequest, parse_duration

DOCUMENT_VERSION = "3.0"
APP_VERSION = 8
GENERIC = {"execute-python-node": "python", "execute-notebook-node": "notebook", "execute-r-node": "r"}
_SAVE_IN_ELYRA = "Open it in Elyra 4.1 and save it once; that brings it to the present version."


@dataclass(frozen=True)
class Problem:
    """One thing that keeps a pipeline from running: which node (id, or empty), which field, what, and what to do."""

    node: str
    field: str
    message: str
    hint: str = ""


class InvalidPipeline(Invalid):
    """A pipeline cannot be run as it is written; `problems` has everything that is wrong with it."""

    code = "invalid_pipeline"

    def __init__(self, problems: list[Problem]) -> None:
        first, others = problems[0], len(problems) - 1
        text = f"{first.message} (and {others} more)" if others else first.message
        super().__init__(text, hint=first.hint)
        self.problems = problems

    def details(self) -> list[dict[str, str]]:
        """The problems as JSON."""
        return [asdict(problem) for problem in self.problems]


def _as_written(check: Any) -> Any:
    """Validate with `check` but keep the value as it is in the file."""

    def keep(value: Any) -> Any:
        check(value)
        return value

    return AfterValidator(keep)


class _Kept(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class Link(_Kept):
    """An edge, on the child's side."""

    node_id_ref: str
    port_id_ref: str | None = None


class InPort(_Kept):
    """A port of a node with the edges that end there."""

    id: str = ""
    links: list[Link] = Field(default_factory=list)


class Source(_Kept):
    """An output of another node."""

    node: str
    output: str


class NodeExtras(_Kept):
    """`app_data.atelier` of a node."""

    template: str = ""
    version: str = ""
    name: str = ""
    inputs: dict[str, Source] = Field(default_factory=dict)
    outputs: dict[str, str] = Field(default_factory=dict)
    parameters: dict[str, Any] = Field(default_factory=dict)
    retry: Annotated[dict[str, Any], _as_written(RetryRequest.model_validate)] = Field(default_factory=dict)
    timeout: Annotated[int | float | str | None, _as_written(lambda value: value is None or parse_duration(value))] = (
        None
    )
    grace: Annotated[int | float | str | None, _as_written(lambda value: value is None or parse_duration(value))] = None
    light: bool | None = None
    image: str = ""
    resources: Annotated[dict[str, Any], _as_written(ResourceRequest.model_validate)] = Field(default_factory=dict)
    replicas: int | None = Field(default=None, ge=1, le=1000)
    topology: Literal["single", "gang"] | None = None
    env: dict[str, str] = Field(default_factory=dict)
    secrets: dict[str, str] = Field(default_factory=dict)


class NodeData(_Kept):
    """`app_data` of a node."""

    label: str | None = None
    component_parameters: dict[str, Any] = Field(default_factory=dict)
    ui_data: dict[str, Any] = Field(default_factory=dict)
    atelier: NodeExtras = Field(default_factory=NodeExtras)


class Node(_Kept):
    """One node: a step to be."""

    id: str = Field(min_length=1)
    type: str = "execution_node"
    op: str = ""
    app_data: NodeData = Field(default_factory=NodeData)
    inputs: list[InPort] = Field(default_factory=list)

    @property
    def atelier(self) -> NodeExtras:
        """What is ours in it."""
        return self.app_data.atelier

    @property
    def parameters(self) -> dict[str, Any]:
        """`component_parameters` as they stand in the file."""
        return self.app_data.component_parameters

    @property
    def generic(self) -> str:
        """`python`, `notebook` or `r` for Elyra's generic nodes, empty for template nodes."""
        return "" if self.atelier.template else GENERIC.get(self.op, "")

    @property
    def name(self) -> str:
        """What a person calls it."""
        shown = self.app_data.ui_data.get("label")
        given = self.atelier.name or self.app_data.label or (shown if isinstance(shown, str) else "")
        filename = self.parameters.get("filename")
        return given.strip() or (filename.rsplit("/", 1)[-1] if isinstance(filename, str) else "") or self.id

    def sources(self) -> dict[str, Source]:
        """Which outputs of other nodes it takes: `app_data.atelier.inputs`, and parameters of the widget inputpath."""
        found = {}
        for name, value in {**self.parameters, **self.atelier.parameters}.items():
            source = input_path(value)
            if source is not None:
                found[name] = source
        return found | self.atelier.inputs

    def parents(self) -> list[str]:
        """The nodes that must have finished before it starts, each once."""
        linked = [link.node_id_ref for port in self.inputs for link in port.links]
        return list(dict.fromkeys(linked + [source.node for source in self.sources().values()]))


def input_path(value: Any) -> Source | None:
    """The output that an `inputpath` parameter names: `{"value": node, "option": "output_<name>"}`."""
    if not isinstance(value, dict) or value.get("widget") != "inputpath":
        return None
    inner = value.get("value")
    inner = inner if isinstance(inner, dict) else value
    node, option = inner.get("value"), inner.get("option")
    if not isinstance(node, str) or not isinstance(option, str) or not node:
        return None
    return Source(node=node, output=option.removeprefix("output_"))


class PipelineExtras(_Kept):
    """`app_data.atelier` of the pipeline."""

    parameters: list[dict[str, Any]] = Field(default_factory=list)
    environment: str | list[str] | dict[str, str] = ""
    parallelism: int = Field(default=0, ge=0)
    timeout: Annotated[int | float | str, _as_written(parse_duration)] = 0

    def lines(self) -> list[str]:
        """The global environment as `KEY=value` lines, comments and empty lines left out."""
        given = self.environment
        if isinstance(given, dict):
            return [f"{key}={value}" for key, value in given.items()]
        lines = given.splitlines() if isinstance(given, str) else given
        return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]


@dataclass
class Document:
    """A pipeline in memory. `problems` is what is wrong with the file itself; broken nodes are not in `nodes`."""

    raw: dict[str, Any]
    nodes: list[Node] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    properties: dict[str, Any] = field(default_factory=dict)
    extras: PipelineExtras = field(default_factory=PipelineExtras)
    broken: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """What the file says that the pipeline is called."""
        name = self.properties.get("name")
        return name if isinstance(name, str) else ""

    @property
    def defaults(self) -> dict[str, Any]:
        """What Elyra's generic nodes take where they say nothing themselves."""
        found = self.properties.get("pipeline_defaults")
        return found if isinstance(found, dict) else {}

    def to_dict(self) -> dict[str, Any]:
        """The file, with every field that it had."""
        raw = copy.deepcopy(self.raw)
        typed = {node.id: node for node in self.nodes}
        pipeline = _primary(raw)
        if pipeline is None:
            return raw
        for index, node in enumerate(pipeline.get("nodes") or []):
            if isinstance(node, dict) and node.get("id") in typed:
                pipeline["nodes"][index] = typed[node["id"]].model_dump(exclude_unset=True)
        return raw


def parse(source: Any) -> Document:
    """Read a document: its text, or what JSON made of it. Never raises: what is wrong is in `problems`."""
    try:
        loaded = json.loads(source) if isinstance(source, bytes | str) else source
    except (ValueError, RecursionError) as error:
        message = f"The file is not JSON: {error}."
        return Document({}, problems=[Problem("", "", message, "Restore the file, or save it again in the canvas.")])
    if not isinstance(loaded, Mapping):
        hint = "Choose a file that the canvas or Elyra has written."
        return Document({}, problems=[Problem("", "", "The file holds JSON, but no pipeline.", hint)])
    try:
        json_values.check_depth(loaded)
    except json_values.TooDeep as error:
        hint = "Restore the file from a copy that opens."
        return Document({}, problems=[Problem("", "", f"The file cannot be read: {error}.", hint)])
    return _read(dict(loaded) if loaded is not source else copy.deepcopy(dict(loaded)))


def _read(raw: dict[str, Any]) -> Document:
    document = Document(raw)
    if raw.get("doc_type") != "pipeline":
        message = "The file is not a pipeline: `doc_type` is not `pipeline`."
        document.problems.append(
            Problem("", "doc_type", message, "Choose a file that the canvas or Elyra has written.")
        )
        return document
    if raw.get("version") != DOCUMENT_VERSION:
        found = raw.get("version")
        message = f"The document version is {found!r}; this release reads {DOCUMENT_VERSION!r}."
        document.problems.append(Problem("", "version", message, _SAVE_IN_ELYRA))
    pipeline = _primary(raw)
    if pipeline is None:
        message = "The file has no primary pipeline: `primary_pipeline` names none of `pipelines`."
        document.problems.append(Problem("", "pipelines", message, "Restore the file from a copy that opens."))
        return document
    _read_settings(document, pipeline)
    _read_nodes(document, pipeline)
    return document


def _primary(raw: dict[str, Any]) -> dict[str, Any] | None:
    pipelines = raw.get("pipelines")
    if not isinstance(pipelines, list):
        return None
    wanted = raw.get("primary_pipeline", "primary")
    return next((item for item in pipelines if isinstance(item, dict) and item.get("id") == wanted), None)


def _read_settings(document: Document, pipeline: dict[str, Any]) -> None:
    data = pipeline.get("app_data")
    data = data if isinstance(data, dict) else {}
    if data.get("version") != APP_VERSION:
        message = f"`app_data.version` is {data.get('version')!r}; this release reads {APP_VERSION}."
        document.problems.append(Problem("", "app_data.version", message, _SAVE_IN_ELYRA))
    properties = data.get("properties")
    document.properties = properties if isinstance(properties, dict) else {}
    try:
        document.extras = PipelineExtras.model_validate(data.get("atelier") or {})
    except ValidationError as error:
        document.problems += _field_problems("", "The pipeline", "app_data.atelier", error)


def _read_nodes(document: Document, pipeline: dict[str, Any]) -> None:
    given = pipeline.get("nodes")
    if not isinstance(given, list):
        document.problems.append(Problem("", "nodes", "`nodes` is not a list.", "Restore the file from a copy."))
        return
    broken: set[str] = set()
    seen: set[str] = set()
    for index, raw in enumerate(given):
        node_id = raw.get("id") if isinstance(raw, dict) else None
        node_id = node_id if isinstance(node_id, str) else ""
        if node_id and node_id in seen:
            message = f"Two nodes have the id {node_id!r}."
            document.problems.append(Problem(node_id, "id", message, "Delete one of them and draw it again."))
            continue
        seen.add(node_id)
        node = _read_node(document, raw, node_id, index)
        if node is None:
            broken.add(node_id)
        else:
            document.nodes.append(node)
    document.broken = frozenset(broken - {""})


def _read_node(document: Document, raw: Any, node_id: str, index: int) -> Node | None:
    shown = f"Node {node_id or index + 1}"
    if isinstance(raw, dict) and raw.get("type") in ("super_node", "binding"):
        message = f"{shown} is a sub-pipeline; this release does not run sub-pipelines."
        document.problems.append(Problem(node_id, "type", message, "Copy its nodes into the pipeline itself."))
        return None
    if isinstance(raw, dict) and raw.get("type", "execution_node") != "execution_node":
        message = f"{shown} has the type {raw['type']!r}, which is no step."
        document.problems.append(Problem(node_id, "type", message, "Delete the node and draw it again."))
        return None
    try:
        return Node.model_validate(raw)
    except ValidationError as error:
        document.problems += _field_problems(node_id, shown, "", error)
        return None


def _field_problems(node: str, shown: str, prefix: str, error: ValidationError) -> list[Problem]:
    found = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        path = ".".join([prefix, *map(str, item["loc"])]).strip(".")
        text = item["msg"].removeprefix("Value error, ").rstrip(".")
        found.append(Problem(node, path, f"{shown}: `{path}` is not right: {text}.", "Correct the field in the file."))
    return found
