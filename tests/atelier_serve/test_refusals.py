"""What does not fit is refused with a sentence and never ends as a failure of the server."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.atelier_serve.model_server import ModelServer, matrix, outputs, refusal, tensor

SIZE, PRICE = tensor("size", "INT64", [1], [1]), tensor("price", "FP64", [1], [0.5])
COLOUR = tensor("colour", "BYTES", [1], ["red"])


@pytest.mark.parametrize(
    ("inputs", "code", "words"),
    [
        ([], "no_inputs", ""),
        ([SIZE, PRICE], "wrong_inputs", "'colour' is missing"),
        ([SIZE], "wrong_inputs", "'price', 'colour' are missing"),
        ([SIZE, PRICE, COLOUR, tensor("more", "FP64", [1], [1])], "wrong_inputs", "no input 'more'"),
        ([SIZE, SIZE, PRICE, COLOUR], "wrong_inputs", "'size' is there twice"),
        ([SIZE | {"shape": [2]}, PRICE, COLOUR], "bad_shape", "[2]"),
        ([SIZE, PRICE, tensor("colour", "BYTES", [2], ["red", "blue"])], "bad_shape", "'colour'"),
        ([SIZE | {"shape": [1, 1, 1], "data": [1]}, PRICE, COLOUR], "bad_shape", "[1, 1, 1]"),
        ([SIZE | {"shape": [-1]}, PRICE, COLOUR], "bad_shape", "'size'"),
        ([SIZE | {"shape": None}, PRICE, COLOUR], "bad_shape", "'size'"),
        ([SIZE | {"shape": [0], "data": []}, PRICE, COLOUR], "bad_shape", "at least one row"),
        ([SIZE | {"datatype": "FLOAT"}, PRICE, COLOUR], "wrong_datatype", "'FLOAT'"),
        ([SIZE | {"datatype": "BF16"}, PRICE, COLOUR], "wrong_datatype", "'BF16'"),
        ([SIZE | {"datatype": "FP64", "data": [1.5]}, PRICE, COLOUR], "wrong_datatype", "no whole numbers"),
        ([SIZE | {"data": ["1"]}, PRICE, COLOUR], "wrong_datatype", "'size'"),
        ([SIZE | {"data": [True]}, PRICE, COLOUR], "wrong_datatype", "'size'"),
        ([SIZE | {"data": [None]}, PRICE, COLOUR], "wrong_datatype", "'size'"),
        ([SIZE | {"datatype": "BYTES", "data": ["1"]}, PRICE, COLOUR], "wrong_datatype", "takes INT64"),
        ([SIZE, PRICE, COLOUR | {"datatype": "INT64", "data": [1]}], "wrong_datatype", "takes texts"),
        ([SIZE, PRICE, COLOUR | {"data": [7]}], "wrong_datatype", "'colour'"),
        ([SIZE, PRICE, {"name": "colour", "datatype": "BYTES", "shape": [1]}], "no_data", "'colour'"),
        ([SIZE, PRICE, COLOUR | {"data": ["never seen"]}], "input_refused", "never seen"),
        ([SIZE, PRICE, COLOUR | {"parameters": {"binary_data_size": 4}}], "bad_shape", "not 1 texts"),
        ([SIZE, PRICE, COLOUR | {"parameters": {"shared_memory_region": "x"}}], "not_served", "Shared memory"),
        ([matrix([[1.0, 0.5, 0.0]])], "wrong_inputs", "missing"),
    ],
)
def test_inputs_that_do_not_fit(mixed: ModelServer, inputs: list[Any], code: str, words: str) -> None:
    found = refusal(mixed.ask(*inputs))
    assert found["code"] == code, found
    assert words in found["message"]
    assert found["hint"]


def test_outputs_that_are_not_there(mixed: ModelServer) -> None:
    found = refusal(mixed.ask(SIZE, PRICE, COLOUR, outputs=[{"name": "nothing"}]))
    assert (found["code"], found["hint"]) == ("wrong_outputs", "It gives 'predict', 'predict_proba'.")


def test_a_matrix_of_another_width(digits: ModelServer) -> None:
    found = refusal(digits.ask(matrix([[1.0, 2.0]])))
    assert found["code"] == "bad_shape"
    assert "[1, 2]" in found["message"]
    assert "[-1, 64]" in found["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"inputs": 1}', b'{"inputs": [1]}', b'"x"'])
def test_no_request_at_all(digits: ModelServer, body: bytes) -> None:
    refusal(httpx.post(digits.infer_url, content=body))


@pytest.mark.parametrize("length", ["-1", "x", "9999999", ""])
def test_a_wrong_length_of_the_json_part(digits: ModelServer, length: str) -> None:
    body = json.dumps({"inputs": [matrix([[0.0] * 64])]}).encode()
    answer = httpx.post(digits.infer_url, content=body, headers={"Inference-Header-Content-Length": length})
    assert refusal(answer)["code"] == "bad_binary"


def test_whose_fault_it_is(sleeper: ModelServer) -> None:
    found = refusal(sleeper.ask(matrix([[500.0]])))
    assert (found["code"], "nobody sleeps that long" in found["message"]) == ("input_refused", True)
    answer = sleeper.ask(matrix([[-1.0]]))
    assert refusal(answer, 500)["code"] == "model_failed"
    assert "secret" not in answer.text
    assert "a secret of the model" in sleeper.log()
    assert "Traceback" in sleeper.log()
    assert outputs(sleeper.ask(matrix([[0.0]])))["predict"]["data"] == [0.0]


_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=4),
    st.sampled_from(["INT64", "FP64", "BYTES", "FP16", "BOOL", "size", "price", "colour"]),
)
_anything = st.recursive(
    _values,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
_inputs = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["size", "price", "colour", "x"]) | _anything,
        "datatype": st.sampled_from(["INT64", "FP64", "BYTES", "FP16", "BOOL", "UINT8"]) | _anything,
        "shape": st.lists(st.integers(-1, 3), max_size=3) | _anything,
        "data": st.lists(_values, max_size=4) | _anything,
        "parameters": st.fixed_dictionaries({}, optional={"binary_data_size": _values}) | _anything,
    },
)
_requests = st.fixed_dictionaries(
    {"inputs": st.lists(_inputs, max_size=4) | _anything},
    optional={
        "id": _anything,
        "outputs": st.lists(st.fixed_dictionaries({"name": _values})) | _anything,
        "parameters": _anything,
    },
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example({"inputs": [SIZE | {"data": [[[[]]]]}, PRICE, COLOUR]})
@example({"inputs": [SIZE | {"data": [2**64 - 1], "datatype": "UINT64"}, PRICE, COLOUR]})
@example({"inputs": [SIZE | {"shape": [2**40, 2**40]}, PRICE, COLOUR]})
@given(_requests | _anything)
def test_nothing_in_json_makes_the_server_fail(mixed: ModelServer, document: Any) -> None:
    answer = httpx.post(mixed.infer_url, content=json.dumps(document), timeout=10)
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 400:
        refusal(answer)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 40),
    st.lists(st.tuples(st.sampled_from(["size", "price", "colour"]), st.integers(0, 20))),
    st.binary(max_size=40),
)
def test_nothing_in_binary_makes_the_server_fail(mixed: ModelServer, cut: int, sizes: list[Any], data: bytes) -> None:
    datatypes = {"size": "INT64", "price": "FP64", "colour": "BYTES"}
    inputs = [
        {"name": name, "datatype": datatypes[name], "shape": [1], "parameters": {"binary_data_size": size}}
        for name, size in sizes
    ]
    head = json.dumps({"inputs": inputs}).encode()
    headers = {"Inference-Header-Content-Length": str(max(0, len(head) - cut))}
    answer = httpx.post(mixed.infer_url, content=head + data, headers=headers, timeout=10)
    assert answer.status_code in (200, 400), answer.text
