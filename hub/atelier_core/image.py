"""Images: a reference for the cluster, and a lock file that the laptop realises as a cached environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Image(BaseModel):
    """What a step runs in.

    `reference` is what a cluster pulls. `lock` is a requirements file with hashes, from which the local engine makes
    the same environment; `python` is the version it needs, `other_pythons` are those that the lock fits too, for
    machines that have none of that version. Without a lock the image is for clusters only. `packages` are Debian
    packages that the image has beside that; a laptop uses what is installed there. `warm` are the modules that a
    laptop's warm worker has imported before light steps fork from it.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    reference: str
    python: str = "3.11"
    other_pythons: tuple[str, ...] = ()
    lock: Path | None = None
    packages: tuple[str, ...] = ()
    warm: tuple[str, ...] = ()
    description: str = ""

    @property
    def cluster_only(self) -> bool:
        """Whether a laptop cannot run it."""
        return self.lock is None
