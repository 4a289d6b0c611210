"""Whatever somebody or a step sends, everybody else goes on: it is refused, or kept as something that can be read."""

from __future__ import annotations

import io
import itertools
import json
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from sqlalchemy import text

from atelier_core.states import State
from atelier_core.workload import Observation
from atelier_hub.engine.outcome import storable
from atelier_hub.engine.routes import Finished
from atelier_hub.features.pipelines.reconcile import Runs
from atelier_hub.features.pipelines.tracked import RunLooks
from atelier_hub.features.registry.tracking import Tracker, track
from atelier_hub.features.serving.store import get_revision, open_services, readable_views
from atelier_hub.http.application import routes
from atelier_hub.http.body import Body
from atelier_sdk import Client
from tests.atelier_hub.conftest import DATABASES
from tests.atelier_hub.existing import AWAY, Existing, tokens_of
from tests.atelier_hub.server import Server
from tests.harness.control_plane import pipeline, submit, wait_for
from tests.harness.hub import TestHub

_numbers = itertools.count(1)
JSON = {"Content-Type": "application/json"}
NESTED = "[" * 300 + "]" * 300
BAD = {"surrogate": r'"\ud800"', "nul": r'"a\u0000b"', "nan": "NaN", "infinity": "1e999", "nested": NESTED}


