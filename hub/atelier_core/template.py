"""Templates: what `template.yaml` says, and the catalog in which pipelines look templates up."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Any, Literal

from jsonschema import Draft202012Validator, SchemaError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from atelier_core.errors import Invalid
from atelier_core.pipeline.plan import MAX_BACKOFF, RetryPolicy
from atelier_core.workload import (
    MAX_MEMORY,
    MAX_SECONDS,
    Accelerators,
    Bytes,
    Cores,
    Port,
    Resources,
    Seconds,
    Topology,
)

OP_PREFIX = "atelier-template-catalog:"
NAME = re.compile(r"[a-z][a-z0-9-]{0,49}")
PORT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,49}")
RESERVED_OUTPUTS = frozenset({"results", "outputs.json"})
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def op_id(name: str) -> str:
    """The `op` of a template's nodes: what a catalog connector in Elyra gives the entry whose hash key is the name."""
    return OP_PREFIX + hashlib.sha256(name.encode()).hexdigest()[:12]


def parse_memory(value: object) -> int:
    """Bytes from a number of bytes or a text such as `512Mi`, `2G` or `1.5GiB`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _MEMORY.fullmatch(str(value).strip())
    if not match:
        raise ValueError(f"{value!r} is not an amount of memory; write for example 512Mi or 2Gi")
    base = 1024 if match[3] else 1000
    size = float(match[1]) * float(base ** " KMGT".index(match[2].upper() or " "))
    if size > MAX_MEMORY:
        raise ValueError(f"{_short(value)} is more memory than any machine has")
    return int(size)


def parse_duration(value: object) -> float:
    """Seconds from a number of seconds or a text such as `90`, `30s`, `10m` or `2h`."""
    match = _DURATION.fullmatch(str(value).strip()) if not isinstance(value, bool) else None
    if not match:
        raise ValueError(f"{value!r} is not a length of time; write seconds, or for example 30s, 10m or 2h")
    seconds = float(match[1]) * _SECONDS[match[2]]
    if seconds > MAX_SECONDS:
        raise ValueError(f"{_short(value)} is longer than ten years")
    return seconds


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"


Memory = Annotated[Bytes, BeforeValidator(parse_memory)]
Duration = Annotated[Seconds, BeforeValidator(parse_duration)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ResourceRequest(_Model):
    """Resources as a person writes them: memory may be a text; what is left out stays as it was."""

    cpu: Cores | None = None
    memory: Memory | None = None
    accelerator: str | None = None
    accelerators: Accelerators | None = None

    def over(self, base: Resources) -> Resources:
        """`base` with what is given here."""
        return Resources.model_validate(base.model_dump() | self.model_dump(exclude_none=True))


class Stage(StrEnum):
    """How far a template is: `alpha` is shown to those who ask for it, `release` to everybody."""

    ALPHA = "alpha"
    RELEASE = "release"


class InputPort(_Model):
    """What a step takes from an earlier one."""

    type: str = "any"
    required: bool = True
    description: str = ""


class OutputPort(_Model):
    """What a step leaves: below `outputs/` at `path` (default its name), or a `value` in outputs.json."""

    type: str = "any"
    path: str = ""
    required: bool = True
    description: str = ""


class Hint(_Model):
    """How a form shows a parameter (`x-ui` in its schema)."""

    group: str = ""
    order: int = 0
    widget: Literal["", "text", "textarea", "code", "select", "radio", "switch", "range", "file", "password"] = ""
    language: str = ""
    picker: Literal["", "dataset", "model", "image", "flavor", "file", "column"] = ""


class DemoInput(_Model):
    """Where a demo run gets an input: an output of another template's demo run."""

    template: str
    output: str


class Demo(_Model):
    """Values with which the template runs in a minute on real data.

    `before` gives the templates whose demos run before it other values, by template.
    """

    parameters: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[str, DemoInput] = Field(default_factory=dict)
    before: dict[str, dict[str, Any]] = Field(default_factory=dict)


class RetryRequest(_Model):
    """A retry policy as a person writes it; what is left out stays as it was."""

    limit: int | None = Field(default=None, ge=0, le=20)
    causes: tuple[Literal["user", "infrastructure", "timeout"], ...] | None = None
    delay: Duration | None = None
    backoff: float | None = Field(default=None, ge=1, le=MAX_BACKOFF, allow_inf_nan=False)

    def over(self, base: RetryPolicy) -> RetryPolicy:
        """`base` with what is given here."""
        return RetryPolicy.model_validate(base.model_dump() | self.model_dump(exclude_none=True))


