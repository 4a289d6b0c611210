"""Lab with all of its plugins started: a page can look ready before its commands are there."""

from __future__ import annotations

import pytest

from tests.ui.lab import Lab


@pytest.fixture
async def lab(lab: Lab) -> Lab:
    """JupyterLab, open, empty, and started to the end."""
    await settle(lab)
    return lab


async def reload(lab: Lab) -> None:
    """As a person presses F5, until all is there again."""
    await lab.reload()
    await settle(lab)


async def settle(lab: Lab) -> None:
    """Until Lab has restored its layout."""
    await lab.page.wait_for_function("() => window.jupyterapp !== undefined")
    await lab.page.evaluate("async () => { await window.jupyterapp.restored; }")
