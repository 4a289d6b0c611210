"""JupyterLab with the extension in it."""

from __future__ import annotations

from tests.ui.lab import Lab


async def test_the_extension_is_there(lab: Lab) -> None:
    plugins = await lab.page.evaluate("() => window.jupyterapp.listPlugins()")
    assert "@atelier/lab:connection" in plugins
    assert not lab.errors
