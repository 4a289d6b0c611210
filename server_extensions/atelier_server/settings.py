"""What the extension was told at its start."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Whose server this is, and where the control plane answers (`api_url`, without `/api`)."""

    user: str
    project: str
    api_url: str
    token: str = field(repr=False)
    root: Path | None = None
    """The folder that Lab shows, where it shows one."""
