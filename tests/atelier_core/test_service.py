"""Definitions of services: what people may write, and what they are told when it is wrong."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from atelier_core.errors import Conflict, Invalid
from atelier_core.service import (
    MOVES,
    Definition,
    Stage,
    check_move,
    framework_of_file,
    framework_of_folder,
    parse,
    validate,
)
from atelier_core.states import State


def test_a_file_says_what_is_needed_and_its_name_is_the_services() -> None:
    text = """
        model: models:/digits/3
        replicas: 2
        resources: {memory: 1Gi}
        scale: {in_flight: 8, idle: 5m}
        canary: {percent: 10, header: {X-Try: new}}
    """
    found = parse(text, "folder/digits.service.yaml")
    assert (found.name, found.model, found.stage) == ("digits", "models:/digits/3", Stage.PRODUCTION)
    assert (found.replicas.min, found.replicas.max, found.least, found.most) == (2, 2, 2, 2)
    assert (found.scale.idle, found.resources.memory) == (300, 1024**3)
    assert found.is_trial
    assert Definition.model_validate(found.model_dump(mode="json")) == found


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({}, "name a model"),
        ({"model": "models:/a/1", "output": {"run": "r", "step": "s"}}, "not both"),
        ({"image": "python"}, "name a model"),
        ({"model": "models:/a/1", "replicas": {"min": 2, "max": 1}}, "replicas: min is more than max"),
        ({"model": "models:/a/1", "framework": "prolog"}, "not one of"),
        ({"model": "models:/a/1", "allow": ["10.0.0.0/99"]}, "is not a network"),
        ({"model": "models:/a/1", "canary": {"header": {"X Try": "1"}}}, "name of a header"),
        ({"model": "models:/a/1", "health": "health"}, "begins with /"),
        ({"model": "models:/a/1", "replica": 2}, "replica: Extra inputs"),
        ({"model": "models:/a/1", "scale": {"idle": "soon"}}, "not a length of time"),
        ({"model": "models:/a/1", "scale": {"in_flight": float("inf")}}, "finite"),
        ({"model": "models:/a/1", "scale": {"cpu": 0}}, "scale.cpu: 0 is no percentage to aim at"),
        ({"model": "models:/a/1", "scale": {"cpu": 1e4}}, "from 1 to 1000"),
        ({"model": "models:/a/1", "limits": {"timeout": float("inf")}}, "limits.timeout: .* finite"),
        ({"model": "models:/a/1", "limits": {"rate": float("inf")}}, "limits.rate: .* finite"),
        ({"model": "models:/a/1", "limits": {"burst": 10**400}}, "limits.burst: .* less"),
        ({"model": "models:/a/1", "name": "A b"}, "not a name for a service"),
        ({"server": "torchserve", "dataset": "dataset:a@1"}, "not one of triton, vllm"),
        ({"server": "triton"}, "triton needs a model, an output of a step, a dataset\\.$"),
        ({"server": "vllm"}, "or a repository"),
        ({"server": "triton", "repository": "a/b"}, "repository is for vllm"),
        ({"server": "vllm", "repository": "https://example.org/a b"}, "repository: String should match"),
        ({"server": "vllm", "repository": "-x"}, "repository: String should match"),
        ({"server": "vllm", "dataset": "a@1"}, "write dataset:NAME"),
        ({"server": "vllm", "repository": "a/b", "command": ["sh"]}, "its own command"),
        ({"server": "vllm", "repository": "a/b", "dataset": "dataset:a"}, "a dataset or a repository, not both"),
        ({"dataset": "dataset:a@1"}, "dataset is for a server"),
        ({"model": "models:/a/1", "arguments": ["--x"]}, "arguments is for a server"),
        ({"image": "python\0", "command": ["x"]}, "image: String should match"),
        ({"output": {"run": "r", "step": "s\0"}}, "output.step: String should match"),
        ({"model": "models:/a/1", "flavor": "\0"}, "flavor: String should match"),
        ({"model": "models:/a/1", "on": "\0"}, "on: String should match"),
        ({"model": "models:/a/1", "secrets": {"TOKEN": "a\0b"}}, "secrets.TOKEN: String should match"),
    ],
)
def test_what_is_wrong_is_named(raw: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said) as refusal:
        validate({"name": "digits", **raw})
    assert refusal.value.hint


@pytest.mark.parametrize("text", ["[1, 2", "- a", "text", ""])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse(text, "x.service.yaml")


def test_what_is_debugged_has_one_replica() -> None:
    found = validate({"name": "a", "model": "models:/a/1", "stage": "debug", "replicas": {"min": 0, "max": 5}})
    assert (found.least, found.most) == (1, 1)


def test_the_framework_is_told_by_the_folder_or_the_file() -> None:
    assert framework_of_folder("flavors: {python_function: {}, xgboost: {}}") == "xgboost"
    assert framework_of_folder("flavors: {keras: {}}") == ""
    assert framework_of_folder("flavors: [") == framework_of_folder("3") == ""
    assert framework_of_file("a/model.onnx") == "onnx"
    assert framework_of_file("model.exe") == ""


@pytest.mark.parametrize(("before", "after"), list(product(MOVES, MOVES)))
def test_moves_are_those_of_the_table(before: State, after: State) -> None:
    if after in MOVES[before]:
        check_move(before, after)
    else:
        with pytest.raises(Conflict):
            check_move(before, after)


@pytest.mark.parametrize("text", ["at: 2020-99-99", "[" * 5000, "number: " + "1" * 5000, "a: [", "a: &a [*a"])
def test_what_is_not_yaml_is_no_accident(text: str) -> None:
    with pytest.raises(Invalid, match=r"x\.service\.yaml is not YAML"):
        parse(text, "x.service.yaml")
    assert framework_of_folder(text) == ""
