"""What must be true after the digits were imported."""

import csv
import json
from pathlib import Path


def verify(outputs: Path, results: Path) -> None:
    """1,797 rows of 64 numbers and a digit, and a preview of them."""
    with (outputs / "data" / "data.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    about = json.loads((outputs / "data" / "dataset.json").read_text())
    assert len(rows) == 1797, f"{len(rows)} rows instead of 1797"
    assert about["label"] == "digit", f"the label is {about['label']!r}"
    assert len(rows[0]) == 65, f"{len(rows[0])} columns instead of 65"
    assert {row["digit"] for row in rows} == set("0123456789"), "not every digit is there"
    assert json.loads((outputs / "outputs.json").read_text()) == {"rows": 1797}, "the value `rows` is wrong"
    kinds = [view["metric_type"] for view in json.loads((results / "metric.json").read_text())]
    assert kinds == ["text", "table", "table"], f"the views are {kinds}"
