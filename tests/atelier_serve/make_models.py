"""Run by the makers' Python: trains small models and writes each as its framework, MLflow or Atelier's trainers do.

`python make_models.py FOLDER` leaves one folder for each model and `expected.json`: rows and what is right for them.
"""

from __future__ import annotations

import json
import pickle
import sys
import textwrap
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import mlflow.lightgbm
import mlflow.onnx
import mlflow.pyfunc
import mlflow.sklearn
import mlflow.xgboost
import numpy as np
import pandas as pd
import sklearn
import xgboost
import yaml
from mlflow.models import infer_signature
from skl2onnx import to_onnx
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

ROOT = Path(sys.argv[1])
EXPECTED: dict[str, Any] = {}
DIGITS = load_digits(as_frame=True)
PIXELS, LABELS = DIGITS.data, DIGITS.target
IRIS, SPECIES = load_iris(return_X_y=True)
ROWS = 5
# Else MLflow looks for them in a process of its own, for half a minute each.
NOTHING = {"pip_requirements": ["numpy"]}


def mlmodel(folder: Path, flavors: dict[str, Any], signature: Any) -> None:
    """What Atelier's trainers write, without MLflow."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {"flavors": flavors, "signature": signature.to_dict(), "model_uuid": "0" * 32}
    (folder / "MLmodel").write_text(yaml.safe_dump(document))


def pickled(folder: Path, model: Any, signature: Any) -> None:
    """A pickle in a model folder."""
    flavor = {"pickled_model": "model.pkl", "sklearn_version": sklearn.__version__, "serialization_format": "pickle"}
    python = {"loader_module": "mlflow.sklearn", "model_path": "model.pkl", "predict_fn": "predict"}
    mlmodel(folder, {"python_function": python, "sklearn": flavor}, signature)
    (folder / "model.pkl").write_bytes(pickle.dumps(model))


def expect(name: str, rows: Any, **outputs: Any) -> None:
    """What must come out of the server for these rows."""
    columns = list(rows.columns) if hasattr(rows, "columns") else None
    values = rows.to_numpy().tolist() if columns else np.asarray(rows).tolist()
    found = {key: np.asarray(value).tolist() for key, value in outputs.items()}
    EXPECTED[name] = {"columns": columns, "rows": values, "outputs": found}


def digits() -> None:
    """The main example: 64 columns, a pipeline over their names."""
    forest = RandomForestClassifier(n_estimators=20, random_state=0)
    model = make_pipeline(ColumnTransformer([("numbers", "passthrough", list(PIXELS.columns))]), forest)
    model.fit(PIXELS, LABELS)
    signature = infer_signature(PIXELS, pd.DataFrame({"digit": LABELS}))
    rows = PIXELS[:ROWS]
    pickled(ROOT / "digits", model, signature)
    about = {"framework": "scikit-learn", "version": sklearn.__version__, "label": "digit"}
    (ROOT / "digits" / "model.json").write_text(json.dumps(about))
    expect("digits", rows, digit=model.predict(rows), predict_proba=model.predict_proba(rows))
    logistic = LogisticRegression(max_iter=200).fit(PIXELS / 16, LABELS)
    pickled(ROOT / "logistic", logistic, infer_signature(PIXELS / 16))
    expect("logistic", rows / 16, predict=logistic.predict(rows / 16), predict_proba=logistic.predict_proba(rows / 16))


def by_mlflow() -> None:
    """As a notebook logs them."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)).fit(IRIS, SPECIES)
    signature = infer_signature(IRIS, model.predict(IRIS))
    mlflow.sklearn.save_model(model, str(ROOT / "iris_skops"), signature=signature, **NOTHING)
    mlflow.sklearn.save_model(
        model, str(ROOT / "iris_cloudpickle"), signature=signature, serialization_format="cloudpickle", **NOTHING
    )
    for name in ("iris_skops", "iris_cloudpickle"):
        expect(name, IRIS[:ROWS], predict=model.predict(IRIS[:ROWS]), predict_proba=model.predict_proba(IRIS[:ROWS]))
    boosted = xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(PIXELS, LABELS)
    columns = infer_signature(PIXELS, LABELS.to_numpy())
    mlflow.xgboost.save_model(boosted, str(ROOT / "xgboost_classifier"), signature=columns, **NOTHING)
    rows = PIXELS[:ROWS]
    expect("xgboost_classifier", rows, predict=boosted.predict(rows), predict_proba=boosted.predict_proba(rows))
    light = lightgbm.LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1).fit(PIXELS, LABELS)
    mlflow.lightgbm.save_model(light, str(ROOT / "lightgbm_classifier"), signature=columns, **NOTHING)
    expect("lightgbm_classifier", rows, predict=light.predict(rows), predict_proba=light.predict_proba(rows))
    onnx = to_onnx(model, IRIS[:1].astype(np.float32), options={id(model): {"zipmap": False}}, target_opset=17)
    table = pd.DataFrame(IRIS[:ROWS], columns=["a", "b", "c", "d"])
    mlflow.onnx.save_model(onnx, str(ROOT / "onnx_columns"), signature=infer_signature(table), **NOTHING)
    expect("onnx_columns", table, label=model.predict(IRIS[:ROWS]), probabilities=model.predict_proba(IRIS[:ROWS]))


