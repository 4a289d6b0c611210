"""What must be true after two models were tested on the digits."""

import csv
import json
from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n"


def verify(outputs: Path, results: Path) -> None:
    """Both models are good, the confusion matrices explain the accuracy, and every view has its file."""
    report = json.loads((outputs / "metrics").read_text())
    values = json.loads((outputs / "outputs.json").read_text())
    assert sorted(report["models"]) == ["logistic-regression", "random-forest"], f"models: {sorted(report['models'])}"
    for number, (name, measured) in enumerate(report["models"].items(), 1):
        assert 0.9 < measured["accuracy"] <= 1, f"the accuracy of {name} is {measured['accuracy']}"
        with (results / f"confusion-{number}.csv").open(newline="") as stream:
            matrix = [[int(cell) for cell in row[1:]] for row in list(csv.reader(stream))[1:]]
        assert sum(map(sum, matrix)) == report["rows"], f"the confusion matrix of {name} does not count every row"
        right = sum(row[index] for index, row in enumerate(matrix))
        explained = right / report["rows"]
        assert abs(explained - measured["accuracy"]) < 1e-12, f"the confusion matrix of {name} says {explained}"
        assert (results / f"confusion-{number}.png").read_bytes().startswith(PNG), f"no picture of {name}"
    best = max(report["models"], key=lambda one: report["models"][one]["macro_f1"])
    assert values["best"] == report["best"] == best, f"the best model is {best}, not {values['best']}"
    assert values["accuracy"] == report["models"][best]["accuracy"], "the value `accuracy` is not the best model's"
    kinds = {view["metric_type"] for view in json.loads((results / "metric.json").read_text())}
    assert kinds == {"text", "table", "metrics", "image", "echarts"}, f"the views are {sorted(kinds)}"