@pytest.fixture(scope="module", params=DATABASES)
def server(
    request: pytest.FixtureRequest,
    new_url: Callable[[str], str],
    hub: TestHub,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """A control plane whose attempts stay queued, so that a test can speak as their shims."""
    folder = tmp_path_factory.mktemp(f"bad-input-{request.param}")
    running = Server(folder, new_url(request.param), hub, **AWAY).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def existing(server: Server, hub: TestHub, tmp_path_factory: pytest.TempPathFactory) -> Existing:
    name = f"bad{next(_numbers)}"
    return Existing(server, name, hub.add_user(name), tmp_path_factory.mktemp(name))


@pytest.fixture
def http(server: Server, existing: Existing) -> Iterator[httpx.Client]:
    with server.client(existing.person) as client:
        yield client


def _place(existing: Existing) -> str:
    return f"/projects/{existing.names['project']}"


def test_every_body_is_checked() -> None:
    bodies = [
        field.field_info.annotation
        for route in routes()
        if isinstance(route, APIRoute)
        for field in route.dependant.body_params
    ]
    assert len(bodies) > 20
    assert [one for one in bodies if not (isinstance(one, type) and issubclass(one, Body))] == [Finished]


@pytest.mark.parametrize("bad", BAD)
def test_what_cannot_be_given_back_is_refused(http: httpx.Client, existing: Existing, bad: str) -> None:
    place, value = _place(existing), BAD[bad]
    run = {"revision": existing.names["revision"], "parameters": {"x": "BAD"}}
    for method, path, body, field in [
        ("PATCH", place, {"settings": {"x": "BAD"}}, "settings"),
        ("POST", f"{place}/runs", run, "parameters"),
        ("POST", f"{place}/pipelines/check", {"document": {"x": ["BAD"]}}, "document"),
        ("POST", f"{place}/services", {"definition": {"name": "x", "env": {"X": "BAD"}}}, "definition"),
        ("POST", f"{place}/secrets", {"name": "NEW", "value": "BAD"}, "value"),
    ]:
        content = json.dumps(body).replace('"BAD"', value)
        answer = http.request(method, path, content=content, headers=JSON | {"If-Match": "*"})
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
    for path in ("", "/runs", "/revisions", "/services", "/secrets"):
        assert http.get(f"{place}{path}").status_code == 200


def test_a_field_whose_name_is_no_text_is_refused(http: httpx.Client, existing: Existing) -> None:
    answer = http.patch(_place(existing), content=r'{"\ud800": 1}', headers=JSON | {"If-Match": "*"})
    assert answer.status_code == 422


def _end(server: Server, existing: Existing, folder: Path, fields: str) -> dict[str, Any]:
    """How the attempt of a new run was ended by these words of its shim."""
    with Client(server.url.removesuffix("/api"), existing.person) as client:
        project = existing.names["project"]
        (folder / "a.py").write_text("pass")
        run = submit(client, project, folder, pipeline({"only": {"file": "a.py", "image": "python"}}))
    ((attempt, token),) = tokens_of(server, run).items()
    content = f'{{"replica": "main-0", {fields}}}'
    with server.client(token) as shim:
        shim.post(f"/attempts/{attempt}/finished", content=content, headers=JSON).raise_for_status()
    with server.context.db.read() as session:
        query = text("SELECT reason, message, output_values FROM attempt_reports WHERE attempt = :attempt")
        return dict(session.execute(query, {"attempt": attempt}).mappings().one())


@pytest.mark.parametrize(
    ("fields", "reason", "message", "values"),
    [
        (
            r'"exit_code": 0, "message": "a\u0000\ud800", "values": {"\ud800": "\u0000", "x": NaN, "y": [1e999, 2]}',
            "",
            "a\ufffd\ufffd",
            {"\ufffd": "\ufffd", "x": None, "y": [None, 2]},
        ),
        (f'"exit_code": 0, "values": {{"x": {NESTED}}}', "OutputMissing", "64 levels deep", {}),
        (f'"exit_code": 3, "message": "Mine.", "values": {{"x": {NESTED}}}', "", "Mine.", {}),
        (f'"exit_code": 1, "message": "{"x" * 20_000}"', "", "x" * 10_000, {}),
    ],
    ids=["replaced", "nested", "nested and failed", "long"],
)
def test_the_end_of_a_step_is_kept_whatever_it_wrote(
    server: Server, existing: Existing, tmp_path: Path, fields: str, reason: str, message: str, values: Any
) -> None:
    report = _end(server, existing, tmp_path, fields)
    kept = report["output_values"]
    assert (report["reason"], json.loads(kept) if isinstance(kept, str) else kept) == (reason, values)
    assert report["message"].endswith(message) if reason == "" else message in report["message"]


def _broken_run(server: Server, existing: Existing, folder: Path, changes: str) -> str:
    """A run that nobody can read any more, as one with a number that is none was."""
    with Client(server.url.removesuffix("/api"), existing.person) as client:
        project = existing.names["project"]
        (folder / "a.py").write_text("pass")
        steps = {"a": {"file": "a.py", "image": "python"}, "b": {"file": "a.py", "image": "python", "needs": ["a"]}}
        run = submit(client, project, folder, pipeline(steps))
    with server.context.db.write() as session:
        session.execute(text(f"UPDATE runs SET {changes} WHERE id = :run"), {"run": run})
    return run


@pytest.fixture
def forgetful(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run is read anew, as after a restart."""
    monkeypatch.setattr(server.context.get(Runs), "_most", 0)


NO_NUMBER = r"""plan = replace(plan, '"cpu"\:0.5', '"cpu"\:null')"""


@pytest.mark.usefixtures("forgetful")
def test_a_run_that_cannot_be_read_can_be_cancelled(
    server: Server, existing: Existing, http: httpx.Client, tmp_path: Path
) -> None:
    run = f"{_place(existing)}/runs/{_broken_run(server, existing, tmp_path, NO_NUMBER)}"
    found = http.post(f"{run}/cancel").raise_for_status().json()
    assert (found["state"], found["reason"]) == ("failed", "BadSpec") and "cannot be read" in found["message"]
    steps = {one["name"]: one["state"] for one in http.get(f"{run}/steps").json()["items"]}
    assert steps == {"a": "failed", "b": "skipped"}
    (attempt,) = http.get(f"{run}/steps/a/attempts").json()["items"]
    with server.context.db.read() as session:
        wanted = session.execute(text("SELECT wanted FROM attempts WHERE id = :id"), {"id": attempt["id"]})
        assert wanted.scalar_one() == "stop"


@pytest.mark.usefixtures("forgetful")
def test_a_run_that_cannot_be_read_stops_no_other(
    server: Server, existing: Existing, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = _broken_run(server, existing, tmp_path, f"{NO_NUMBER}, timeout = 0.01")
    well = _broken_run(server, existing, tmp_path, "timeout = 0.01")
    with Client(server.url.removesuffix("/api"), existing.person) as client:
        project = existing.names["project"]
        assert wait_for(client, project, broken, 20).reason == "BadSpec"
        until = time.monotonic() + 20
        while client.runs.get(project, well).state == "running" and time.monotonic() < until:
            time.sleep(0.05)
        assert client.runs.get(project, well).reason == "DeadlineExceeded"
    assert "background task" not in caplog.text


def _results(**files: str) -> bytes:
    """A results folder as a shim sends it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name.replace("_", "."))
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content.encode()))
    return packed.getvalue()


