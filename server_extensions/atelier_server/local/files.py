"""Contents paths as files, and never a file outside the folder that Lab shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from atelier_core.errors import Forbidden, Invalid, NotFound
from atelier_server.settings import Settings

LONGEST = 1000  # characters of a path
LARGEST = 50 * 1024**2  # of a document or a notebook


def inside(platform: Settings, path: str) -> Path:
    """The file or folder at a path as Lab writes it; links are followed as long as they stay inside."""
    if platform.root is None:
        raise Invalid("This server's files are not in a folder of its machine.", hint="Use the server's own contents.")
    root = platform.root.resolve()
    try:
        if len(path) > LONGEST or any(len(part.encode()) > 255 for part in path.split("/")):
            raise ValueError("too long")
        found = (root / path.lstrip("/")).resolve()
    except (OSError, ValueError, RuntimeError):
        raise Invalid(
            f"{path[:100]!r} is not a path.", code="bad_path", hint="Use a path of the file browser."
        ) from None
    if not found.is_relative_to(root):
        raise Forbidden(
            f"{path!r} lies outside the folder that this server shows.",
            code="outside",
            hint="Copy it into your folder.",
        )
    return found


def existing(platform: Settings, path: str) -> Path:
    """A file that is there."""
    file = inside(platform, path)
    if not file.is_file():
        raise NotFound(f"There is no file {path!r}.", code="no_file", hint="Save it first, or correct the path.")
    return file


def read_text(file: Path) -> str:
    """A text file of reasonable size."""
    try:
        if file.stat().st_size > LARGEST:
            raise Invalid(f"{file.name} is larger than {LARGEST // 1024**2} MB.", hint="Keep data out of code files.")
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Invalid(f"{file.name} is not text.", code="not_text", hint="Choose another file.") from None
    except OSError as error:
        raise Invalid(f"{file.name} cannot be read: {error.strerror}.", hint="Change its permissions.") from None


def read_json(file: Path) -> Any:
    """A JSON file; a mistake is named with its place."""
    try:
        return json.loads(read_text(file))
    except json.JSONDecodeError as error:
        raise Invalid(
            f"{file.name} is damaged: line {error.lineno}, column {error.colno}: {error.msg}.",
            code="bad_json",
            hint="Mend that place in an editor, or take the last version from version control.",
        ) from None
    except RecursionError:
        raise Invalid(f"{file.name} is nested too deeply.", code="bad_json", hint="Mend it in an editor.") from None
