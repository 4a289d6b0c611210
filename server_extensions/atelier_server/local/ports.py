"""What a notebook or script takes and leaves, guessed from its code; nothing of it is run.

The guess sees what code usually does: folders and parameters by `ATELIER_…` variables, files by relative names, and a
notebook's cell tagged `parameters`. A person confirms it.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from atelier_core.errors import Invalid
from atelier_server.local.code import Code, Place

KINDS = {".ipynb": "notebook", ".py": "python", ".r": "r", ".R": "r"}
RESERVED = "outputs.json"
_TYPES = {
    "dataset": (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".feather", ".arrow"),
    "model": (".joblib", ".pkl", ".pickle", ".pt", ".pth", ".onnx", ".safetensors", ".h5", ".keras"),
    "notebook": (".ipynb",),
}
_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
_ANNOTATIONS = {
    "bool": "boolean",
    "int": "integer",
    "float": "number",
    "str": "string",
    "list": "array",
    "dict": "object",
}


def guess(kind: str, text: str) -> dict[str, Any]:
    """Inputs, outputs, parameters, files beside it, and environment variables of a file of this kind."""
    found: dict[str, Any] = {"kind": kind, "parameters": [], "problems": []}
    code = Code()
    for number, source, tags in _sources(kind, text, found["problems"]):
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError) as error:
            place = f"Cell {number}" if kind == "notebook" else "The script"
            found["problems"].append(f"{place} is not Python that can be read: {error}.")
            continue
        if "parameters" in tags:
            found["parameters"] += _cell_parameters(tree, source)
        code.read(tree)
    found["parameters"] += _given(code, {one["name"] for one in found["parameters"]})
    found["inputs"] = [_port(name, name) for name in _names(code.places, "inputs")]
    found["outputs"] = [_port(name, name) for name in _names(code.places, "outputs") if name != RESERVED]
    found["outputs"] += [{"name": name, "type": "value"} for name in code.values]
    written = list(dict.fromkeys(code.written))
    found["files"] = {
        "read": [name for name in dict.fromkeys(code.files_read) if name not in written],
        "written": written,
        "always_written": [name for name in written if name in code.always],
    }
    found["environment"] = list(code.environment)
    return found


def _sources(kind: str, text: str, problems: list[str]) -> Iterator[tuple[int, str, list[str]]]:
    """The Python in it: number of the cell, source, tags."""
    if kind == "python":
        yield 1, text, []
    elif kind == "notebook":
        yield from _cells(text, problems)
    else:
        problems.append("Only Python is looked into: add inputs, outputs and parameters by hand.")


def _cells(text: str, problems: list[str]) -> Iterator[tuple[int, str, list[str]]]:
    try:
        notebook = json.loads(text)
        cells = list(notebook["cells"])
        language = notebook.get("metadata", {}).get("language_info", {}).get("name", "python")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Invalid("This is not a notebook.", code="not_a_notebook", hint="Open it in Lab and save it.") from None
    if language != "python":
        problems.append(f"The notebook is in {language}; only Python is looked into.")
        return
    for number, cell in enumerate(cells, 1):
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = cell.get("source", "")
        source = "".join(map(str, source)) if isinstance(source, list) else str(source)
        metadata = cell.get("metadata")
        tags = metadata.get("tags", []) if isinstance(metadata, dict) else []
        yield number, _without_magics(source), [str(tag) for tag in tags] if isinstance(tags, list) else []


def _without_magics(source: str) -> str:
    """IPython's own lines are no Python; a cell that is wholly another language has none."""
    lines = source.splitlines()
    if lines and lines[0].startswith("%%") and not lines[0].startswith(("%%time", "%%capture")):
        return ""
    kept = []
    for line in lines:
        plain = line.lstrip()
        kept.append(line[: len(line) - len(plain)] + "pass" if plain.startswith(("%", "!", "?")) else line)
    return "\n".join(kept)


def _cell_parameters(tree: ast.Module, source: str) -> list[dict[str, Any]]:
    """The assignments of a parameters cell, as papermill reads them: `name: type = default  # help`."""
    lines = source.splitlines()
    found = []
    for line in tree.body:
        if isinstance(line, ast.Assign) and len(line.targets) == 1 and isinstance(line.targets[0], ast.Name):
            name, annotation = line.targets[0].id, ""
        elif isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            name, annotation = line.target.id, ast.unparse(line.annotation)
        else:
            continue
        value = _literal(line.value)
        comment = lines[(line.end_lineno or 1) - 1].encode()[line.end_col_offset or 0 :].decode(errors="ignore")
        found.append(_parameter(name, value, annotation, comment.strip().removeprefix("#").strip()))
    return found


def _given(code: Code, known: set[str]) -> Iterator[dict[str, Any]]:
    for name, value in code.parameters.items():
        if name not in known:
            yield _parameter(name, _literal(value), "", "")


def _parameter(name: str, value: Any, annotation: str, explained: str) -> dict[str, Any]:
    kind = _ANNOTATIONS.get(annotation) or _JSON_TYPES.get(type(value), "any")
    return {"name": name, "type": kind, "default": value, "description": explained}


def _literal(node: ast.expr | None) -> Any:
    """A default that JSON can hold; None where the code computes it."""
    try:
        value = ast.literal_eval(node) if node is not None else None
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return value


def _names(places: list[Place], base: str) -> list[str]:
    return list(dict.fromkeys(place.parts[0] for place in places if place.base == base and place.parts))


def _port(name: str, file: str) -> dict[str, str]:
    """The type by the name's ending; `metrics` and `model` are also types by their names."""
    suffix, stem = PurePosixPath(file).suffix.lower(), PurePosixPath(file).stem.lower()
    kind = next((kind for kind, suffixes in _TYPES.items() if suffix in suffixes), "any")
    if kind == "any" and stem in {"metrics", "model", "dataset"}:
        kind = stem
    return {"name": name, "type": kind}
