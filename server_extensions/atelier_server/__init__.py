"""Atelier's part inside a person's Jupyter server: the way to the control plane, and what only this machine can do."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("atelier-workspace")
except PackageNotFoundError:  # a source tree that nobody installed
    __version__ = "0.0.0"


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from atelier_server.app import AtelierServer

    return [{"module": "atelier_server", "app": AtelierServer}]
