"""The platform's own templates with one more, for the programs that are started with it."""

from __future__ import annotations

from pathlib import Path

import atelier_templates

EVERY_CONTROL = Path(__file__).parent / "pipelines" / "every-control"


def templates_with(folder: Path, *more: Path) -> str:
    """Lay the built-in templates and `more` below `folder`; with it as PYTHONPATH, all of them are built in."""
    package = folder / atelier_templates.__name__
    package.mkdir(parents=True)
    for entry in [*Path(atelier_templates.__file__).parent.iterdir(), *more]:
        if entry.name != "__pycache__":
            (package / entry.name).symlink_to(entry)
    return str(folder)
