"""What must be true after a training on the digits."""

import json
from pathlib import Path


def verify(outputs: Path, results: Path) -> None:
    """There is a model of ten digits and 64 columns that knows its training rows."""
    about = json.loads((outputs / "model" / "model.json").read_text())
    assert about["algorithm"] == "naive-bayes", f"the algorithm is {about['algorithm']!r}"
    assert about["task"] == "classification", f"the task is {about['task']!r}"
    assert about["classes"] == list(range(10)), f"the classes are {about['classes']}"
    assert len(about["numbers"]) == 64, f"{len(about['numbers'])} columns instead of 64"
    assert (outputs / "model" / "model.pkl").stat().st_size > 1000, "the model is empty"
    score = json.loads((outputs / "outputs.json").read_text())["train_score"]
    assert 0.75 < score <= 1, f"the accuracy on the training rows is {score}"
    views = json.loads((results / "metric.json").read_text())
    assert views[0]["metrics"]["train_accuracy"] == score, "the view and the value differ"
