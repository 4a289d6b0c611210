"""The routes on disk: all or nothing, so that a gateway that is killed at any moment starts again with what it knew."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

from pydantic import ValidationError

from atelier_core.routing import Routes

log = logging.getLogger(__name__)


class RoutesFile:
    """One JSON file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> Routes | None:
        """What was saved last; none if there is nothing, or if the file was damaged (it is put aside)."""
        try:
            return Routes.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            aside = self.path.with_suffix(".damaged")
            log.error("%s is damaged and was put aside: %s", self.path, error.errors(include_input=False)[0]["msg"])
            self.path.replace(aside)
            return None

    def save(self, routes: Routes) -> None:
        """Replace the file; it is on the disk when this returns."""
        descriptor, fresh = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(routes.model_dump_json().encode())
                file.flush()
                os.fsync(file.fileno())
            Path(fresh).replace(self.path)
        except BaseException:
            Path(fresh).unlink(missing_ok=True)
            raise
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def clean(self) -> None:
        """Remove what a killed gateway left half-written."""
        for left in self.path.parent.glob(f".{self.path.name}-*"):
            left.unlink(missing_ok=True)
