"""Atelier in Elyra's editor: its templates in the palette, its engine behind Run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import atelier_templates
from atelier_sdk import Client
from tests.elyra.elyra_server import ElyraServer
from tests.harness.control_plane import wait_for

DEMO = Path(atelier_templates.__file__).parent / "demo/digits"
USER = "elyra-user"


def test_the_runtime_is_offered(elyra: ElyraServer) -> None:
    kinds = {kind["id"]: kind for kind in elyra.get("pipeline/runtimes/types")["runtime_types"]}
    assert kinds["ATELIER"]["display_name"] == "Atelier" and kinds["ATELIER"]["runtime_enabled"]


def test_the_palette_has_every_template_under_our_own_op(elyra: ElyraServer, client: Client) -> None:
    shown = {node["op"]: node["label"] for node in elyra.palette()}
    templates = list(client.templates.list())
    assert templates
    for template in templates:
        assert template.op in shown, template.name  # type: ignore[attr-defined]


def test_a_template_is_a_form(elyra: ElyraServer, client: Client) -> None:
    template = client.templates.get("data-split")
    form = elyra.get(f"pipeline/components/ATELIER/{template.op}/properties")  # type: ignore[attr-defined]
    fields = form["properties"]["component_parameters"]["properties"]
    assert {"data", "test_size", "seed", "output_train", "output_test"} <= fields.keys()
    assert fields["test_size"]["oneOf"][0]["properties"]["value"]["type"] == "number"


def test_run_in_elyra_runs_here(elyra: ElyraServer, client: Client) -> None:
    shutil.copytree(DEMO, elyra.root, dirs_exist_ok=True)
    document = json.loads((elyra.root / "digits.pipeline").read_text())
    data = document["pipelines"][0]["app_data"]
    data |= {"runtime_type": "ATELIER", "runtime_config": "atelier", "name": "digits", "source": "digits.pipeline"}
    answer = elyra.post("pipeline/schedule", document)
    assert answer.status_code == 200, answer.text
    run = answer.json()["run_url"].rpartition("/")[2]
    assert wait_for(client, USER, run, 180).state == "done"