class Template(_Model):
    """One kind of step that people place in pipelines: `template.yaml`.

    `shared` names modules of a family that are packed beside `src/`; `project_files` says that its steps see the
    pipeline's own folder.
    """

    name: str
    version: str = Field(pattern=r"^\d+(\.\d+){0,2}$")
    stage: Stage = Stage.RELEASE
    label: str = ""
    category: str
    description: str
    docs: str = ""
    image: str
    command: tuple[str, ...] = Field(min_length=1)
    shared: tuple[str, ...] = ()
    project_files: bool = False
    env: dict[str, str] = Field(default_factory=dict)
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object"}, validate_default=True)
    inputs: dict[str, InputPort] = Field(default_factory=dict)
    outputs: dict[str, OutputPort] = Field(default_factory=dict)
    resources: ResourceRequest = ResourceRequest()
    replicas: int = Field(default=1, ge=1, le=1000)
    topology: Topology = Topology.SINGLE
    ports: tuple[Port, ...] = ()
    light: bool = False
    timeout: Duration = 0
    grace: Duration = 10
    retry: RetryRequest = RetryRequest()
    demo: Demo = Demo()

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if not NAME.fullmatch(value):
            raise ValueError("use 1 to 50 lower-case letters, digits and dashes, starting with a letter")
        return value

    @field_validator("inputs", "outputs")
    @classmethod
    def _port_names(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if not PORT_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not a port name: use letters, digits and underscores")
        return value

    @field_validator("outputs")
    @classmethod
    def _output_paths(cls, value: dict[str, OutputPort]) -> dict[str, OutputPort]:
        for name, port in value.items():
            if name in RESERVED_OUTPUTS:
                raise ValueError(f"{name!r} is kept for what every step has; choose another name")
            if port.path.startswith("/") or ".." in port.path.split("/"):
                raise ValueError(f"the path of output {name!r} must stay below the outputs folder")
        return value

    @field_validator("parameters")
    @classmethod
    def _schema(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            Draft202012Validator.check_schema(value)
        except SchemaError as error:
            raise ValueError(f"not a JSON Schema: {error.message}") from None
        if "$ref" in json.dumps(value):
            raise ValueError("a parameter's schema may not use `$ref`; write the part out")
        if value.get("type") != "object":
            raise ValueError("the schema of the parameters must have `type: object`")
        for name, schema in value.get("properties", {}).items():
            if isinstance(schema, dict) and "x-ui" in schema:
                _check_hint(name, schema["x-ui"])
        return {"additionalProperties": False, "properties": {}, **value}

    @model_validator(mode="after")
    def _names_differ(self) -> Template:
        both = sorted(set(self.inputs) & set(self.properties))
        if both:
            raise ValueError(f"{both[0]!r} is both a parameter and an input; rename one of them")
        unknown = sorted(set(self.demo.inputs) - set(self.inputs) - set(self.properties))
        if unknown:
            raise ValueError(f"demo.inputs names {unknown[0]!r}, which is no input or parameter of this template")
        return self

    @property
    def properties(self) -> dict[str, dict[str, Any]]:
        """The schema of each parameter."""
        return dict(self.parameters["properties"])

    @property
    def defaults(self) -> dict[str, Any]:
        """The parameters that have a default."""
        return {name: schema["default"] for name, schema in self.properties.items() if "default" in schema}

    @property
    def op(self) -> str:
        """The `op` of its nodes."""
        return op_id(self.name)

    @property
    def key(self) -> str:
        """What names this version of its code: `template:<name>@<version>`."""
        return f"template:{self.name}@{self.version}"


def _check_hint(name: str, hint: Any) -> None:
    try:
        Hint.model_validate(hint)
    except ValueError as error:
        raise ValueError(f"x-ui of {name!r}: {error}") from None


class Catalog:
    """Templates by name, version and op."""

    def __init__(self, templates: Iterable[Template] = ()) -> None:
        self._versions: dict[str, dict[str, Template]] = {}
        self._names: dict[str, str] = {}
        for template in templates:
            versions = self._versions.setdefault(template.name, {})
            if template.version in versions:
                raise Invalid(
                    f"There are two templates {template.name!r} of version {template.version}.",
                    code="duplicate_template",
                    hint="Rename one of them or raise its version in template.yaml.",
                )
            versions[template.version] = template
            self._names[template.op] = template.name

    def __iter__(self) -> Iterator[Template]:
        """Every version of every template, by name, older first."""
        for name in sorted(self._versions):
            yield from sorted(self._versions[name].values(), key=_age)

    def __contains__(self, name: str) -> bool:
        return name in self._versions

    def find(self, name: str, version: str = "") -> Template | None:
        """The template of that name; without a version the newest."""
        versions = self._versions.get(name, {})
        if version:
            return versions.get(version)
        return max(versions.values(), key=_age, default=None)

    def by_op(self, op: str) -> Template | None:
        """The newest template whose nodes have that op."""
        return self.find(self._names.get(op, ""))

    def versions(self, name: str) -> list[str]:
        """The versions of a template, older first."""
        return [template.version for template in sorted(self._versions.get(name, {}).values(), key=_age)]

    def similar(self, name: str) -> str:
        """The name that was probably meant, or an empty text."""
        return next(iter(get_close_matches(name, self._versions, n=1)), "")


def _age(template: Template) -> tuple[int, ...]:
    return tuple(int(part) for part in template.version.split("."))
