"""Every template's demo once more, in pods: one run of all of them, and each checked as on one machine."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from atelier_cli.template import fetch
from atelier_core.results import read_folder
from atelier_core.template import Template
from atelier_sdk import Client
from atelier_templates.demos import demo_pipeline, verify
from atelier_templates.loader import Library
from tests.e2e.conftest import Person, person_on
from tests.harness.cluster.fixtures import Cluster
from tests.harness.cluster.platform import publish_images
from tests.harness.control_plane import submit, wait_for
from tests.harness.tracking import Platform

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

LIBRARY = Library()
TEMPLATES = sorted(LIBRARY.catalog, key=lambda one: one.name)
SECONDS = 480
CPU = 0.15  # of what they ask for: a small machine runs several side by side, and none is held back


@dataclass(frozen=True)
class Demos:
    """The run, whose client it is, and which of its steps is the demo of a template."""

    client: Client
    project: str
    run: str
    steps: dict[str, str]

    def left(self, template: Template, place: Path) -> tuple[Path, Path]:
        """What the demo of a template left: outputs and results."""
        return fetch(self.client, self.project, self.run, self.steps[template.name], place)


def every_demo() -> tuple[dict[str, Any], dict[str, str]]:
    """One pipeline, in which steps that several demos have in common are there once; and each template's step in it."""
    made: dict[str, dict[str, Any]] = {}
    same: dict[str, str] = {}
    own: dict[str, str] = {}
    document: dict[str, Any] = {}
    for template in TEMPLATES:
        document = demo_pipeline(template, LIBRARY.catalog)
        called: dict[str, str] = {}  # as it is called there: as it is called here
        for node in document["pipelines"][0]["nodes"]:
            data = node["app_data"]
            sources = {
                name: {**source, "node": called[source["node"]]} for name, source in data["atelier"]["inputs"].items()
            }
            content = json.dumps([node["op"], data["component_parameters"], sources], sort_keys=True)
            if content not in same:
                name = node["id"] if node["id"] not in made else f"{node['id']}-{len(made)}"
                links = [link | {"node_id_ref": called[link["node_id_ref"]]} for link in node["inputs"][0]["links"]]
                extras = data["atelier"] | {"name": name, "inputs": sources, "resources": {"cpu": CPU}}
                made[name] = node | {
                    "id": name,
                    "app_data": data | {"label": name, "ui_data": {"label": name}, "atelier": extras},
                    "inputs": [node["inputs"][0] | {"links": links}],
                }
                same[content] = name
            called[node["id"]] = same[content]
        own[template.name] = called[template.name]
    document["pipelines"][0]["nodes"] = list(made.values())
    return document, own


@pytest.fixture(scope="module")
def person(cluster_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    found = person_on(cluster_platform.plane, tmp_path_factory.mktemp("templates"), "cluster")
    yield found
    found.close()


@pytest.fixture(scope="module")
def demos(person: Person, cluster: Cluster) -> Iterator[Demos]:
    """All demos, run to the end."""
    publish_images(cluster, ("boosting", "onnx", "r"))
    document, steps = every_demo()
    client, project = person.client, person.name
    run = submit(client, project, person.folder({}), document, on=person.on)
    ended = wait_for(client, project, run, SECONDS)
    bad = {one.name: (one.state, one.message) for one in client.steps.list(project, run) if one.state != "done"}
    logs = {name: person.log(run, name)[-2000:] for name, (state, _) in bad.items() if state == "failed"}
    assert ended.state == "done", (bad, logs)
    yield Demos(client, project, run, steps)
    for service in list(client.services.list(project)):
        client.services.delete(project, service.name)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_a_demo_in_pods_leaves_what_verify_asks_for(template: Template, demos: Demos, tmp_path: Path) -> None:
    outputs, results = demos.left(template, tmp_path / "left")
    verify(LIBRARY.folder(template), outputs, results)
    shown = read_folder(results)
    assert shown.problems == () and (shown.views or template.category == "Basics")


def test_the_service_that_a_pod_deployed_reads_digits(demos: Demos, tmp_path: Path) -> None:
    template = LIBRARY.catalog.find("standardize")
    assert template is not None
    outputs, _ = demos.left(template, tmp_path / "left")
    with (outputs / "test" / "data.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))[:50]
    names = [name for name in rows[0] if name != "digit"]
    data = [[float(row[name]) for name in names] for row in rows]
    services = demos.client.services
    inputs = [{"name": "x", "datatype": "FP64", "shape": [50, len(names)], "data": data}]
    found = services.infer(services.get(demos.project, "demo-digits"), inputs)["predict"]["data"]
    assert sum(str(one) == row["digit"] for one, row in zip(found, rows, strict=True)) > 45
