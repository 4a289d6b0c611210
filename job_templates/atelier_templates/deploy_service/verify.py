"""What must be true after a model of the digits was deployed."""

import json
from pathlib import Path


def verify(outputs: Path, results: Path) -> None:
    """It has a revision and a URL with its name."""
    left = json.loads((outputs / "outputs.json").read_text())
    assert left["revision"] >= 1, f"the revision is {left['revision']}"
    assert "/demo-digits" in left["url"], f"the URL is {left['url']}"
    views = json.loads((results / "metric.json").read_text())
    assert "running" in views[0]["text"], "the service does not run"
