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

from atelier_hub.auth import GATEWAY_HEADER
from atelier_hub.http import openapi
from tests.atelier_hub.conftest import DATABASES
from tests.atelier_hub.existing import AWAY, Existing
from tests.atelier_hub.server import Server
from tests.harness.hub import TestHub

KEPT = Path(__file__).parents[2] / openapi.TARGET
schema = schemathesis.openapi.from_dict(json.loads(KEPT.read_text())).exclude(path="/events")
_numbers = itertools.count(1)
GATEWAY_SECRET = "of the gateway and the control plane"
ENDING = ("DELETE ", "/finished", "/cancel")


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
    secret = tmp_path_factory.mktemp("gateway") / "secret"
    secret.write_text(GATEWAY_SECRET)
    settings = AWAY | {"gateway_secret_file": str(secret)}
    running = [
        Server(tmp_path_factory.mktemp(f"fuzzed-{kind}"), new_url(kind), hub, **settings).start()
        for kind in request.param
    ]
    yield running
    for server in running:
        server.stop()


@pytest.fixture(scope="module")
def make(servers: list[Server], hub: TestHub, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], list[Existing]]:
    """Somebody new, with one of everything on each server."""

    def make() -> list[Existing]:
        name = f"fuzzer{next(_numbers)}"
        token = hub.add_user(name)
        return [Existing(server, name, token, tmp_path_factory.mktemp(name)) for server in servers]

    return make


@pytest.fixture(scope="module")
def kept(make: Callable[[], list[Existing]]) -> list[Existing]:
    """For requests after which it is still there."""
    return make()


@pytest.fixture
def existing(
    request: pytest.FixtureRequest, make: Callable[[], list[Existing]], kept: list[Existing]
) -> list[Existing]:
    """What there is on each server."""
    return make() if any(word in request.node.name for word in ENDING) else kept


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """One connection for all requests; the thousands that they are ask for proxies only to find none."""
    with requests.Session() as kept:
        kept.trust_env = False
        yield kept


def _headers(path: str, existing: Existing) -> dict[str, str]:
    """What gets the path's own caller in: a shim, the gateway with somebody's call, or somebody."""
    token = existing.token if path.startswith("/attempts/") else existing.person
    gateway = {GATEWAY_HEADER: GATEWAY_SECRET} if path.startswith("/gateway/") else {}
    return {"Authorization": f"Bearer {token}"} | gateway


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_generated_requests_find_no_5xx(
    case: Case,
    servers: list[Server],
    existing: list[Existing],
    session: requests.Session,
) -> None:
    # A third goes as it is, a third to a project or attempt that is there, a third to things that all are there.
    told = repr((case.path_parameters, case.query, case.body))
    named = ((), ("project", "attempt"), None)[crc32(told.encode(errors="replace")) % 3]
    case.query = {name: value for name, value in (case.query or {}).items() if name != "follow"}  # it would wait
    generated = dict(case.path_parameters)
    for server, found in zip(servers, existing, strict=True):
        known = {name: value for name, value in found.names.items() if named is None or name in named}
        case.path_parameters = generated | {name: known[name] for name in generated.keys() & known.keys()}
        case.call_and_validate(
            base_url=server.url,
            session=session,
            headers=_headers(case.operation.path, found),
            checks=[not_a_server_error],
            timeout=30,
        )