class Shout(mlflow.pyfunc.PythonModel):
    """No framework at all."""

    def predict(self, context: Any, model_input: list[str]) -> list[str]:
        return [text.upper() for text in model_input]


def custom() -> None:
    """MLflow's python_function with code of its own."""
    mlflow.pyfunc.save_model(str(ROOT / "pyfunc"), python_model=Shout(), **NOTHING)


def bare() -> None:
    """A file in a folder and nothing else."""
    model = LogisticRegression(max_iter=500).fit(IRIS, SPECIES)
    rows = IRIS[:ROWS]
    for name in ("joblib_file", "onnx_file", "onnx_plain", "ubj_file", "ubj_regressor", "lightgbm_file", "pkl_file"):
        (ROOT / name).mkdir()
    joblib.dump(model, ROOT / "joblib_file" / "model.joblib", compress=3)
    (ROOT / "pkl_file" / "iris.pkl").write_bytes(pickle.dumps(model))
    for name in ("joblib_file", "pkl_file"):
        expect(name, rows, predict=model.predict(rows), predict_proba=model.predict_proba(rows))
    onnx = to_onnx(model, IRIS[:1].astype(np.float32), target_opset=17)
    (ROOT / "onnx_file" / "model.onnx").write_bytes(onnx.SerializeToString())
    expect("onnx_file", rows, output_label=model.predict(rows), output_probability=model.predict_proba(rows))
    plain = to_onnx(model, IRIS[:1].astype(np.float32), options={id(model): {"zipmap": False}}, target_opset=17)
    (ROOT / "onnx_plain" / "model.onnx").write_bytes(plain.SerializeToString())
    expect("onnx_plain", rows, label=model.predict(rows), probabilities=model.predict_proba(rows))
    booster = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(IRIS, label=SPECIES == 0), 5)
    booster.save_model(ROOT / "ubj_file" / "model.ubj")
    expect("ubj_file", rows, predict=booster.predict(xgboost.DMatrix(rows)))
    regressor = xgboost.XGBRegressor(n_estimators=5).fit(IRIS, IRIS[:, 0])
    regressor.save_model(ROOT / "ubj_regressor" / "model.ubj")
    expect("ubj_regressor", rows, predict=regressor.predict(rows))
    light = lightgbm.train(
        {"objective": "multiclass", "num_class": 3, "verbose": -1}, lightgbm.Dataset(IRIS, SPECIES), 5
    )
    light.save_model(ROOT / "lightgbm_file" / "model.txt")
    (ROOT / "lightgbm_file" / "requirements.txt").write_text("lightgbm\n")
    expect("lightgbm_file", rows, predict=light.predict(rows))


