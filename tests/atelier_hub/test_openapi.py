"""The API's description is current, and no generated request makes the control plane fail."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from zlib import crc32

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error

from atelier_hub.http import openapi
from tests.atelier_hub.conftest import DATABASES
from tests.atelier_hub.server import Server
from tests.harness.hub import TestHub

KEPT = Path(__file__).parents[2] / openapi.TARGET
schema = schemathesis.openapi.from_dict(json.loads(KEPT.read_text())).exclude(path="/events")
_numbers = itertools.count(1)


def test_the_kept_description_is_current() -> None:
    assert KEPT.read_text() == openapi.text(), "run: python -m atelier_hub.http.openapi"


def test_every_operation_has_a_text_and_the_one_error_shape() -> None:
    for path, operations in openapi.document()["paths"].items():
        for method, operation in operations.items():
            assert operation.get("description"), f"{method} {path}"
            for status, answer in operation["responses"].items():
                if status.startswith(("4", "5")):
                    reference = answer["content"]["application/json"]["schema"]["$ref"]
                    assert reference.endswith("/ErrorBody"), f"{method} {path} {status}"


@pytest.fixture(scope="module", params=[DATABASES], ids=["+".join(DATABASES)])  # the tests have names by it alone
def servers(
    request: pytest.FixtureRequest,
    new_url: Callable[[str], str],
    hub: TestHub,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[list[Server]]:
    """A control plane on each database: what was generated once is sent to all of them."""
    running = [Server(tmp_path_factory.mktemp(f"fuzzed-{kind}"), new_url(kind), hub).start() for kind in request.param]
    yield running
    for server in running:
        server.stop()


@pytest.fixture
def fuzzer(servers: list[Server], hub: TestHub) -> tuple[str, str]:
    """Name and token of somebody whom all servers know."""
    name = f"fuzzer{next(_numbers)}"
    token = hub.add_user(name)
    for server in servers:
        with server.client(token) as client:
            client.get("/me").raise_for_status()
    return name, token


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """One connection for all requests; the thousands that they are ask for proxies only to find none."""
    with requests.Session() as kept:
        kept.trust_env = False
        yield kept


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_generated_requests_find_no_5xx(
    case: Case, servers: list[Server], fuzzer: tuple[str, str], session: requests.Session
) -> None:
    name, token = fuzzer
    if "project" in case.path_parameters and crc32(str(case.body).encode(errors="replace")) % 2:
        case.path_parameters["project"] = name  # get past the check of the project in half of the cases
    headers = {"Authorization": f"Bearer {token}"}
    for server in servers:
        case.call_and_validate(
            base_url=server.url, session=session, headers=headers, checks=[not_a_server_error], timeout=30
        )
