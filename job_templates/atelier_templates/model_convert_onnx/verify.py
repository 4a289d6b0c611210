"""What must be true after a forest of the digits was converted."""

import json
from pathlib import Path


def verify(outputs: Path, results: Path) -> None:
    """There is an ONNX model of the same classes and columns that says the same as the forest."""
    model = outputs / "model"
    about = json.loads((model / "model.json").read_text())
    assert (about["framework"], about["from"]) == ("onnx", "sklearn"), f"it is {about['framework']}"
    assert about["algorithm"] == "random-forest", f"the algorithm is {about['algorithm']!r}"
    assert about["classes"] == list(range(10)), f"the classes are {about['classes']}"
    assert "  onnx:\n" in (model / "MLmodel").read_text(), "MLmodel does not name ONNX"
    assert (model / "model.onnx").stat().st_size > 10_000, "the graph is empty"
    agreement = json.loads((outputs / "outputs.json").read_text())["agreement"]
    assert 0.99 <= agreement <= 1, f"only {agreement} of the rows agree"
    views = json.loads((results / "metric.json").read_text())
    assert views[0]["metrics"]["agreement"] == agreement, "the view and the value differ"
