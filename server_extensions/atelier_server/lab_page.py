"""What a server that a hub started tells its JupyterLab page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

PageConfig = dict[str, Any]
Hook = Callable[[Any, PageConfig], PageConfig]

# It asks people whether they want news and looks for newer releases, both on hosts elsewhere; here neither is theirs.
ANNOUNCEMENTS = "@jupyterlab/apputils-extension:announcements"


def without_ways_outside(before: Hook | None) -> Hook:
    """A hook that also switches Lab's announcements off, after what others (the hub) do with the page."""

    def hook(handler: Any, config: PageConfig) -> PageConfig:
        found = before(handler, config) if before else config
        return found | {"disabledExtensions": [*found.get("disabledExtensions", []), ANNOUNCEMENTS]}

    return hook
