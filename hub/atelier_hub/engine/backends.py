"""Finds back ends by entry point and opens them with what the operator configured."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from atelier_core.backend import Backend, BackendSettings
from atelier_core.errors import AtelierError
from atelier_core.image import Image

GROUP = "atelier.backends"


class UnknownBackendType(AtelierError):
    """The configuration names a back end that is not installed."""

    code = "unknown_backend_type"


def load(
    configured: Mapping[str, Mapping[str, Any]], data_dir: Path, images: Mapping[str, Image]
) -> dict[str, Backend]:
    """One back end for each name in the configuration."""
    return {name: _load(name, options, data_dir, images) for name, options in configured.items()}


def _load(name: str, options: Mapping[str, Any], data_dir: Path, images: Mapping[str, Image]) -> Backend:
    kind = options["type"]
    known = {point.name: point for point in entry_points(group=GROUP)}
    if kind not in known:
        raise UnknownBackendType(
            f"The back end {name!r} has the type {kind!r}, which is not installed.",
            hint=f"Installed: {', '.join(sorted(known)) or 'none'}. Correct c.AtelierHub.backends.",
        )
    settings = BackendSettings(
        name=name,
        data_dir=data_dir / "backends" / name,
        images=images,
        options={key: value for key, value in options.items() if key != "type"},
    )
    backend: Backend = known[kind].load()(settings)
    return backend
