"""From a registered model to answers in the browser, and back: deploy, try, keys, figures, logs, delete."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, expect

from atelier_sdk import AtelierError
from tests.ui.datasets.test_datasets import picture
from tests.ui.lab import Lab
from tests.ui.models.trained import answer, begin

VERY_SLOW = 240_000


async def open_tab(lab: Lab, service: str, tab: str) -> Page:
    """The service's page with one of its tabs."""
    await lab.run("atelier:open-service", {"project": "ada", "name": service})
    await lab.page.get_by_role("tab", name=tab, exact=True).click()
    return lab.page


async def test_deployed_from_the_model_and_asked(lab: Lab, model: str) -> None:
    page, name = lab.page, f"s-{uuid.uuid4().hex[:8]}"
    await lab.run("atelier:open-model", {"project": "ada", "name": model})
    await page.get_by_role("button", name="Deploy…").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("This version is not approved")
    await expect(dialog.get_by_label("Served by")).to_have_count(0)  # there is no cluster for servers of others
    await dialog.get_by_label("Name").fill(name)
    await dialog.get_by_role("button", name="Deploy", exact=True).click()
    await expect(dialog.locator(".at-Progress")).to_contain_text("Revision 1")
    await expect(page.locator(".at-Service")).to_be_visible(timeout=VERY_SLOW)
    replicas = page.get_by_role("region", name="Replicas")
    await expect(replicas).to_contain_text("answers")
    await expect(replicas).to_contain_text(re.compile(r"\d MB of \d"), timeout=20_000)

    await page.get_by_role("tab", name="Try it").click()
    await page.get_by_label("width, row 1").fill("10")
    await page.get_by_label("height, row 1").fill("1")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.locator(".at-Answer-label")).to_contain_text("29", timeout=30_000)  # 3 · 10 - 1
    await page.get_by_role("button", name="Add row").click()
    await page.get_by_label("width, row 2").fill("0")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.locator(".at-Answer .at-Table tbody tr")).to_have_count(2)

    await page.get_by_role("button", name="JSON", exact=True).click()
    body = page.get_by_label("Body as JSON")
    assert '"width"' in await body.input_value()
    await body.fill('{"inputs": []}')
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.locator(".at-Answer .at-Tag")).to_have_text("400")
    await page.get_by_text("The same from elsewhere").click()
    await expect(page.get_by_label("curl", exact=True)).to_contain_text(f"/s/ada/{name}/v2/models/{name}/infer")

    await lab.run("atelier:show-services")
    await expect(page.locator("#atelier-services .at-RowList-row", has_text=name)).to_contain_text("1/1")
    with pytest.raises(AtelierError) as refusal:
        lab.client.models.delete("ada", model)
    assert name in refusal.value.message
    await page.get_by_role("button", name="Delete…", exact=True).click()
    await answer(page, "Delete")
    await expect(page.locator(".lm-TabBar-tab", has_text=name)).to_have_count(0, timeout=60_000)
    await expect(page.locator("#atelier-services .at-RowList-row", has_text=name)).to_have_count(0)
    assert lab.errors == []


async def test_what_serves_is_named_where_its_model_is_deleted(lab: Lab, served: str) -> None:
    page = lab.page
    await lab.run("atelier:open-model", {"project": "ada", "name": served})
    await page.get_by_role("button", name="Delete…", exact=True).click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Delete", exact=True).click()
    await expect(dialog).to_contain_text(f"the service {served}")
    await dialog.get_by_role("button").last.click()
    assert lab.client.models.get("ada", served).name == served


async def test_a_key_opens_the_service_until_it_is_revoked(lab: Lab, served: str) -> None:
    page = await open_tab(lab, served, "Keys")
    await page.get_by_role("button", name="New key…").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("a program")
    await dialog.get_by_role("button", name="Create").click()
    secret = await dialog.get_by_label("Key", exact=True).inner_text()
    await answer(page, "I have copied it")
    assert secret.startswith("atk_") and secret not in await page.content()

    url = lab.client.services.get("ada", served).model_url
    headers = {"Authorization": f"Bearer {secret}"}
    for _ in range(100):
        if httpx.get(f"{url}/ready", headers=headers).status_code == 200:
            break
        await page.wait_for_timeout(100)
    assert httpx.get(f"{url}/ready", headers=headers).status_code == 200
    await page.get_by_role("button", name="Revoke a program").click()
    await answer(page, "Revoke")
    await expect(page.get_by_text("No keys yet")).to_be_visible()


