"""Rows out of inference requests, in all the ways in which they may be sent."""

from __future__ import annotations

import gzip
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier_core.inference import MOST_UNPACKED, Unreadable, is_inference, rows

INFER = "/v2/models/m/infer"
A, B = [1.0, 2.5, -3.0], ["x", "ü", ""]


def _tensor(name: str, datatype: str, shape: list[int], data: Any = None, size: int | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
    return found | ({"data": data} if size is None else {"parameters": {"binary_data_size": size}})


def _json(*inputs: dict[str, Any]) -> bytes:
    return json.dumps({"inputs": inputs}).encode()


def test_a_tensor_for_each_column() -> None:
    body = _json(_tensor("b", "BYTES", [3, 1], B), _tensor("a", "FP64", [3], A))
    assert rows(INFER, body, ["a", "b", "c"]) == {"a": A, "b": B}
    nested = _json(_tensor("a", "FP64", [3, 1], [[1.0], [2.5], [-3.0]]))
    assert rows(INFER, nested, ["a"]) == {"a": A}
    assert rows(INFER, gzip.compress(nested), ["a"], encoding="gzip") == {"a": A}


def test_one_matrix_by_the_order_of_the_columns() -> None:
    wanted = {"a": [1, 3], "b": [2, None]}
    for data in ([1, 2, 3, None], [[1, 2], [3, None]]):
        assert rows(INFER, _json(_tensor("input", "FP32", [2, 2], data)), ["a", "b"]) == wanted


def test_binary_behind_the_json() -> None:
    texts = b"".join(struct.pack("<I", len(one.encode())) + one.encode() for one in B)
    numbers = struct.pack("<3d", *A)
    head = _json(_tensor("a", "FP64", [3, 1], size=len(numbers)), _tensor("b", "BYTES", [3, 1], size=len(texts)))
    body = head + numbers + texts
    assert rows(INFER, body, ["a", "b"], header_length=len(head)) == {"a": A, "b": B}
    with pytest.raises(Unreadable):
        rows(INFER, body[:-1], ["a", "b"], header_length=len(head))


@pytest.mark.parametrize(
    ("datatype", "packed", "value"),
    [
        ("BOOL", b"\x01", True), ("INT8", b"\xff", -1), ("UINT8", b"\xff", 255), ("INT16", b"\x01\x00", 1),
        ("UINT64", b"\x01" + b"\0" * 7, 1), ("FP32", struct.pack("<f", 0.5), 0.5), ("FP16", struct.pack("<e", 2), 2.0),
    ],
)  # fmt: skip
def test_binary_datatypes(datatype: str, packed: bytes, value: Any) -> None:
    head = _json(_tensor("a", datatype, [1], size=len(packed)))
    assert rows(INFER, head + packed, ["a"], header_length=len(head)) == {"a": [value]}


def test_v1() -> None:
    path = "/v1/models/m:predict"
    by_name = json.dumps({"instances": [{"a": 1, "b": "x"}, {"a": 2}]}).encode()
    assert rows(path, by_name, ["a", "b", "c"]) == {"a": [1, 2], "b": ["x", None]}
    by_order = json.dumps({"instances": [[1, 2], [3, 4]]}).encode()
    assert rows(path, by_order, ["a", "b"]) == {"a": [1, 3], "b": [2, 4]}
    assert rows(path, b'{"instances": [1, 2]}', ["a"]) == {"a": [1, 2]}


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b'{"inputs": 3}', b'{"inputs": [3]}', b"\xff", b'{"inputs": []', _json({"name": "a"}),
        _json(_tensor("z", "FP64", [1], [1.0])), _json(_tensor("a", "FP64", [2], [1.0])),
        _json(_tensor("a", "FP64", [1, 5], [1, 2, 3, 4, 5])), _json(_tensor("a", "FP64", [1], [{"x": 1}])),
        _json(_tensor("a", "FP64", [1], [1]), _tensor("b", "FP64", [2], [1, 2])), b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_does_not_fit_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        rows(INFER, body, ["a", "b"])


def test_what_grows_without_end_is_unreadable() -> None:
    with pytest.raises(Unreadable):
        rows(INFER, gzip.compress(b" " * (MOST_UNPACKED + 1)), ["a"], encoding="gzip")


@given(st.binary(max_size=200), st.sampled_from([INFER, "/v1/models/m:predict"]), st.none() | st.integers(0, 300))
def test_nonsense_is_unreadable_and_nothing_worse(body: bytes, path: str, length: int | None) -> None:
    with pytest.raises(Unreadable):
        rows(path, body, ["a"], header_length=length)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (INFER, True), ("/v2/models/m/versions/3/infer", True), ("/v1/models/m:predict", True),
        ("/v2/models/m", False), ("/infer", False), ("/v2/models/m/infer/x", False),
    ],
)  # fmt: skip
def test_what_asks_about_rows(path: str, expected: bool) -> None:
    assert is_inference("POST", path) is expected and not is_inference("GET", path)
