"""The demo project in a person's folder: there at the first login, and never over what they changed."""

from __future__ import annotations

import logging

from atelier_core.errors import Invalid
from atelier_server.local.files import inside
from atelier_server.settings import Settings
from atelier_templates import demo_project

FOLDER = "atelier-demo"
_MARK = ".atelier/demo"  # that it was copied, so that it does not come back to whoever removed it


def copy_demo(platform: Settings) -> str:
    """Copy what is missing of the demo; returns the pipeline's path as Lab writes it."""
    target = inside(platform, FOLDER)
    assert platform.root is not None
    if target.exists() and not target.is_dir():
        raise Invalid(f"There is a file called {FOLDER} where the demo should be.", hint="Rename or move it.")
    try:
        pipeline = demo_project.copy_demo(target)
    except OSError as error:
        message = f"The demo cannot be copied: {error.strerror or error}."
        raise Invalid(message, code="not_copied", hint="Make room or change the folder's permissions.") from None
    return pipeline.relative_to(platform.root.resolve()).as_posix()


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
