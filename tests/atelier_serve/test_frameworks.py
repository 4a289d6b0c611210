"""Every framework, as its files come: what the server answers is what the model itself said when it was made."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest

from tests.atelier_serve.conftest import Start
from tests.atelier_serve.model_server import MODEL, ModelServer, matrix, outputs, tensor

MODELS = {
    "digits": "serve-sklearn",
    "logistic": "serve-sklearn",
    "iris_skops": "serve-sklearn",
    "iris_cloudpickle": "serve-sklearn",
    "joblib_file": "serve-sklearn",
    "pkl_file": "serve-sklearn",
    "xgboost_classifier": "serve-xgboost",
    "ubj_file": "serve-xgboost",
    "ubj_regressor": "serve-xgboost",
    "lightgbm_classifier": "serve-lightgbm",
    "lightgbm_file": "serve-lightgbm",
    "onnx_columns": "serve-onnx",
}


def _same(answer: httpx.Response, right: dict[str, Any]) -> None:
    found = outputs(answer)
    assert set(found) == set(right)
    for name, values in right.items():
        got = np.array(found[name]["data"]).reshape(found[name]["shape"])
        assert got.shape == np.shape(values)
        np.testing.assert_allclose(got, np.array(values), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_rows_as_one_matrix(shared: Start, expected: dict[str, Any], model: str) -> None:
    server, right = shared(MODELS[model], model), expected[model]
    _same(server.ask(matrix(right["rows"])), right["outputs"])


@pytest.mark.parametrize("model", ["digits", "logistic", "xgboost_classifier", "lightgbm_classifier", "onnx_columns"])
def test_one_tensor_for_each_column(shared: Start, expected: dict[str, Any], model: str) -> None:
    server, right = shared(MODELS[model], model), expected[model]
    rows = right["rows"]
    columns = [
        tensor(name, "FP64", [len(rows), 1], [row[at] for row in rows]) for at, name in enumerate(right["columns"])
    ]
    _same(server.ask(*reversed(columns)), right["outputs"])


def test_onnx_takes_its_own_names_and_types(shared: Start, expected: dict[str, Any]) -> None:
    for model in ("onnx_file", "onnx_plain"):
        _own_names(shared("serve-onnx", model), expected[model])


def _own_names(server: ModelServer, right: dict[str, Any]) -> None:
    described = httpx.get(f"{server.url}/v2/models/{MODEL}").json()
    assert described["platform"] == "onnxruntime_onnx"
    assert described["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 4]}]
    _same(server.ask(matrix(right["rows"], "X")), right["outputs"])


@pytest.mark.parametrize("model", ["digits", "xgboost_classifier", "ubj_regressor", "lightgbm_file", "iris_skops"])
def test_metadata_tell_what_answers_are(shared: Start, expected: dict[str, Any], model: str) -> None:
    server = shared(MODELS[model], model)
    described = httpx.get(f"{server.url}/v2/models/{MODEL}").json()
    answer = outputs(server.ask(matrix(expected[model]["rows"])))
    for one in described["outputs"]:
        found = answer[one["name"]]
        assert found["datatype"] == one["datatype"]
        assert len(found["shape"]) == len(one["shape"])
        assert all(want in (-1, size) for size, want in zip(found["shape"], one["shape"], strict=True))


def test_columns_of_numbers_and_texts(mixed: Any, expected: dict[str, Any]) -> None:
    right = expected["mixed"]
    sizes, prices, colours = (list(column) for column in zip(*right["rows"], strict=True))
    found = outputs(
        mixed.ask(
            tensor("size", "INT64", [4], sizes),
            tensor("price", "FP64", [4, 1], prices),
            tensor("colour", "BYTES", [4, 1], colours),
        )
    )
    assert found["predict"] == {
        "name": "predict",
        "shape": [4],
        "datatype": "BYTES",
        "data": right["outputs"]["predict"],
    }
    np.testing.assert_allclose(
        np.array(found["predict_proba"]["data"]).reshape(4, 2), right["outputs"]["predict_proba"]
    )
