"""What must be true after the gaps of the shoppers were filled."""

import csv
import json
from pathlib import Path


def verify(outputs: Path, results: Path) -> None:
    """No gap is left, what was missing is marked, and both parts were filled with what the train part taught."""
    learnt = json.loads((outputs / "filler").read_text())["columns"]
    assert {name for name, rule in learnt.items() if rule["missing"]} == {"age", "income", "city"}, "other gaps"
    assert "bought" not in learnt, "the label was filled"
    for part in ("train", "test"):
        with (outputs / part / "data.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert rows, f"the {part} part is empty"
        gaps = [name for row in rows for name, value in row.items() if value == ""]
        assert not gaps, f"the {part} part has gaps in {sorted(set(gaps))}"
        for name in ("age", "income"):
            filled = {float(row[name]) for row in rows if row[f"{name}_missing"] == "1"}
            assert filled == {learnt[name]["fill"]}, f"gaps of {name} in the {part} part were filled with {filled}"
        towns = {row["city"] for row in rows if row["city_missing"] == "1"}
        assert towns == {"missing"}, f"gaps of city in the {part} part were filled with {towns}"
    assert (results / "filler.csv").is_file(), "the table of what was learnt is missing"
