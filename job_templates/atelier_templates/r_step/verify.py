"""What must be true after R took the means of the digits."""

import csv
from pathlib import Path


def verify(outputs: Path, results: Path) -> None:
    """A mean for each digit, as it is in the data."""
    with (outputs / "data").open(newline="") as stream:
        means = {row["digit"]: float(row["pixel_2_4"]) for row in csv.DictReader(stream)}
    assert sorted(means) == list("0123456789"), f"the digits are {sorted(means)}"
    zero = means["0"]
    assert abs(zero - 2.101124) < 1e-5, f"the mean of 0 is {zero}"
