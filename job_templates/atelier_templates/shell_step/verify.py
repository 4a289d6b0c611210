"""What must be true after the lines were counted."""

from pathlib import Path


def verify(outputs: Path, results: Path) -> None:
    """The header and 1,797 rows."""
    counted = (outputs / "data").read_text().strip()
    assert counted == "1798", f"{counted} lines instead of 1798"
