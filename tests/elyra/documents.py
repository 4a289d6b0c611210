"""Pipelines at random, of everything that may stand in a file, the same for the same seed."""

from __future__ import annotations

import copy
import random
import uuid
from typing import Any

from atelier_sdk import Client

TEXTS = (
    "",
    "plain",
    "two words",
    "数据集",
    "emoji 🐟",
    'quote " and \\ backslash',
    "{{ parameters.rows }}",
    "<b>&amp;</b>",
)


def documents(client: Client, seed: int) -> dict[str, Any]:
    """A document with generic and template nodes, edges, comments, parameters and fields that nobody knows."""
    chance = random.Random(seed)
    nodes: list[dict[str, Any]] = []
    templates = [client.templates.get(one.name).model_dump(mode="json") for one in client.templates.list()]
    for index in range(chance.randint(1, 6)):
        make = chance.choice((_generic, _template))
        nodes.append(make(chance, index, templates))
        if index and chance.random() < 0.8:
            _connect(chance, chance.choice(nodes[:-1]), nodes[-1])
    return {
        "doc_type": "pipeline",
        "version": "3.0",
        "json_schema": "http://api.dataplatform.ibm.com/schemas/common-pipeline/pipeline-flow/pipeline-flow-v3-schema.json",
        "id": _id(chance),
        "primary_pipeline": "primary",
        "pipelines": [{"id": "primary", "nodes": nodes, "app_data": _data(chance, nodes, seed), "runtime_ref": ""}],
        "schemas": [],
    }


def _id(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def _data(chance: random.Random, nodes: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    parameter = {"name": "rows", "type": "integer", "default": chance.randint(0, 10**9), "description": _text(chance)}
    return {
        "ui_data": {"comments": [_comment(chance, nodes) for _ in range(chance.randint(0, 2))]},
        "version": 8,
        "runtime_type": "ATELIER",
        "properties": {"name": f"pipeline {seed}", "runtime": "Atelier"},
        "atelier": {"parameters": [parameter], "of_the_future": {"kept": [1, 2.5, None, True, _text(chance)]}},
    }


def _comment(chance: random.Random, nodes: list[dict[str, Any]]) -> dict[str, Any]:
    linked = [{"id": _id(chance), "node_ref": nodes[0]["id"]}] if chance.random() < 0.5 else []
    return {
        "id": _id(chance), "x_pos": chance.randint(0, 900), "y_pos": chance.randint(300, 600), "width": 160,
        "height": 60, "content": _text(chance), "associated_id_refs": linked,
    }  # fmt: skip


def _text(chance: random.Random) -> str:
    return chance.choice(TEXTS)


def _node(chance: random.Random, index: int, op: str, data: dict[str, Any]) -> dict[str, Any]:
    place = {"label": data["label"], "image": "", "x_pos": 60 + 220 * index, "y_pos": chance.randint(40, 260)}
    return {
        "id": _id(chance),
        "type": "execution_node",
        "op": op,
        "app_data": data | {"ui_data": place | {"description": _text(chance)}},
        "inputs": [{"id": "inPort", "links": []}],
        "outputs": [{"id": "outPort"}],
    }


def _generic(chance: random.Random, index: int, _templates: Any) -> dict[str, Any]:
    op, ending = chance.choice((("execute-notebook-node", "ipynb"), ("execute-python-node", "py")))
    parameters = {
        "filename": f"step {index}.{ending}",
        "runtime_image": "atelier/python",
        "dependencies": ["a.csv", "under/b.csv"][: chance.randint(0, 2)],
        "include_subdirectories": chance.random() < 0.5,
        "outputs": ["out.csv"][: chance.randint(0, 1)],
        "env_vars": [{"env_var": "KEY", "value": _text(chance)}][: chance.randint(0, 1)],
        "cpu": chance.randint(1, 4),
    }
    ours = {"retry": {"limit": chance.randint(0, 3)}, "ports": {"of_the_future": _text(chance)}}
    return _node(chance, index, op, {"label": f"step {index}", "component_parameters": parameters, "atelier": ours})


def _template(chance: random.Random, index: int, templates: list[dict[str, Any]]) -> dict[str, Any]:
    template = chance.choice(templates)
    parameters = {
        name: {"widget": _widget(field), "value": _value(chance, field)}
        for name, field in template["parameters"]["properties"].items()
        if chance.random() < 0.6
    }
    source = f'{{"catalog_type": "atelier-template-catalog", "component_ref": {{"template": "{template["name"]}"}}}}'
    data = {
        "label": f"{template['name']} {index}",
        "component_parameters": parameters,
        "component_source": source,
        "atelier": {"template": template["name"], "version": template["version"], "of_the_future": _text(chance)},
    }
    return _node(chance, index, template["op"], data)


def _widget(field: dict[str, Any]) -> str:
    return {"integer": "number", "number": "number", "boolean": "boolean"}.get(field.get("type", ""), "string")


def _value(chance: random.Random, field: dict[str, Any]) -> Any:
    match _widget(field):
        case "number":
            return chance.choice((0, 1, 0.25, 100))
        case "boolean":
            return chance.random() < 0.5
        case _:
            return _text(chance)


def _connect(chance: random.Random, parent: dict[str, Any], child: dict[str, Any]) -> None:
    link = {"id": _id(chance), "node_id_ref": parent["id"], "port_id_ref": "outPort"}
    child["inputs"][0]["links"].append(link)


def lost(before: Any, after: Any, at: str = "") -> list[str]:
    """What was in `before` and is not, or is different, in `after`; what was added is not counted."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [line for key, value in before.items() for line in lost(value, after.get(key), f"{at}/{key}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [line for index, (one, other) in pairs for line in lost(one, other, f"{at}/{index}")]
    return [] if before == after else [f"{at}: {before!r} became {after!r}"]


def comparable(document: Any) -> Any:
    """Without what Elyra writes from its own palette, and without what is empty, which it leaves out."""
    plain = copy.deepcopy(document)
    for pipeline in plain["pipelines"]:
        pipeline["nodes"].sort(key=lambda node: node["id"])
        for node in pipeline["nodes"]:
            for place in ("x_pos", "y_pos", "image", "description"):
                node["app_data"]["ui_data"].pop(place, None)
    return _without_empty(plain)


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        cleaned = {key: _without_empty(one) for key, one in value.items()}
        return {key: one for key, one in cleaned.items() if one not in ("", None) and one != [] and one != {}}
    return [_without_empty(one) for one in value] if isinstance(value, list) else value
