"""What must be true after a training on the diabetes data."""

import json
from pathlib import Path


def verify(outputs: Path, results: Path) -> None:
    """There is a model of ten columns that explains about as much as such a model can."""
    about = json.loads((outputs / "model" / "model.json").read_text())
    assert about["algorithm"] == "linear-regression", f"the algorithm is {about['algorithm']!r}"
    assert about["task"] == "regression", f"the task is {about['task']!r}"
    assert about["classes"] == [], f"the classes are {about['classes']}"
    assert len(about["numbers"]) == 10, f"{len(about['numbers'])} columns instead of 10"
    assert (outputs / "model" / "model.pkl").stat().st_size > 300, "the model is empty"
    score = json.loads((outputs / "outputs.json").read_text())["train_score"]
    assert 0.4 < score < 0.65, f"R2 on the training rows is {score}"
    views = json.loads((results / "metric.json").read_text())
    assert views[0]["metrics"]["train_r2"] == score, "the view and the value differ"
