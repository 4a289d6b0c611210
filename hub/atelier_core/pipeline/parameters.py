"""Parameters: what a run may be given, and the values of a step, read from a form and checked by JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Literal

from jsonschema import Draft202012Validator, SchemaError
from pydantic import BaseModel, ConfigDict, ValidationError

from atelier_core.pipeline.document import Document, Problem

_ELYRA_TYPES = {"str": "string", "bool": "boolean", "int": "integer", "float": "number", "list": "array",
                "dict": "object"}  # fmt: skip
_EXAMPLES: dict[str, Any] = {"string": "x", "integer": 1, "number": 1.0, "boolean": True, "array": [], "object": {}}


class RunParameter(BaseModel):
    """A value that is given when a run starts: `{{ parameters.name }}`."""

    model_config = ConfigDict(extra="allow")

    name: str
    type: Literal["string", "integer", "number", "boolean", "array", "object"] = "string"
    default: Any = None
    required: bool = False
    description: str = ""

    @property
    def schema_of_value(self) -> dict[str, Any]:
        """The JSON Schema of its value: its type, and the limits that the definition names."""
        extra = self.model_extra or {}
        return {"type": self.type, **{key: extra[key] for key in ("enum", "minimum", "maximum") if key in extra}}

    @property
    def example(self) -> Any:
        """A value with which a text can be tried before a run gives the real one."""
        return self.default if self.default is not None else _EXAMPLES[self.type]


def run_parameters(document: Document) -> tuple[list[RunParameter], list[Problem]]:
    """What the document asks for: ours in `app_data.atelier.parameters`, Elyra's in `pipeline_parameters`."""
    elyra = document.properties.get("pipeline_parameters")
    given = [*(elyra if isinstance(elyra, list) else []), *document.extras.parameters]
    found: dict[str, RunParameter] = {}
    problems = []
    for raw in given:
        try:
            parameter = RunParameter.model_validate(_from_elyra(raw))
        except ValidationError as error:
            why = error.errors(include_url=False)[0]
            message = f"A run-time parameter is not right: {'.'.join(map(str, why['loc']))}: {why['msg']}."
            problems.append(Problem("", "parameters", message, "Give it a name, and a type such as string or number."))
            continue
        if not _is_schema(parameter.schema_of_value):
            message = f"The limits of the run-time parameter {parameter.name!r} are not right."
            problems.append(Problem("", "parameters", message, "enum is a list; minimum and maximum are numbers."))
            continue
        if not parameter.name.isidentifier() or parameter.name in found:
            message = f"{parameter.name!r} cannot be the name of a run-time parameter, or is there twice."
            problems.append(Problem("", "parameters", message, "Use letters, digits and underscores, each name once."))
        found[parameter.name] = parameter
    return list(found.values()), problems


def _is_schema(schema: dict[str, Any]) -> bool:
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError:
        return False
    return True


def _from_elyra(raw: Any) -> Any:
    """Elyra keeps type and default together: `default_value: {type, value}`."""
    if not isinstance(raw, dict) or not isinstance(raw.get("default_value"), dict):
        return raw
    rest = {key: value for key, value in raw.items() if key != "default_value"}
    shown = str(raw["default_value"].get("type", "string")).lower()
    return {"type": _ELYRA_TYPES.get(shown, shown), "default": raw["default_value"].get("value"), **rest}


def resolve(parameters: list[RunParameter], given: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """The values of a run: what was given, otherwise the default."""
    known = {parameter.name: parameter for parameter in parameters}
    problems = []
    for name in [name for name in given if name not in known]:
        message = f"The pipeline has no run-time parameter {name!r}.{did_you_mean(name, known)}"
        hint = f"Known are: {', '.join(known)}." if known else "It takes none."
        problems.append(Problem("", f"parameters.{name}", message, hint))
    values: dict[str, Any] = {}
    for name, parameter in known.items():
        value = coerce(given.get(name, parameter.default), parameter.schema_of_value)
        if value is None:
            if parameter.required:
                hint = f"Give it with the run, for example: -p {name}=VALUE."
                problems.append(Problem("", f"parameters.{name}", f"The run needs a value for {name!r}.", hint))
            values[name] = "" if parameter.type == "string" else None
            continue
        for why in violations(value, parameter.schema_of_value):
            message = f"The run-time parameter {name!r} is not right: {why}."
            problems.append(Problem("", f"parameters.{name}", message, parameter.description or "Correct the value."))
        values[name] = value
    return values, problems


def coerce(value: Any, schema: Mapping[str, Any]) -> Any:
    """`value` as its schema wants it where a form or a command line could only give text; else as it is."""
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if isinstance(value, float) and "integer" in types and value.is_integer():
        return int(value)
    if not isinstance(value, str) or "string" in types or not types:
        return value
    if "boolean" in types and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    try:
        loaded = json.loads(value)
    except (ValueError, RecursionError):
        return value
    kinds: dict[str, Any] = {"integer": int, "number": (int, float), "array": list, "object": dict, "null": type(None)}
    fits = any(isinstance(loaded, kinds[kind]) for kind in types if kind in kinds)
    if isinstance(loaded, float) and "integer" in types and loaded.is_integer():
        return int(loaded)
    return loaded if fits and not isinstance(loaded, bool) else value


def violations(value: Any, schema: Mapping[str, Any]) -> Iterator[str]:
    """Why `value` does not fit `schema`, each as the rest of a sentence."""
    for error in sorted(
        Draft202012Validator(dict(schema)).iter_errors(value), key=lambda one: list(map(str, one.path))
    ):
        place = "".join(f"[{part!r}]" for part in error.path)
        message = error.message if len(error.message) < 300 else f"it does not fit {error.validator!r} of its schema"
        yield f"{place} {message}".strip()


def did_you_mean(name: str, known: Mapping[str, Any]) -> str:
    """A question to append, or nothing."""
    near = get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
