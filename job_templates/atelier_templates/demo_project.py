"""The demo project as files of whoever wants it."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from atelier_templates.demos import DIGITS

_LEFT_OUT = frozenset({"__pycache__", ".ipynb_checkpoints"})


def copy_demo(target: Path) -> Path:
    """Copy what is missing of it; files that are there stay as they are. Returns the pipeline."""
    for file in sorted(DIGITS.rglob("*")):
        if file.is_file() and not _LEFT_OUT & set(file.parts):
            _copy(file, target / file.relative_to(DIGITS))
    return target / next(DIGITS.glob("*.pipeline")).name


def _copy(source: Path, target: Path) -> None:
    """All of the file or nothing, and only if there is none of this name."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.new-{uuid.uuid4().hex}")
    try:
        shutil.copyfile(source, fresh)
        os.link(fresh, target)
    except FileExistsError:
        pass  # somebody else made it meanwhile
    finally:
        fresh.unlink(missing_ok=True)
