"""MLServer's own types and codecs on both sides of our HTTP."""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlserver.codecs import NumpyCodec, PandasCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse, MetadataModelResponse

digits_url, mixed_url, model, given = sys.argv[1:]
known = json.loads(Path(given).read_text())


def ask(url: str, request: InferenceRequest) -> InferenceResponse:
    """One request."""
    content = request.model_dump_json().encode()
    with urllib.request.urlopen(f"{url}/v2/models/{model}/infer", content, timeout=30) as answer:
        return InferenceResponse.model_validate_json(answer.read())


def output(response: InferenceResponse, name: str) -> Any:
    """One output of it."""
    return next(one for one in response.outputs if one.name == name)


rows = np.array(known["digits"]["rows"])
numbers = ask(digits_url, InferenceRequest(inputs=[NumpyCodec.encode_input("rows", rows)]))
table = pd.DataFrame(known["mixed"]["rows"], columns=known["mixed"]["columns"])
texts = ask(mixed_url, PandasCodec.encode_request(table))
with urllib.request.urlopen(f"{mixed_url}/v2/models/{model}", timeout=30) as described:
    metadata = MetadataModelResponse.model_validate_json(described.read())
print(
    json.dumps(
        {
            "numpy": NumpyCodec.decode_output(output(numbers, "digit")).ravel().tolist(),
            "pandas": StringCodec.decode_output(output(texts, "predict")),
            "metadata": [one.name for one in metadata.inputs or []],
        }
    )
)
