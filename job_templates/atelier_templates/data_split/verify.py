"""What must be true after the digits were divided."""

import csv
from collections import Counter
from pathlib import Path


def verify(outputs: Path, results: Path) -> None:
    """All rows are there once, a quarter of them in the test part, the digits in the same shares."""
    parts = {}
    for name in ("train", "test"):
        with (outputs / name / "data.csv").open(newline="") as stream:
            parts[name] = list(csv.DictReader(stream))
    total = len(parts["train"]) + len(parts["test"])
    assert total == 1797, f"{total} rows instead of 1797"
    assert abs(len(parts["test"]) / total - 0.25) < 0.001, f"{len(parts['test'])} test rows are not a quarter"
    counts = {name: Counter(row["digit"] for row in rows) for name, rows in parts.items()}
    for digit in "0123456789":
        share = counts["test"][digit] / (counts["test"][digit] + counts["train"][digit])
        assert abs(share - 0.25) < 0.01, f"{share:.3f} of the digit {digit} is in the test part"
    assert (results / "classes.csv").is_file(), "the table of classes is missing"
