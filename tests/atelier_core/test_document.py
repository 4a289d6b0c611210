"""The document: nothing gets lost, and everything that is wrong with a file is said."""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier_core.pipeline import graph
from atelier_core.pipeline.document import Source, parse
from tests.atelier_core.documents import node, pipeline, read, script, train

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
# Names that no reader knows, so that their values can be anything.
UNKNOWN = st.dictionaries(st.text(min_size=1, max_size=6).map(lambda name: f"x-{name}"), JSON, max_size=3)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A valid document with unknown fields at every level."""
    document = pipeline(read("a"), train("b", "a"), script("c", "b"), parallelism=draw(st.integers(0, 9)))
    document |= draw(UNKNOWN)
    main = document["pipelines"][0]
    main |= draw(UNKNOWN)
    main["app_data"] |= draw(UNKNOWN)
    main["app_data"]["atelier"] |= draw(UNKNOWN)
    for one in main["nodes"]:
        one.update(draw(UNKNOWN))
        one["app_data"] |= draw(UNKNOWN)
        one["app_data"]["component_parameters"] |= draw(UNKNOWN)
        one["app_data"]["ui_data"] |= draw(UNKNOWN)
        one["app_data"].setdefault("atelier", {})
        one["app_data"]["atelier"] |= draw(UNKNOWN)
        one["app_data"]["atelier"] |= draw(
            st.sampled_from([{}, {"timeout": "5m"}, {"timeout": 3}, {"retry": {"limit": 1}}])
        )
        for port in one["inputs"]:
            port.update(draw(UNKNOWN))
            for link in port["links"]:
                link.update(draw(UNKNOWN))
    return document


@settings(max_examples=30, deadline=None)
@given(documents())
def test_unknown_fields_survive(raw: dict[str, Any]) -> None:
    before = copy.deepcopy(raw)
    document = parse(json.dumps(raw))
    assert document.problems == []
    assert document.to_dict() == before
    assert parse(raw).to_dict() == raw == before


def test_an_edit_is_written_and_everything_else_stays() -> None:
    raw = pipeline(read("a"), {**script("b", "a"), "x-kept": {"deep": [1]}})
    document = parse(raw)
    document.nodes[1].app_data.label = "renamed"
    written = document.to_dict()
    expected = copy.deepcopy(raw)
    expected["pipelines"][0]["nodes"][1]["app_data"]["label"] = "renamed"
    assert written == expected


def test_a_broken_node_is_kept_in_the_file() -> None:
    raw = pipeline(read("a"), {**script("b"), "inputs": "nonsense"})
    document = parse(raw)
    assert [one.node for one in document.problems] == ["b"]
    assert document.broken == {"b"}
    assert document.to_dict() == raw


def test_where_inputs_come_from() -> None:
    one = parse(pipeline(train("t", "a", "data"))).nodes[0]
    assert one.sources() == {"data": Source(node="a", output="data")}
    extras = parse(
        pipeline(node("n", "execute-python-node", {}, "p", inputs={"x": {"node": "q", "output": "o"}}))
    ).nodes[0]
    assert extras.parents() == ["p", "q"]


def test_what_a_node_is_called() -> None:
    raw = script("c1", filename="sub/clean up.py")
    assert parse(pipeline(raw)).nodes[0].name == "c1"
    raw["app_data"] |= {"label": "", "ui_data": {}}
    assert parse(pipeline(raw)).nodes[0].name == "clean up.py"
    raw["app_data"]["atelier"] = {"name": "clean"}
    assert parse(pipeline(raw)).nodes[0].name == "clean"


def broken(**changes: Any) -> dict[str, Any]:
    return {**pipeline(read("a")), **changes}


def of_main(**changes: Any) -> dict[str, Any]:
    raw = pipeline(read("a"))
    raw["pipelines"][0] |= changes
    return raw


WRONG: list[tuple[Any, str, str]] = [
    ("{", "", "not JSON"),
    (b"\xff\xfe\x00", "", "not JSON"),
    ("[" * 100_000, "", "not JSON"),
    ("[]", "", "no pipeline"),
    (broken(doc_type="other"), "doc_type", "not a pipeline"),
    (broken(version="2.0"), "version", "document version is '2.0'"),
    (broken(primary_pipeline="nope"), "pipelines", "no primary pipeline"),
    (broken(pipelines={}), "pipelines", "no primary pipeline"),
    (of_main(app_data={"version": 7}), "app_data.version", "is 7"),
    (of_main(app_data=None), "app_data.version", "is None"),
    (of_main(nodes="x"), "nodes", "not a list"),
    (of_main(nodes=[3]), "", "Node 1"),
    (of_main(nodes=[{"type": "execution_node"}]), "id", "`id` is not right"),
    (of_main(nodes=[{**read("s"), "type": "super_node"}]), "type", "does not run sub-pipelines"),
    (of_main(nodes=[{**read("s"), "type": "model_node"}]), "type", "which is no step"),
    (of_main(nodes=[read("a"), read("a")]), "id", "Two nodes have the id 'a'"),
    (of_main(nodes=[node("n", "x", {}, timeout="soon")]), "app_data.atelier.timeout", "not a length of time"),
    (of_main(nodes=[node("n", "x", {}, retry={"limit": -1})]), "app_data.atelier.retry.limit", "greater than or equal"),
    (
        of_main(nodes=[node("n", "x", {}, resources={"memory": "lots"})]),
        "app_data.atelier.resources.memory",
        "amount of memory",
    ),
    (of_main(nodes=[node("n", "x", {}, replicas=0)]), "app_data.atelier.replicas", "greater than or equal to 1"),
    (of_main(nodes=[node("n", "x", {}, env={"A": 1})]), "app_data.atelier.env.A", "valid string"),
    (pipeline(read("a"), parallelism=-1), "app_data.atelier.parallelism", "greater than or equal to 0"),
]


@pytest.mark.parametrize(("source", "field", "says"), WRONG, ids=[says for _, _, says in WRONG])
def test_what_is_wrong_is_said(source: Any, field: str, says: str) -> None:
    problems = parse(source).problems
    assert [one for one in problems if says in one.message and one.field == field], problems
    assert all(one.hint for one in problems)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    raw = pipeline({**read("s"), "type": "super_node"}, {**read("b"), "app_data": 3}, read("c"), read("c"))
    raw["version"] = "1"
    raw["pipelines"][0]["app_data"]["version"] = 5
    assert len(parse(raw).problems) == 5


@settings(max_examples=100, deadline=None)
@given(JSON | st.dictionaries(st.sampled_from(["doc_type", "version", "pipelines", "primary_pipeline"]), JSON))
def test_any_json_is_read_without_an_error(raw: Any) -> None:
    document = parse(json.dumps(raw))
    assert document.problems
    assert not document.nodes


GRAPHS = st.integers(1, 12).flatmap(
    lambda size: st.tuples(
        st.just(size), st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), max_size=30)
    )
)


@given(GRAPHS)
def test_every_circle_is_found_and_nothing_else(drawn: tuple[int, list[tuple[int, int]]]) -> None:
    size, edges = drawn
    parents = {str(one): [str(parent) for parent, child in edges if child == one] for one in range(size)}
    ordered = graph.order(parents)
    circles = graph.circles(parents)
    place = {one: index for index, one in enumerate(ordered)}
    assert all(place[parent] < place[one] for one in ordered for parent in parents[one])
    assert (len(ordered) == size) == (not circles)
    for circle in circles:
        assert circle[0] == circle[-1]
        assert all(before in parents[after] for before, after in pairwise(circle))
    through = [one for circle in circles for one in circle[1:]]
    assert len(through) == len(set(through))
    without = {one: [up for up in above if up not in through] for one, above in parents.items() if one not in through}
    assert len(graph.order(without)) == len(without)


def test_ten_thousand_nodes_in_a_row() -> None:
    parents = {str(one): [str(one - 1)] if one else [] for one in range(10_000)}
    assert graph.order(parents) == [str(one) for one in range(10_000)]
    assert len(graph.circles({**parents, "0": ["9999"]})[0]) == 10_001


@pytest.mark.parametrize("source", [None, 7, [], "7", b"\xff"])
def test_what_is_no_document_is_one_problem(source: object):
    assert len(parse(source).problems) == 1


def test_nesting_without_end_is_one_problem() -> None:
    nested: Any = 1
    for _ in range(5000):
        nested = [nested]
    raw = pipeline(script("a")) | {"x": nested}
    for source in (raw, f'{{"x": {"[" * 500}{"]" * 500}}}'):
        (problem,) = parse(source).problems
        assert "64 levels deep" in problem.message and problem.hint