async def test_figures_and_logs(lab: Lab, served: str) -> None:
    page = await open_tab(lab, served, "Try it")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.locator(".at-Answer-label")).to_be_visible(timeout=30_000)
    await page.get_by_role("tab", name="Figures").click()
    await expect(page.locator(".at-Figures .at-Chart canvas")).to_have_count(3, timeout=30_000)
    await expect(page.locator(".at-Figures tbody tr")).to_contain_text("≤")
    await page.get_by_role("tab", name="Logs").click()
    await expect(page.locator(".at-Log-line").nth(1)).to_be_visible(timeout=30_000)


async def test_a_second_revision_on_trial_is_promoted(lab: Lab, served: str) -> None:
    page = await open_tab(lab, served, "Overview")
    await page.get_by_role("button", name="Deploy…").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("combobox", name="Model", exact=True).select_option(f"models:/{served}/2")
    await dialog.get_by_text("Advanced").click()
    await dialog.get_by_label("Canary", exact=False).fill("20")
    await dialog.get_by_label("CPU per replica", exact=False).fill("70")
    await dialog.get_by_role("button", name="Deploy", exact=True).click()
    traffic = page.get_by_role("region", name="Traffic")
    await expect(traffic).to_contain_text("on trial", timeout=VERY_SLOW)
    share = page.get_by_role("spinbutton", name="Share of revision 2")
    await expect(share).to_have_value("20", timeout=VERY_SLOW)  # once its replica answers
    await share.fill("50")
    await expect(traffic).to_contain_text("The shares add up to 130, not 100.")
    await page.get_by_role("spinbutton", name="Share of revision 1").fill("50")
    await page.get_by_role("button", name="Set shares").click()
    await expect(page.get_by_role("button", name="Set shares")).to_be_disabled()
    found = lab.client.services.get("ada", served)
    assert {one.revision: one.weight for one in found.traffic} == {1: 50, 2: 50}
    scales = [one.definition["scale"]["cpu"] for one in lab.client.services.revisions("ada", served)]
    assert scales == [70, None]
    await page.get_by_role("button", name="Promote revision 2").click()
    await expect(page.get_by_role("region", name="Revisions")).to_contain_text("Another revision took its place")
    await page.get_by_role("tab", name="Try it").click()
    await page.get_by_label("width, row 1").fill("10")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.locator(".at-Answer-label")).to_contain_text("30", timeout=30_000)


async def test_stopped_and_started_again(lab: Lab, served: str) -> None:
    page = await open_tab(lab, served, "Overview")
    await page.get_by_role("button", name="Stop…").click()
    await answer(page, "Stop")
    head = page.locator(".at-Run-header .at-StateBadge")
    await expect(head).to_contain_text("Stopped", timeout=60_000)
    await page.get_by_role("tab", name="Try it").click()
    await expect(page.get_by_text("Nothing answers yet")).to_be_visible()
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(head).to_contain_text("Running", timeout=VERY_SLOW)


async def fall_asleep(lab: Lab, service: str) -> None:
    """Let it sleep when nobody asks for some seconds, and wait until it does."""
    services = lab.client.services
    definition = {"name": service, "model": f"models:/{service}/1", "grace": 1, "replicas": {"min": 0, "max": 1}}
    services.deploy("ada", {**definition, "scale": {"idle": 8, "steady": 1}})
    for _ in range(600):
        if services.get("ada", service).sleeping:
            return
        await lab.page.wait_for_timeout(200)
    raise AssertionError(f"{service} did not fall asleep: {services.get('ada', service)}")


async def test_one_that_sleeps_is_calm_about_it(lab: Lab, served: str) -> None:
    page = lab.page
    await fall_asleep(lab, served)
    await lab.run("atelier:show-services")
    row = page.locator("#atelier-services .at-RowList-row", has_text=served)
    await expect(row.locator(".at-StateBadge.at-mod-asleep")).to_have_text("Asleep")
    await expect(row).to_have_attribute("aria-label", f"{served}, Asleep")
    await expect(row).not_to_contain_text("Running")
    await lab.run("atelier:open-service", {"project": "ada", "name": served})
    head = page.locator(".at-Run-header")
    await expect(head.locator(".at-StateBadge")).to_have_text("Asleep")
    await expect(head).to_contain_text("the next request wakes it")
    await expect(page.get_by_role("region", name="Traffic").get_by_role("cell").last).to_have_text("Asleep")
    await head.get_by_role("button", name="Wake up").click()
    await expect(head.locator(".at-mod-asleep")).to_have_count(0)
    await expect(head.get_by_role("button", name="Stop…")).to_be_visible()


