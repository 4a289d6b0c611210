"""The same story with the steps as pods: nothing in the browser is different but the word for where it runs."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from atelier_sdk import Client, credentials
from tests.atelier_cli.platform.installation import Browser as HubPages
from tests.atelier_cli.platform.installation import Installation
from tests.harness.cluster.fixtures import Cluster
from tests.harness.cluster.platform import installed_beside
from tests.ui.conftest import EXPOSE
from tests.ui.lab import Lab, sign_in
from tests.ui.models.trained import begin
from tests.ui.pipelines.test_forms import script_step, told
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


@pytest.fixture
async def lab(beside: Installation, chromium: Browser) -> AsyncIterator[Lab]:
    """Ada's JupyterLab, open and empty."""
    found = credentials.load(beside.data.parent / "credentials.json")
    context = await chromium.new_context(base_url=beside.url)
    await context.add_init_script(EXPOSE)
    page = await context.new_page()
    await sign_in(page, "ada")
    await page.wait_for_url(re.compile(r"/user/ada/lab"), timeout=90_000)
    with Client(found.url, found.token) as client:
        client.projects.update("ada", default_backend="cluster")
        opened = Lab(page, beside, client)
        await opened.open()
        yield opened
    await context.close()


GIVEN = """from pathlib import Path
group = Path("/sys/fs/cgroup")
if (group / "memory.max").exists():
    memory, weight = (int((group / name).read_text()) for name in ("memory.max", "cpu.weight"))
    shares = (weight - 1) * 262142 / 9999 + 2
else:  # version 1
    memory = int((group / "memory" / "memory.limit_in_bytes").read_text())
    shares = int((group / "cpu" / "cpu.shares").read_text())
print(round(shares / 1024, 1), memory / 2**20)
"""


@pytest.mark.timeout(600)
async def test_a_pod_gets_the_resources_of_the_form(lab: Lab) -> None:
    canvas = await script_step(lab, GIVEN)
    await canvas.field("cpu").get_by_role("spinbutton").fill("0.4")
    await canvas.field("memory").get_by_role("textbox").fill("160Mi")
    run = await canvas.run()
    assert lab.client.runs.get("ada", run).state == "done", told(canvas, run, "script")
    assert told(canvas, run, "script").split()[-2:] == ["0.4", "160.0"]


@pytest.mark.timeout(600)
async def test_a_server_of_others_is_chosen_in_the_dialog(lab: Lab) -> None:
    """Triton's image is not to be had here: what is looked at is what the platform was told."""
    client = lab.client
    run = next(one.id for one in client.runs.list("ada") if one.name == "digits")
    source = {"run": run, "step": "random-forest", "output": "model"}
    dialog = await begin(lab, "atelier:deploy-service", project="ada", **source)
    await dialog.get_by_label("Name").fill("forest")
    await dialog.get_by_label("Stage").select_option("test")
    served = dialog.get_by_label("Served by")
    await expect(dialog.get_by_label("Arguments of the server", exact=False)).to_have_count(0)
    place = dialog.get_by_label("Back end")
    await served.select_option("triton")
    await expect(place).to_have_value("cluster")
    await served.select_option("")
    await expect(place).to_have_value("")  # what was filled in goes
    await dialog.get_by_text("Advanced").click()
    await place.select_option("cluster")
    await served.select_option("triton")
    await served.select_option("")
    await expect(place).to_have_value("cluster")  # what was chosen stays
    await served.select_option("triton")
    await expect(dialog).to_contain_text("a model repository as Triton lays it out")
    await dialog.get_by_label("Arguments of the server", exact=False).fill("--log-verbose=1\n")
    await dialog.get_by_role("button", name="Deploy", exact=True).click()
    await expect(dialog.locator(".at-Progress")).to_contain_text("Revision 1")
    (revision,) = client.services.revisions("ada", "forest")
    wanted = {"server": "triton", "arguments": ["--log-verbose=1"], "on": "cluster", "stage": "test", "model": ""}
    assert {name: revision.definition[name] for name in wanted} == wanted
    assert revision.definition["output"] | source == revision.definition["output"]
    client.services.delete("ada", "forest")
