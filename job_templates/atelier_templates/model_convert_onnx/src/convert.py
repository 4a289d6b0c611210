"""The converters: skl2onnx for scikit-learn, onnxmltools for the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import model_folder
import step
import tabular


def to_onnx(folder: Path, model: model_folder.Model) -> Any:
    """The graph of a model; what the converters cannot do becomes a sentence."""
    converter = _CONVERTERS[model.about["framework"]]
    try:
        graph = converter(folder, model.about, model.native)
    except Exception as error:
        # The converters raise whatever their parts raise.
        name = type(error).__name__
        return step.fail(f"{model.about['algorithm']} cannot be converted to ONNX: {name}: {str(error)[:500]}")
    for output in graph.graph.output:
        # Some converters say that there is one answer, whatever the number of rows.
        shape = output.type.tensor_type.shape
        if shape.dim:
            shape.dim[0].dim_param = "rows"
    return graph


def _of_sklearn(folder: Path, about: dict[str, Any], native: Any) -> Any:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    types = [(name, FloatTensorType([None, 1])) for name in about["numbers"]]
    types += [(name, StringTensorType([None, 1])) for name in about["texts"]]
    if not about["texts"]:
        types = [("input", FloatTensorType([None, len(about["numbers"])]))]
    options = {"zipmap": False} if about["task"] == tabular.CLASSIFICATION else None
    return convert_sklearn(native, initial_types=types, options=options)


def _of_xgboost(folder: Path, about: dict[str, Any], native: Any) -> Any:
    import onnxmltools
    import xgboost

    model = xgboost.XGBClassifier() if about["classes"] else xgboost.XGBRegressor()
    model.load_model(folder / "model.ubj")
    model.get_booster().feature_names = [f"f{number}" for number in range(len(about["numbers"]))]
    return onnxmltools.convert_xgboost(model, initial_types=_matrix(about))


def _of_lightgbm(folder: Path, about: dict[str, Any], native: Any) -> Any:
    import lightgbm
    import onnxmltools

    booster = lightgbm.Booster(model_file=str(folder / "model.txt"))
    return onnxmltools.convert_lightgbm(booster, initial_types=_matrix(about), zipmap=False)


def _matrix(about: dict[str, Any]) -> list[tuple[str, Any]]:
    # onnxmltools has types of its own, which must not be mixed with those of skl2onnx.
    from onnxmltools.convert.common.data_types import FloatTensorType

    return [("input", FloatTensorType([None, len(about["numbers"])]))]


_CONVERTERS = {"sklearn": _of_sklearn, "xgboost": _of_xgboost, "lightgbm": _of_lightgbm}
