"""What must be true after the digits were grouped."""

import csv
import json
from collections import Counter
from pathlib import Path


def verify(outputs: Path, results: Path) -> None:
    """There are ten groups, each mostly of one digit, and the model knows nothing of the label."""
    about = json.loads((outputs / "model" / "model.json").read_text())
    assert about["task"] == "clustering", f"the task is {about['task']!r}"
    assert "digit" not in about["numbers"], "the label was used"
    with (outputs / "groups" / "data.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    groups: dict[str, Counter[str]] = {}
    for row in rows:
        groups.setdefault(row["group"], Counter())[row["digit"]] += 1
    assert len(groups) == 10, f"{len(groups)} groups instead of 10"
    pure = sum(counts.most_common(1)[0][1] for counts in groups.values()) / len(rows)
    assert pure > 0.6, f"only {pure:.2f} of the rows are in a group of their digit"
    silhouette = json.loads((outputs / "outputs.json").read_text())["silhouette"]
    assert 0.05 < silhouette < 1, f"the silhouette is {silhouette}"
    assert (results / "groups.csv").is_file(), "the table of groups is missing"
