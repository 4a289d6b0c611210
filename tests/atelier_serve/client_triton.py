"""Triton's client for HTTP as it is used: binary tensors both ways unless told otherwise."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

digits_url, mixed_url, model, given = sys.argv[1:]
known = json.loads(Path(given).read_text())
rows = np.array(known["digits"]["rows"])
digits = triton.InferenceServerClient(digits_url)
mixed = triton.InferenceServerClient(mixed_url)


def tensor(name: str, array: np.ndarray, datatype: str, **options: Any) -> triton.InferInput:
    """An input as its documentation makes it."""
    found = triton.InferInput(name, list(array.shape), datatype)
    found.set_data_from_numpy(array, **options)
    return found


def refusal(ask: Any) -> str:
    """What the client raises."""
    try:
        ask()
    except InferenceServerException as error:
        return str(error)
    return ""


answer = digits.infer(model, [tensor("rows", rows, "FP64")])
as_json = digits.infer(
    model,
    [tensor("rows", rows, "FP64", binary_data=False)],
    outputs=[triton.InferRequestedOutput("digit", binary_data=False)],
    request_id="one",
)
assert as_json.get_response()["id"] == "one"
packed = digits.infer(
    model, [tensor("rows", rows, "FP64")], request_compression_algorithm="gzip", response_compression_algorithm="gzip"
)
columns = [np.array(column) for column in zip(*known["mixed"]["rows"], strict=True)]
texts = mixed.infer(
    model,
    [
        tensor("size", columns[0].astype("i8"), "INT64"),
        tensor("price", columns[1].astype("f8"), "FP64"),
        tensor("colour", columns[2].astype(object), "BYTES"),
    ],
)
config = digits.get_model_config(model)
index = digits.get_model_repository_index()[0]
statistics = digits.get_inference_statistics(model)["model_stats"][0]["inference_stats"]
print(
    json.dumps(
        {
            "digit": answer.as_numpy("digit").tolist(),
            "predict_proba": answer.as_numpy("predict_proba").tolist(),
            "digit_json": as_json.as_numpy("digit").tolist(),
            "digit_gzip": packed.as_numpy("digit").tolist(),
            "colours": [text.decode() for text in texts.as_numpy("predict")],
            "live": digits.is_server_live(),
            "ready": digits.is_server_ready(),
            "model_ready": digits.is_model_ready(model, "1"),
            "other_ready": digits.is_model_ready("other"),
            "inputs": len(digits.get_model_metadata(model)["inputs"]),
            "config": [config["name"], config["input"][0]["data_type"]],
            "index": [index["name"], index["state"]],
            "succeeded": statistics["success"]["count"],
            "refused": refusal(lambda: digits.infer(model, [tensor("rows", rows[:, :3], "FP64")])),
            "load_refused": refusal(lambda: digits.load_model(model)),
        }
    )
)
