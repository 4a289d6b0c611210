"""Templates: what template.yaml may say, and looking templates up."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from pydantic import ValidationError

from atelier_core.errors import Invalid
from atelier_core.pipeline.plan import RetryPolicy
from atelier_core.states import Cause
from atelier_core.template import Catalog, ResourceRequest, RetryRequest, Template, op_id, parse_duration, parse_memory
from atelier_core.workload import Resources
from tests.atelier_core.documents import CATALOG, template


def test_op_is_what_a_catalog_in_elyra_yields() -> None:
    assert op_id("data-split") == f"atelier-template-catalog:{hashlib.sha256(b'data-split').hexdigest()[:12]}"
    assert len(op_id("x")) == len("atelier-template-catalog:") + 12


@pytest.mark.parametrize(
    ("text", "size"),
    [(5, 5), ("512Mi", 512 * 1024**2), ("2G", 2 * 10**9), ("1.5GiB", 3 * 1024**3 // 2), ("10", 10), ("1ki", 1024)],
)
def test_memory(text: object, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "two", "2X", "-1G", None, True])
def test_memory_that_is_none(text: object) -> None:
    with pytest.raises(ValueError, match="amount of memory"):
        parse_memory(text)


@pytest.mark.parametrize("cpu", [0, float("nan"), float("inf"), 1e300])
def test_no_machine_has_that_many_cores(cpu: float) -> None:
    for kind in (Resources, ResourceRequest):
        with pytest.raises(ValueError, match="cpu"):
            kind(cpu=cpu)


@pytest.mark.parametrize("text", ["9" * 400, "1" * 16 + "G"])
def test_memory_has_a_bound(text: str) -> None:
    with pytest.raises(ValueError, match="more memory than any machine"):
        parse_memory(text)


@pytest.mark.parametrize("text", ["9" * 400, "9999999d"])
def test_durations_have_a_bound(text: str) -> None:
    with pytest.raises(ValueError, match="longer than ten years"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "seconds"), [(5, 5), (1.5, 1.5), ("90", 90), ("30s", 30), ("10m", 600), ("2h", 7200)])
def test_duration(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1s", "5 weeks", True])
def test_duration_that_is_none(text: object) -> None:
    with pytest.raises(ValueError, match="length of time"):
        parse_duration(text)


def test_what_is_left_out_stays() -> None:
    base = Resources(cpu=2, memory=100)
    assert ResourceRequest(memory="1Ki").over(base) == Resources(cpu=2, memory=1024)
    retry = RetryRequest(limit=5, causes=("user",)).over(RetryPolicy(delay=3))
    assert retry == RetryPolicy(limit=5, causes=frozenset({Cause.USER}), delay=3)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": "No Spaces"}, "lower-case"),
    ({"version": "one"}, "version"),
    ({"command": []}, "command"),
    ({"colour": "red"}, "colour"),
    ({"stage": "beta"}, "stage"),
    ({"inputs": {"a b": {}}}, "port name"),
    ({"outputs": {"results": {}}}, "kept"),
    ({"outputs": {"x": {"path": "../x"}}}, "below"),
    ({"parameters": {"type": "array"}}, "type: object"),
    ({"parameters": {"type": "object", "properties": {"a": {"type": "nothing"}}}}, "JSON Schema"),
    ({"parameters": {"type": "object", "properties": {"a": {"$ref": "http://x/y"}}}}, r"\$ref"),
    ({"parameters": {"type": "object", "properties": {"a": {"x-ui": {"widget": "lever"}}}}}, "x-ui"),
    ({"parameters": {"type": "object", "properties": {"a": {}}}, "inputs": {"a": {}}}, "both"),
    ({"demo": {"inputs": {"data": {"template": "x", "output": "y"}}}}, "no input"),
    ({"timeout": "soon"}, "length of time"),
    ({"resources": {"memory": "lots"}}, "amount of memory"),
]


@pytest.mark.parametrize(("fields", "says"), WRONG)
def test_mistakes_are_named(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        template(**{"name": "right", **fields})


def test_a_template_goes_through_json() -> None:
    one = template("right", resources={"memory": "1Gi"}, timeout="10m", outputs={"model": {"type": "model"}})
    assert Template.model_validate_json(one.model_dump_json()) == one
    assert one.timeout == 600


def test_catalog() -> None:
    newest = CATALOG.find("read-data")
    assert newest is not None
    assert newest.version == "1.0"
    assert CATALOG.by_op(op_id("read-data")) is newest
    old = CATALOG.find("read-data", "0.9")
    assert old is not None
    assert "old" in old.outputs
    assert CATALOG.find("read-data", "7") is CATALOG.find("nothing") is CATALOG.by_op("x") is None
    assert CATALOG.similar("read_data") == "read-data"
    assert [one.key for one in CATALOG] == [
        "template:read-data@0.9",
        "template:read-data@1.0",
        "template:train-model@1.0",
    ]


def test_version_ten_is_newer_than_nine() -> None:
    newest = Catalog([template("a", version="1.10"), template("a", version="1.9")]).find("a")
    assert newest is not None
    assert newest.version == "1.10"


def test_the_same_version_twice_is_refused() -> None:
    with pytest.raises(Invalid, match="two templates"):
        Catalog([template("a"), template("a")])
