"""The demo project in a person's folder: there at the first login, and never over what they changed."""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from pathlib import Path

from atelier_core.errors import Invalid
from atelier_server.local.files import inside
from atelier_server.settings import Settings
from atelier_templates.demos import DIGITS

FOLDER = "atelier-demo"
_MARK = ".atelier/demo"  # that it was copied, so that it does not come back to whoever removed it
_LEFT_OUT = frozenset({"__pycache__", ".ipynb_checkpoints"})


def copy_demo(platform: Settings) -> str:
    """Copy what is missing of the demo; returns the pipeline's path as Lab writes it."""
    target = inside(platform, FOLDER)
    assert platform.root is not None
    if target.exists() and not target.is_dir():
        raise Invalid(f"There is a file called {FOLDER} where the demo should be.", hint="Rename or move it.")
    try:
        for file in sorted(DIGITS.rglob("*")):
            if file.is_file() and not _LEFT_OUT & set(file.parts):
                _copy(file, inside(platform, f"{FOLDER}/{file.relative_to(DIGITS).as_posix()}"))
    except OSError as error:
        message = f"The demo cannot be copied: {error.strerror or error}."
        raise Invalid(message, code="not_copied", hint="Make room or change the folder's permissions.") from None
    name = next(DIGITS.glob("*.pipeline")).name
    return (target / name).relative_to(platform.root.resolve()).as_posix()


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


def copy_once(platform: Settings, log: logging.Logger) -> None:
    """At the first start of a person's server; a server without its demo is still a server."""
    if platform.root is None:
        return
    mark = platform.root / _MARK
    if mark.exists():
        return
    try:
        copy_demo(platform)
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except Exception as error:  # whatever is wrong with the folder, the server must start
        log.warning("The demo project was not copied: %s", error)
