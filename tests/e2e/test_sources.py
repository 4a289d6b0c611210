"""Import data in a pod: from the web and from databases of the private network, once the operator has opened it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atelier_cli.template import fetch
from tests.atelier_templates.mariadb import MISSING, PASSWORD, MariaDB, installed
from tests.atelier_templates.running import on, step
from tests.atelier_templates.test_sources import CREATE, TABLE, check_shop, fill, site_on
from tests.e2e.conftest import Person, person_on
from tests.harness.cluster.fixtures import Cluster
from tests.harness.cluster.platform import control_plane
from tests.harness.control_plane import pipeline, submit
from tests.harness.hub import TestHub
from tests.harness.postgres import Postgres

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

QUERY = "SELECT * FROM shop WHERE code LIKE '%4%' OR id = 2"


@pytest.fixture
def person(hub: TestHub, cluster: Cluster, tmp_path: Path) -> Iterator[Person]:
    open_to = [f"{cluster.advertise_host or '127.0.0.1'}/32"]
    with control_plane(tmp_path / "plane", hub, cluster, "sources-", egress_cidrs=open_to) as plane:
        found = person_on(plane, tmp_path, "cluster")
        yield found
        found.close()


@pytest.fixture
def sources(cluster: Cluster) -> Iterator[dict[str, str]]:
    """Addresses as seen from a pod."""
    host = cluster.advertise_host or "127.0.0.1"
    if not installed():
        pytest.skip(MISSING)
    postgres, mariadb = Postgres(PASSWORD), MariaDB()
    postgres.start()
    mariadb.start()
    address = postgres.database()
    fill(address)
    mariadb.run("CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop; " + "; ".join(CREATE))
    with site_on(host) as site:
        yield {
            "web": f"{site}/data.csv",
            "postgresql": f"postgresql://postgres@{host}:{postgres.port}/{address.rpartition('/')[2]}",
            "mysql": f"mysql://ann@{host}:{mariadb.port}/shop",
        }
    mariadb.stop()
    postgres.stop()


def imports(sources: dict[str, str]) -> dict[str, Any]:
    document = pipeline({})
    for name, source in sources.items():
        given = {"source": source} if name == "web" else {"source": source, "query": QUERY}
        secrets = {} if name == "web" else {"DATABASE_PASSWORD": "db"}
        document["pipelines"][0]["nodes"].append(on(step(name, "dataset-import", given), secrets=secrets))
    return document


def test_a_pod_reads_the_web_and_databases(person: Person, sources: dict[str, str], tmp_path: Path) -> None:
    person.client.secrets.set(person.name, "db", PASSWORD)
    run = submit(person.client, person.name, person.folder({}), imports(sources), on=person.on)
    ended = person.wait(run, 240)
    logs = {name: person.log(run, name) for name in sources}
    assert ended.state == "done", logs
    assert PASSWORD not in str(logs)
    rows = {}
    for name in sources:
        outputs, _ = fetch(person.client, person.name, run, name, tmp_path / name)
        with (outputs / "data" / "data.csv").open(newline="", encoding="utf-8") as stream:
            rows[name] = list(csv.DictReader(stream))
    assert rows["web"] == list(csv.DictReader(TABLE.splitlines()))
    check_shop(rows["postgresql"])
    check_shop(rows["mysql"])