def mixed() -> None:
    """Numbers and texts; classes with names; a column that may be missing."""
    table = pd.DataFrame(
        {"size": [1, 2, 3, 4], "price": [0.5, 1.5, 2.5, 3.5], "colour": ["red", "blue", "red", "grün"]}
    )
    parts = [("numbers", "passthrough", ["size", "price"]), ("texts", OneHotEncoder(), ["colour"])]
    model = make_pipeline(ColumnTransformer(parts), LogisticRegression())
    model.fit(table, ["cheap", "cheap", "dear", "dear"])
    pickled(ROOT / "mixed", model, infer_signature(table, pd.Series(["cheap"])))
    expect("mixed", table, predict=model.predict(table), predict_proba=model.predict_proba(table))


def with_code() -> None:
    """An estimator whose class is in the folder: sleeps as long as its input says, fails on negative ones."""
    code = ROOT / "sleeper" / "code"
    code.mkdir(parents=True)
    (code / "sleeper.py").write_text(
        textwrap.dedent("""\
        import time
        import numpy as np

        class Sleeper:
            n_features_in_ = 1
            def predict(self, given):
                if given.min() < 0:
                    raise RuntimeError("a secret of the model")
                if given.min() > 100:
                    raise ValueError("nobody sleeps that long")
                time.sleep(float(given.sum()))
                return np.asarray(given).sum(axis=1)
        """)
    )
    sys.path.insert(0, str(code))
    from sleeper import Sleeper

    pickled(ROOT / "sleeper", Sleeper(), infer_signature(np.zeros((1, 1))))
    document = yaml.safe_load((ROOT / "sleeper" / "MLmodel").read_text())
    document["flavors"]["sklearn"]["code"] = "code"
    (ROOT / "sleeper" / "MLmodel").write_text(yaml.safe_dump(document))


def broken() -> None:
    """What cannot be loaded, each for another reason."""
    for name in ("empty", "two", "garbage", "weights", "outside"):
        (ROOT / name).mkdir()
    line = LinearRegression().fit(IRIS, SPECIES)
    (ROOT / "two" / "a.pkl").write_bytes(pickle.dumps(line))
    (ROOT / "two" / "b.pkl").write_bytes(pickle.dumps(line))
    (ROOT / "garbage" / "model.pkl").write_bytes(b"\x80\x05nothing")
    (ROOT / "weights" / "model.pkl").write_bytes(pickle.dumps({"weights": [1, 2]}))
    pickled(ROOT / "old", line, infer_signature(IRIS))
    old = (ROOT / "old" / "MLmodel").read_text().replace(sklearn.__version__, "0.19.1")
    (ROOT / "old" / "MLmodel").write_text(old)
    # A module that only an old scikit-learn has.
    (ROOT / "old" / "model.pkl").write_bytes(b"\x80\x02csklearn.ensemble.forest\nRandomForestClassifier\nq\x00.")
    pickled(ROOT / "absent", line, infer_signature(IRIS))
    (ROOT / "absent" / "model.pkl").write_bytes(b"\x80\x02cnobody_has_this.module\nThing\nq\x00.")
    (ROOT / "other_flavor").mkdir()
    (ROOT / "other_flavor" / "MLmodel").write_text("flavors:\n  prophet: {data: model}\n")
    outside = yaml.safe_dump({"flavors": {"sklearn": {"pickled_model": "../two/a.pkl"}}})
    (ROOT / "outside" / "MLmodel").write_text(outside)


if __name__ == "__main__":
    for make in (digits, by_mlflow, custom, bare, mixed, with_code, broken):
        make()
    (ROOT / "expected.json").write_text(json.dumps(EXPECTED))
