"""Runs with MLflow and without Atelier: reads model folders both ways and says what the models answer."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import yaml


def read(folder: Path) -> dict[str, Any]:
    """What MLflow makes of a folder, and what it would have written itself."""
    flavors = yaml.safe_load((folder / "MLmodel").read_text())["flavors"]
    [native] = [name for name in flavors if name != "python_function"]
    about = json.loads((folder / "model.json").read_text())
    rows = pd.read_csv(folder / "training_sample.csv", dtype=dict.fromkeys(about["texts"], str)).head(20)
    general = mlflow.pyfunc.load_model(str(folder))
    special = getattr(mlflow, native).load_model(str(folder))
    answers = general.predict(rows)
    if isinstance(answers, pd.DataFrame):
        answers = answers.iloc[:, 0]
    signature = general.metadata.signature
    inferred = mlflow.models.infer_signature(rows, np.asarray(answers))
    return {
        "flavor": native,
        "package": type(special).__module__.split(".")[0],
        "inputs": [[one.name, str(one.type), one.required] for one in signature.inputs.inputs],
        "inferred inputs": [[one.name, str(one.type), one.required] for one in inferred.inputs.inputs],
        "outputs": json.loads(signature.outputs.to_json()),
        "inferred outputs": json.loads(inferred.outputs.to_json()),
        "answers": np.asarray(answers).tolist(),
    }


print(json.dumps([read(Path(folder)) for folder in sys.argv[1:]]))