CHARTS: dict[str, tuple[str, str, str, Any]] = {
    "endless": ('{"metric_type": "echarts", "file_path": "c.json"}', "[" * 100_000 + "]" * 100_000, "c.json: ", None),
    "nested": ('{"metric_type": "echarts", "file_path": "c.json"}', NESTED, "64 levels deep", None),
    "nested option": (f'{{"metric_type": "echarts", "option": {{"a": {NESTED}}}}}', "", "64 levels deep", None),
    "no number": ('{"metric_type": "echarts", "file_path": "c.json"}', '{"a": [NaN, 1e999]}', "", {"a": [None, None]}),
    "no text": (r'{"metric_type": "text", "title": "\ud800", "text": "\ud800"}', "", "", "\ufffd"),
    "no kind": (r'{"metric_type": "\ud800"}', "", "is not known", None),
}


@pytest.mark.parametrize("case", CHARTS)
def test_results_that_cannot_be_shown_say_so(server: Server, existing: Existing, http: httpx.Client, case: str) -> None:
    view, chart, problem, data = CHARTS[case]
    content = _results(metric_json=f"[{view}]", c_json=chart)
    with server.client(existing.token) as shim:
        place = f"/attempts/{existing.names['attempt']}/outputs/results"
        shim.put(place, content=content, headers={"X-Atelier-Kind": "folder"}).raise_for_status()
    run = existing.names["run"]
    (shown,) = http.get(f"{_place(existing)}/runs/{run}/steps/only/results").raise_for_status().json()["items"]
    assert shown["data"] == data and problem in shown["problem"] and bool(problem) == bool(shown["problem"])
    assert server.context.get(RunLooks).look(run, -1) is not None


def test_an_output_with_any_name_is_given_back(server: Server, existing: Existing, http: httpx.Client) -> None:
    with server.client(existing.token) as shim:
        place = f"/attempts/{existing.names['attempt']}/outputs/x%01%7fy%22%5c"
        made = shim.put(place, content=b"hi").raise_for_status().json()["artifact"]
    answer = http.get(f"{_place(existing)}/artifacts/{made}/content").raise_for_status()
    assert answer.content == b"hi" and answer.headers["Content-Disposition"] == 'attachment; filename="xy"'


def test_a_run_that_mlflow_cannot_be_told_of_keeps_no_other_waiting(
    server: Server, existing: Existing, caplog: pytest.LogCaptureFixture
) -> None:
    looked: list[str] = []

    def look(run: str, _length: int) -> None:
        looked.append(run)
        if run == "endless":
            raise RecursionError("maximum recursion depth exceeded")

    with server.context.db.write() as session:
        for run in ("endless", "well"):
            track(session, run, existing.names["project"])
    assert server.context.get(Tracker).tell_all(look, lambda session: None) == 0
    assert looked == ["endless", "well"] and "endless" in caplog.text


def test_a_service_that_cannot_be_read_keeps_no_other_waiting(
    server: Server, existing: Existing, caplog: pytest.LogCaptureFixture
) -> None:
    definition = {"image": "python", "command": ["python", "-c", "pass"]}
    with Client(server.url.removesuffix("/api"), existing.person) as client:
        for name in ("broken", "well"):
            client.services.deploy(existing.names["project"], {"name": name, **definition})
    with server.context.db.read() as session:
        rows = {row.name: row for row in open_services(session) if row.project == existing.names["project"]}
        revision = get_revision(session, rows["broken"].id, 1)
        assert revision is not None
        revision.definition = {**revision.definition, "resources": {"cpu": 1e300}}
        with session.no_autoflush:
            found = readable_views(session, list(rows.values()))
    assert set(found) == {row.id for name, row in rows.items() if name != "broken"}
    assert f"{existing.names['project']}/broken cannot be read" in caplog.text


def test_what_an_engine_tells_can_be_kept() -> None:
    seen = Observation(workload="w", state=State.DONE, message="a\0", values={"x": float("nan")})
    kept = storable(seen)
    assert (kept.message, kept.values, kept.state) == ("a\ufffd", {"x": None}, "done")
    nested = storable(seen.model_copy(update={"values": json.loads(f'{{"x": {NESTED}}}')}))
    assert (nested.state, nested.reason, nested.values) == ("failed", "OutputMissing", {})
