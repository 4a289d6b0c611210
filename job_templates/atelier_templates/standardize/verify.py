"""What must be true after the digits were standardized."""

import csv
import json
from pathlib import Path
from statistics import fmean, pstdev


def verify(outputs: Path, results: Path) -> None:
    """The train part has mean 0 and deviation 1, the test part does not quite, and the digits are untouched."""
    parts = {}
    for name in ("train", "test"):
        with (outputs / name / "data.csv").open(newline="") as stream:
            parts[name] = list(csv.DictReader(stream))
    learnt = json.loads((outputs / "scaler").read_text())["columns"]
    assert "digit" not in learnt, "the label was scaled"
    assert {row["digit"] for row in parts["train"]} == set("0123456789"), "the labels have changed"
    for column, rule in learnt.items():
        values = [float(row[column]) for row in parts["train"]]
        assert abs(fmean(values)) < 1e-9, f"the mean of {column} is {fmean(values)}"
        if rule["width"] != 1.0:
            assert abs(pstdev(values) - 1) < 1e-9, f"the deviation of {column} is {pstdev(values)}"
    means = [abs(fmean(float(row[column]) for row in parts["test"])) for column in learnt]
    assert max(means) > 1e-3, "the test part was scaled by itself and not by what the train part taught"
    assert (results / "scaler.csv").is_file(), "the table of what was learnt is missing"
