"""What a program finds about its platform where it runs: in a person's Jupyter server, or on their machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from atelier_sdk import credentials


@dataclass(frozen=True)
class Here:
    """The platform's address, a token for it, and the project that work from here belongs to; empty: the personal.

    `folder` is the one that the Jupyter server shows.
    """

    url: str
    token: str
    project: str = ""
    folder: Path | None = None

    def place(self, file: Path) -> str:
        """A file as revisions name it: from the shown folder, so that the canvas finds its runs; else its name."""
        whole = file.resolve()
        if self.folder is not None and whole.is_relative_to(self.folder.resolve()):
            return whole.relative_to(self.folder.resolve()).as_posix()
        return file.name


def find() -> Here:
    """That of the Jupyter server around this program; outside of one, of the platform that was signed in to last."""
    url, token = os.environ.get("ATELIER_API_URL", ""), os.environ.get("JUPYTERHUB_API_TOKEN", "")
    project = os.environ.get("ATELIER_PROJECT", "")
    if url and token:
        folder = os.environ.get("ATELIER_PROJECT_DIR", "")
        return Here(url, token, project, Path(folder) if folder else None)
    found = credentials.load()
    return Here(found.url, found.token, project)
