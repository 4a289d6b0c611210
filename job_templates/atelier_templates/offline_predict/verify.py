"""What must be true after a model was asked about the test digits."""

import csv
import json
from pathlib import Path


def verify(outputs: Path, results: Path) -> None:
    """Every row has an answer, the surest class is the answer, and most answers are right."""
    with (outputs / "predictions" / "data.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    counted = json.loads((outputs / "outputs.json").read_text())["rows"]
    assert len(rows) == counted == 450, f"{len(rows)} answers to 450 rows, and {counted} counted"
    for row in rows:
        shares = {digit: float(row[f"probability {digit}"]) for digit in "0123456789"}
        assert abs(sum(shares.values()) - 1) < 1e-6, f"the probabilities add up to {sum(shares.values())}"
        surest = max(shares, key=lambda digit: shares[digit])
        assert surest == row["prediction"], f"the answer is {row['prediction']}, the surest class {surest}"
    right = sum(row["prediction"] == row["digit"] for row in rows) / len(rows)
    assert right > 0.9, f"{right} of the answers are right"
    assert (results / "answers.csv").is_file(), "the table of answers is missing"
