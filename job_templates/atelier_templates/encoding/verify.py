"""What must be true after the shoppers' texts were encoded."""

import csv
import json
from pathlib import Path


def verify(outputs: Path, results: Path) -> None:
    """Every text became one column with a 1, and only the label is still a text."""
    learnt = json.loads((outputs / "encoder").read_text())["columns"]
    assert sorted(learnt) == ["city", "plan"], f"encoded were {sorted(learnt)}"
    for part in ("train", "test"):
        with (outputs / part / "data.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert rows, f"the {part} part is empty"
        assert {row["bought"] for row in rows} == {"yes", "no"}, "the label was changed"
        for name, rule in learnt.items():
            for row in rows:
                ones = [one for one in rule["categories"] if row[f"{name}={one}"] == "1"]
                assert len(ones) == 1, f"a row of the {part} part is of {len(ones)} categories of {name}"
        if part == "train":
            share = sum(row["plan=basic"] == "1" for row in rows) / len(rows)
            wanted = learnt["plan"]["categories"]["basic"]
            assert abs(share - wanted) < 1e-12, f"{share} of the rows are basic, not {wanted}"
    assert (results / "categories.csv").is_file(), "the table of categories is missing"
