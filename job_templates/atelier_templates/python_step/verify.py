"""What must be true after the zeros and ones were picked."""

import csv
from pathlib import Path


def verify(outputs: Path, results: Path) -> None:
    """Only they are left, and all of them."""
    with (outputs / "data").open(newline="") as stream:
        digits = [row["digit"] for row in csv.DictReader(stream)]
    assert set(digits) == {"0", "1"}, f"the digits are {sorted(set(digits))}"
    assert len(digits) == 360, f"{len(digits)} rows instead of 360"