async def test_drift_is_kept_on_purpose_and_then_seen(lab: Lab, model: str) -> None:
    page, name = lab.page, f"d-{uuid.uuid4().hex[:8]}"
    services = lab.client.services
    services.deploy("ada", {"name": name, "model": f"models:/{model}/1", "grace": 2})
    await open_tab(lab, name, "Drift")
    tab = page.get_by_role("region", name="Drift")
    await expect(tab).to_contain_text("No requests are kept")
    await tab.get_by_role("button", name="Deploy…").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_text("Advanced").click()
    await dialog.get_by_label("Percent of the requests to keep").fill("100")
    await dialog.get_by_role("button", name="Deploy", exact=True).click()
    await expect(dialog.locator(".at-Progress")).to_contain_text("Revision 2")
    await expect(dialog).to_have_count(0, timeout=VERY_SLOW)
    assert services.wait("ada", name, 2, seconds=240).revision == 2

    columns = {"width": [n % 10 + 6.5 for n in range(350)], "height": [n % 7 / 7 for n in range(350)]}
    inputs = [{"name": n, "shape": [350, 1], "datatype": "FP64", "data": data} for n, data in columns.items()]
    await page.get_by_role("tab", name="Overview").click()
    services.infer(services.get("ada", name), inputs)
    await page.get_by_role("tab", name="Drift").click()
    row = {n: tab.get_by_role("row").filter(has=page.get_by_role("rowheader", name=n)) for n in columns}
    await expect(row["width"]).to_contain_text("Major shift", timeout=30_000)
    await expect(row["height"]).to_contain_text("Stable")
    await expect(tab).to_contain_text("350 rows of 1 request")
    chart = row["width"].get_by_role("img")
    await expect(chart).to_have_attribute("aria-label", re.compile("> 8.5: 10 % of the training sample, 70 % of the"))
    assert lab.errors == []


async def test_deployed_from_a_run_and_asked_about_an_image(lab: Lab, trained: str, room: None) -> None:
    page, name = lab.page, f"p-{uuid.uuid4().hex[:8]}"
    await lab.run("atelier:open-run", {"project": "ada", "run": trained})
    await page.get_by_role("tab", name="Outputs").click()
    await page.get_by_role("button", name="Deploy pixels").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill(name)
    await dialog.get_by_role("button", name="Deploy", exact=True).click()
    await expect(page.locator(".at-Service")).to_be_visible(timeout=VERY_SLOW)
    await page.get_by_role("tab", name="Try it").click()
    black = {"name": "black.png", "mimeType": "image/png", "buffer": picture((0, 0, 0))}
    await page.locator(".at-Picture input[type=file]").set_input_files(black)
    await expect(page.locator(".at-Picture")).to_contain_text("scaled to 4 × 4")
    await expect(page.get_by_label("p15, row 1")).to_have_value("16")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.locator(".at-Answer-label")).to_contain_text("256", timeout=30_000)
    await page.get_by_label("White is").select_option("255")
    await page.get_by_label("Dark on light").uncheck()
    await expect(page.get_by_label("p15, row 1")).to_have_value("0")
    nonsense = {"name": "no.png", "mimeType": "image/png", "buffer": b"no image"}
    await page.locator(".at-Picture input[type=file]").set_input_files(nonsense)
    await expect(page.get_by_role("alert")).to_contain_text("cannot read this image")
    assert lab.errors == []


async def test_a_file_defines_a_service(lab: Lab, model: str, tmp_path: Path) -> None:
    lab.write("bad.service.yaml", "replicas: many\n")
    dialog = await begin(lab, "atelier:deploy-service-file", path="bad.service.yaml")
    await expect(dialog).to_contain_text("replicas")
    await dialog.get_by_role("button").last.click()
    lab.write("mine.service.yaml", f"model: models:/{model}/1\nstage: test\nlimits: {{rate: 7}}\n")
    await begin(lab, "atelier:deploy-service-file", path="mine.service.yaml")
    await expect(dialog.get_by_label("Name")).to_have_value("mine")
    await expect(dialog.get_by_label("Stage")).to_have_value("test")
    await dialog.get_by_text("Advanced").click()
    await expect(dialog.get_by_label("Requests per second of one caller")).to_have_value("7")
    await dialog.get_by_role("button", name="Cancel").click()
