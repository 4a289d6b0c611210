"""One running platform for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.atelier_cli.platform.installation import Browser, Installation
from tests.harness.ports import free_port


@pytest.fixture(scope="package")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Up, with an account `ada` whose password is chosen."""
    installed = Installation(tmp_path_factory.mktemp("platform") / "data").sharing()
    try:
        started = installed.up("--port", str(free_port()), "--admin", "ada")
        with Browser(started["url"]) as browser:
            assert browser.choose_password(started["link"]).status_code == 200
        yield installed
    finally:
        installed.run("down", check=False)


@pytest.fixture
def browser(installation: Installation) -> Iterator[Browser]:
    """Ada, signed in."""
    with Browser(installation.url) as signed_in:
        assert signed_in.sign_in("ada").url.path != "/hub/login"
        yield signed_in


@pytest.fixture
def spare(tmp_path: Path) -> Iterator[Installation]:
    """A data folder for a test that takes its platform apart."""
    installed = Installation(tmp_path / "data")
    yield installed
    installed.run("down", check=False)
