"""What must be true after a model of the digits was registered."""

import json
from pathlib import Path


def verify(outputs: Path, results: Path) -> None:
    """It has a number, and a reference of that number."""
    left = json.loads((outputs / "outputs.json").read_text())
    assert left["version"] >= 1, f"the version is {left['version']}"
    assert left["reference"] == f"models:/demo-digits/{left['version']}", f"the reference is {left['reference']}"
    views = json.loads((results / "metric.json").read_text())
    assert left["reference"] in views[0]["text"], "the view does not name it"
