"""What a server that a hub started tells its JupyterLab page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

PageConfig = dict[str, Any]
Hook = Callable[[Any, PageConfig], PageConfig]

# It asks people whether they want news and looks for newer releases, both on hosts elsewhere; here neither is theirs.
ANNOUNCEMENTS = "@jupyterlab/apputils-extension:announcements"


def for_a_hub(before: Hook | None) -> Hook:
    """A hook that also switches off what is the operator's matter there, after what others (the hub) do with the page.

    These are Lab's announcements, and its look at each load whether it must be built anew, for which it starts Node.
    """

    def hook(handler: Any, config: PageConfig) -> PageConfig:
        found = before(handler, config) if before else config
        disabled = [*found.get("disabledExtensions", []), ANNOUNCEMENTS]
        return found | {"disabledExtensions": disabled, "buildCheck": False}

    return hook
