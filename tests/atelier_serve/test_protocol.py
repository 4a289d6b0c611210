"""The protocol as it is written: JSON, binary tensors, chosen outputs, health, metadata, limits."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from typing import Any

import httpx
import numpy as np
import pytest

from tests.atelier_serve.conftest import Start
from tests.atelier_serve.model_server import MODEL, ModelServer, matrix, outputs, refusal, tensor

ROW = [[0.0] * 64]


def test_id_version_and_chosen_outputs(digits: ModelServer) -> None:
    answer = digits.ask(matrix(ROW), id="seven", outputs=[{"name": "digit"}])
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert (document["id"], document["model_name"], document["model_version"]) == ("seven", MODEL, "1")
    assert [one["name"] for one in document["outputs"]] == ["digit"]
    both = digits.ask(matrix(ROW), outputs=[{"name": "predict_proba"}, {"name": "digit"}]).json()
    assert [one["name"] for one in both["outputs"]] == ["predict_proba", "digit"]
    assert "id" not in both
    versioned = httpx.post(f"{digits.url}/v2/models/{MODEL}/versions/1/infer", json={"inputs": [matrix(ROW)]})
    assert set(outputs(versioned)) == {"digit", "predict_proba"}


def test_flat_and_nested_data_are_the_same(digits: ModelServer, expected: dict[str, Any]) -> None:
    rows = expected["digits"]["rows"]
    flat = tensor("rows", "FP64", [len(rows), 64], [value for row in rows for value in row])
    assert outputs(digits.ask(flat)) == outputs(digits.ask(matrix(rows)))


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT64"])
def test_numbers_of_other_types_that_mean_the_same(
    digits: ModelServer, expected: dict[str, Any], datatype: str
) -> None:
    right = expected["digits"]
    whole = [[int(value) for value in row] for row in right["rows"]]
    found = outputs(digits.ask(tensor("rows", datatype, [len(whole), 64], whole)))
    assert found["digit"]["data"] == right["outputs"]["digit"]


def _binary(url: str, header: dict[str, Any], data: bytes) -> httpx.Response:
    head = json.dumps(header).encode()
    headers = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
    return httpx.post(url, content=head + data, headers=headers)


@pytest.mark.parametrize("numpy_type", ["f2", "f4", "f8", "i1", "i4", "i8", "u1", "u8"])
def test_binary_in_and_out(digits: ModelServer, expected: dict[str, Any], numpy_type: str) -> None:
    right = expected["digits"]
    array = np.array(right["rows"], numpy_type)
    kind = {"f": "FP", "i": "INT", "u": "UINT"}[numpy_type[0]] + str(int(numpy_type[1]) * 8)
    one = {"name": "rows", "datatype": kind, "shape": list(array.shape)}
    one["parameters"] = {"binary_data_size": array.nbytes}
    header = {
        "inputs": [one],
        "outputs": [{"name": "digit"}, {"name": "predict_proba", "parameters": {"binary_data": True}}],
    }
    answer = _binary(digits.infer_url, header, array.tobytes())
    assert answer.status_code == 200, answer.text
    length = int(answer.headers["inference-header-content-length"])
    digit, probabilities = json.loads(answer.content[:length])["outputs"]
    assert digit["data"] == right["outputs"]["digit"]
    assert "data" not in probabilities
    assert probabilities["parameters"]["binary_data_size"] == len(answer.content) - length
    found = np.frombuffer(answer.content[length:], "<f8").reshape(probabilities["shape"])
    np.testing.assert_allclose(found, right["outputs"]["predict_proba"])


def test_binary_texts(mixed: ModelServer, expected: dict[str, Any]) -> None:
    right = expected["mixed"]
    colours = b"".join(struct.pack("<I", len(text.encode())) + text.encode() for _, _, text in right["rows"])
    prices = np.array([row[1] for row in right["rows"]], "f8").tobytes()
    header = {
        "parameters": {"binary_data_output": True},
        "inputs": [
            {"name": "colour", "datatype": "BYTES", "shape": [4], "parameters": {"binary_data_size": len(colours)}},
            {"name": "price", "datatype": "FP64", "shape": [4], "parameters": {"binary_data_size": len(prices)}},
            tensor("size", "INT64", [4], [row[0] for row in right["rows"]]),
        ],
        "outputs": [{"name": "predict"}],
    }
    answer = _binary(mixed.infer_url, header, colours + prices)
    assert answer.status_code == 200, answer.text
    rest = answer.content[int(answer.headers["inference-header-content-length"]) :]
    texts = []
    while rest:
        (length,) = struct.unpack_from("<I", rest)
        texts.append(rest[4 : 4 + length].decode())
        rest = rest[4 + length :]
    assert texts == right["outputs"]["predict"]


def test_packed_bodies(digits: ModelServer) -> None:
    body = json.dumps({"inputs": [matrix(ROW)]}).encode()
    for encoding, packed in (("gzip", gzip.compress(body)), ("deflate", zlib.compress(body))):
        answer = httpx.post(digits.infer_url, content=packed, headers={"Content-Encoding": encoding})
        assert outputs(answer)
    broken = httpx.post(digits.infer_url, content=b"no gzip", headers={"Content-Encoding": "gzip"})
    assert refusal(broken)["code"] == "bad_encoding"
    short = httpx.post(digits.infer_url, content=gzip.compress(body)[:-9], headers={"Content-Encoding": "gzip"})
    assert refusal(short)["code"] == "bad_encoding"
    other = httpx.post(digits.infer_url, content=body, headers={"Content-Encoding": "br"})
    assert refusal(other, 415)["code"] == "bad_encoding"


def test_missing_numbers_are_null(shared: Start) -> None:
    server = shared("serve-xgboost", "ubj_file")
    found = outputs(server.ask(tensor("rows", "FP64", [1, 4], [None, 1.0, None, 0.1])))
    assert 0 < found["predict"]["data"][0] < 1


def test_health_and_metadata(digits: ModelServer) -> None:
    for path in (
        "/v2/health/live",
        "/v2/health/ready",
        f"/v2/models/{MODEL}/ready",
        f"/v2/models/{MODEL}/versions/1/ready",
    ):
        assert httpx.get(digits.url + path).status_code == 200
    server = httpx.get(f"{digits.url}/v2").json()
    assert server["name"] == "atelier-serve"
    assert "binary_tensor_data" in server["extensions"]
    model = httpx.get(f"{digits.url}/v2/models/{MODEL}").json()
    assert (model["name"], model["versions"], model["platform"]) == (MODEL, ["1"], "sklearn")
    assert len(model["inputs"]) == 64
    assert model["inputs"][0] == {"name": "pixel_0_0", "datatype": "FP64", "shape": [-1, 1]}
    assert model["outputs"] == [
        {"name": "digit", "datatype": "INT64", "shape": [-1]},
        {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 10]},
    ]


def test_what_is_not_there(digits: ModelServer) -> None:
    for path in ("/v2/models/other", f"/v2/models/{MODEL}/versions/2", "/v2/models/other/ready"):
        assert refusal(httpx.get(digits.url + path), 404)["code"] == "no_model"
    other = httpx.post(f"{digits.url}/v2/models/other/infer", json={"inputs": [matrix(ROW)]})
    assert refusal(other, 404)["code"] == "no_model"
    assert refusal(httpx.get(f"{digits.url}/elsewhere"), 404)["code"] == "not_found"
    assert refusal(httpx.get(digits.infer_url), 405)["code"] == "bad_method"
    load = httpx.post(f"{digits.url}/v2/repository/models/{MODEL}/load")
    assert refusal(load)["code"] == "not_served"


def test_the_older_protocol(digits: ModelServer, expected: dict[str, Any], mixed: ModelServer) -> None:
    right = expected["digits"]
    path = f"/v1/models/{MODEL}"
    assert httpx.get(digits.url + path).json() == {"name": MODEL, "ready": True}
    rows = httpx.post(f"{digits.url}{path}:predict", json={"instances": right["rows"]})
    assert rows.json() == {"predictions": right["outputs"]["digit"]}
    names = ("size", "price", "colour")
    objects = [dict(zip(names, row, strict=True)) for row in expected["mixed"]["rows"]]
    answer = httpx.post(f"{mixed.url}{path}:predict", json={"instances": objects})
    assert answer.json() == {"predictions": expected["mixed"]["outputs"]["predict"]}
    more = [row | {"more": 1} for row in objects]
    assert "'more'" in refusal(httpx.post(f"{mixed.url}{path}:predict", json={"instances": more}))["message"]
    for bad in ({"instances": []}, {"instances": [1, [2]]}, [], {"instances": [{"size": "a"}]}):
        refusal(httpx.post(f"{mixed.url}{path}:predict", json=bad))


def test_metrics_count_what_happened(server: Start) -> None:
    own = server("serve-sklearn", "iris_skops")
    own.start()
    for _ in range(3):
        outputs(own.ask(matrix([[1.0, 2.0, 3.0, 4.0]] * 2)))
    refusal(own.ask())
    lines = httpx.get(f"{own.url}/metrics").text.splitlines()
    labels = f'model="{MODEL}",version="1"'
    assert f'atelier_serve_requests_total{{{labels},code="200"}} 3' in lines
    assert f'atelier_serve_requests_total{{{labels},code="400"}} 1' in lines
    assert f"atelier_serve_errors_total{{{labels}}} 1" in lines
    assert f"atelier_serve_rows_total{{{labels}}} 6" in lines
    assert f'atelier_serve_request_seconds_bucket{{{labels},le="+Inf"}} 3' in lines
    assert f"atelier_serve_request_seconds_count{{{labels}}} 3" in lines
    loaded = next(line for line in lines if line.startswith("atelier_serve_model_load_seconds{"))
    assert float(loaded.rpartition(" ")[2]) > 0


def test_requests_have_a_limit(server: Start) -> None:
    small = server("serve-sklearn", "iris_skops", "--max-request-bytes", "5000")
    small.start()
    row = [1.0, 2.0, 3.0, 4.0]
    assert outputs(small.ask(matrix([row])))
    assert refusal(small.ask(matrix([row] * 500)), 413)["code"] == "too_large"
    packed = gzip.compress(json.dumps({"inputs": [matrix([row] * 500)]}).encode())
    assert len(packed) < 5000
    bomb = httpx.post(small.infer_url, content=packed, headers={"Content-Encoding": "gzip"})
    assert refusal(bomb, 413)["code"] == "too_large"
    chunks = iter([b'{"inputs": ['] + [b" " * 1000] * 20)
    assert refusal(httpx.post(small.infer_url, content=chunks), 413)["code"] == "too_large"
    assert outputs(small.ask(matrix([row])))
