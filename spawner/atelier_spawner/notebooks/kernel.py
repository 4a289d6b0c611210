"""`python -m atelier_spawner.notebooks.kernel IMAGE CACHE CONNECTION_FILE`: becomes the kernel of an image."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from atelier_core.errors import AtelierError
from atelier_spawner.local.environments import Environments
from atelier_templates.images import load_images


def main() -> None:
    """Find or make the environment, then run its kernel as this very process, which Jupyter watches and interrupts."""
    image, cache, connection_file = sys.argv[1:]
    try:
        environment = asyncio.run(_environment(image, Path(cache)))
    except AtelierError as error:
        sys.exit(f"The kernel of the image {image!r} cannot start. {error.message} {error.hint}".strip())
    os.environ["PYTHONPATH"] = str(Path(cache) / "jupyter" / "python")
    python = str(environment / "bin" / "python")
    os.execv(python, [python, "-m", "ipykernel_launcher", "-f", connection_file])  # noqa: S606


async def _environment(image: str, cache: Path) -> Path:
    """That of the steps; one's own where others keep theirs and this one is not among them yet."""
    shared = Environments(cache / "envs", load_images())
    found = await shared.built(image)
    if found is not None:
        return found
    print(f"The environment of the image {image!r} is made now; this takes a few minutes once.", file=sys.stderr)
    if cache.stat().st_uid == os.geteuid():
        return await shared.ready(image)
    own = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "atelier" / "envs"
    return await Environments(own, load_images()).ready(image)


if __name__ == "__main__":
    main()
