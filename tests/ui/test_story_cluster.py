"""The same story with the steps as pods: nothing in the browser is different but the word for where it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from atelier_sdk import Client, credentials
from tests.atelier_cli.platform.installation import Browser as HubPages
from tests.atelier_cli.platform.installation import Installation
from tests.harness.cluster.fixtures import Cluster
from tests.harness.cluster.platform import installed_beside
from tests.ui.test_story import story

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def beside(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A platform on this machine whose runs may go to the cluster, with the account `ada`."""
    folder = tmp_path_factory.mktemp("ui-cluster")
    home = folder / "home"
    home.mkdir()
    (home / ".cache").symlink_to(Path.home() / ".cache")
    with installed_beside(cluster, folder / "data", {"HOME": str(home)}) as (installed, started):
        with HubPages(started["url"]) as pages:
            assert pages.choose_password(started["link"]).status_code == 200
        yield installed


@pytest.mark.timeout(600)
async def test_the_story_on_the_cluster(beside: Installation, chromium: Browser, cluster: Cluster) -> None:
    found = credentials.load(beside.data.parent / "credentials.json")
    with Client(found.url, found.token) as client:
        client.projects.update("ada", default_backend="cluster")
        _, run = await story(beside, chromium, client, "cluster")
    assert run.state == "done"
