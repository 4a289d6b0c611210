"""What must be true after the first lines were copied."""

from pathlib import Path


def verify(outputs: Path, results: Path) -> None:
    """The header and two rows."""
    lines = (outputs / "data").read_text().splitlines()
    assert len(lines) == 3, f"{len(lines)} lines instead of 3"
    assert lines[0].endswith(",digit"), "the first line is not the header"
