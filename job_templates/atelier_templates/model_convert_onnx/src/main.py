"""Turns a model into ONNX and checks that both say the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import convert
import model_folder
import numpy as np
import onnx
import pandas as pd
import step
import tabular

ROUNDING = 1e-3
PROVIDERS = ["CUDAExecutionProvider", "CPUExecutionProvider"]


def main() -> None:
    """Convert, compare, store."""
    given = step.parameters()
    source = step.needed("model")
    model = model_folder.load(source)
    if model.about["framework"] == "onnx":
        step.fail("The model is ONNX already.")
    rows = sample_of(source, model)
    graph = convert.to_onnx(source, model)
    store(source, model, graph, rows)
    compare(model, rows, given["tolerance"])


def sample_of(folder: Path, model: model_folder.Model) -> pd.DataFrame:
    """The rows on which both are compared."""
    texts = dict.fromkeys(model.about["texts"], str)
    dataset = tabular.Dataset(tabular.read_csv(folder / "training_sample.csv", ",", [""], dtype=texts), "")
    return model_folder.features(dataset, model.about)


def store(source: Path, model: model_folder.Model, graph: Any, rows: pd.DataFrame) -> None:
    """A model folder like the first one, with the graph in it."""
    folder = step.output_path("model")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    indexes = model.about["framework"] in ("xgboost", "lightgbm") and model.about["classes"]
    about = {**model.about, "framework": "onnx", "version": onnx.__version__, "from": model.about["framework"]}
    about["answers"] = "indexes" if indexes else "as they are"
    settings = {"data": "model.onnx", "onnx_version": onnx.__version__, "onnx_session_options": None}
    flavor = model_folder.Flavor("onnx", "model.onnx", settings | {"providers": PROVIDERS}, ("onnx", "onnxruntime"))
    answer = model.predict(rows.head(1))
    model_folder.write(folder, flavor, about, rows, np.zeros(1, dtype="int64") if indexes else answer)
    shutil.copy(source / "training_sample.csv", folder / "training_sample.csv")


def compare(model: model_folder.Model, rows: pd.DataFrame, tolerance: float) -> None:
    """Ask both about the sample; too many differences end the step."""
    converted = model_folder.load(step.output_path("model"))
    before, after = np.asarray(model.predict(rows)).ravel(), np.asarray(converted.predict(rows)).ravel()
    number = model.about["task"] == tabular.REGRESSION
    if number:
        off = np.abs(before - after) / np.maximum(np.abs(before), 1)
        same, farthest = off <= ROUNDING, float(np.max(off))
    else:
        same, farthest = before == after, 0.0
    agreement = float(same.mean())
    if not number and model.scores is not None and converted.scores is not None:
        farthest = float(np.abs(model.scores(rows) - converted.scores(rows))[same].max(initial=0.0))
    if 1 - agreement > tolerance:
        row = int(np.argmin(same))
        step.fail(f"The converted model says something else to {int((~same).sum())} of {len(rows)} rows, for example "
                  f"{after[row]} in place of {before[row]} to row {row + 1} of the training sample.")  # fmt: skip
    step.write_values({"agreement": agreement})
    views = step.Views()
    views.metrics("Agreement on the training sample", {"agreement": agreement, "largest difference": farthest})
    views.write()
    print(f"{model.about['algorithm']} as ONNX: {agreement:.4f} of {len(rows)} rows agree, largest other difference "
          f"{farthest:.2g}.")  # fmt: skip


main()
