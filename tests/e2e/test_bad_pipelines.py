"""Pipelines that cannot run: the API and the command say why and what to do, and nothing is lost or left."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from atelier_sdk import pack
from tests.e2e.conftest import Person, person_on
from tests.e2e.documents import document, generic, template
from tests.harness.control_plane import ControlPlane, pipeline

GOOD = {"only": {"file": "a.py", "image": "python"}}


@dataclass
class Case:
    """A document, and what the sentence about it must name; `hint` is what it must tell to do."""

    make: Callable[[], Any]
    says: tuple[str, ...]
    hint: str
    parameters: dict[str, str] = field(default_factory=dict)


def changed(*path: str | int, to: Any) -> Callable[[], dict[str, Any]]:
    """The good document with something else at `path`."""

    def make() -> dict[str, Any]:
        found = whole = pipeline(GOOD)
        for part in path[:-1]:
            found = found[part]
        found[path[-1]] = to
        return whole

    return make


def steps(**given: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """A document of these steps."""
    return lambda: pipeline({name: {"file": "a.py", "image": "python", **step} for name, step in given.items()})


def with_parameters(*given: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """The good document with run-time parameters."""
    return lambda: pipeline(GOOD, parameters=list(given))


def twice() -> dict[str, Any]:
    made = pipeline({"a": {"file": "a.py"}, "b": {"file": "a.py"}})
    for node in made["pipelines"][0]["nodes"]:
        node["app_data"]["atelier"]["name"] = "train"
    return made


ROWS = {"name": "rows", "type": "integer", "required": True}
PRIMARY = ("pipelines", 0)
DATA = (*PRIMARY, "nodes", 0, "app_data")
CASES = {
    "not-a-pipeline": Case(lambda: {"a": 1}, ("doc_type",), "Elyra has written"),
    "document-version": Case(changed("version", to="2.0"), ("'2.0'", "'3.0'"), "save it once"),
    "elyra-version": Case(changed(*PRIMARY, "app_data", "version", to=3), ("app_data.version", "3"), "save it once"),
    "no-pipelines": Case(changed("pipelines", to=[]), ("no primary pipeline",), "Restore the file"),
    "no-settings": Case(changed(*PRIMARY, "app_data", to={}), ("app_data.version",), "save it once"),
    "no-steps": Case(changed(*PRIMARY, "nodes", to=[]), ("no steps",), "Add a template"),
    "no-properties": Case(changed(*DATA, "component_parameters", to={}), ("'only'", "no file"), "Choose the notebook"),
    "nodes-no-list": Case(changed(*PRIMARY, "nodes", to={"a": 1}), ("`nodes`",), "Restore the file"),
    "bad-field": Case(steps(a={"timeout": "soon"}), ("timeout", "'soon'"), "Correct the field"),
    "cycle": Case(steps(a={"needs": ["b"]}, b={"needs": ["a"]}), ("circle", "a → b"), "Delete one of the links"),
    "itself": Case(steps(a={"needs": ["a"]}), ("circle",), "Delete one of the links"),
    "dangling": Case(steps(a={"needs": ["ghost"]}), ("'a'", "ghost"), "draw it again"),
    "same-name": Case(twice, ("Two steps are called 'train'",), "Rename one"),
    "variable": Case(steps(a={"env": {"X": "{{ execution_dat }}"}}), ("execution_dat", "not known"), "define it"),
    "expression": Case(steps(a={"env": {"X": "{{ 1 + }}"}}), ("{{ 1 + }}",), "Correct the variable"),
    "out-of-reach": Case(steps(a={"env": {"X": "{{ ''.__class__ }}"}}), ("__class__",), "Correct the variable"),
    "no-parameter": Case(
        steps(a={"env": {"X": "{{ parameters.seed }}"}}), ("no run-time parameter 'seed'",), "define it"
    ),
    "missing-parameter": Case(with_parameters(ROWS), ("needs a value for 'rows'",), "-p rows=VALUE"),
    "wrong-parameter": Case(with_parameters(ROWS), ("'rows'", "'many'"), "Correct the value", {"rows": "many"}),
    "unknown-parameter": Case(
        with_parameters(ROWS), ("'row'", "Did you mean 'rows'"), "Known are: rows", {"row": "1", "rows": "1"}
    ),
    "outside": Case(
        steps(a={"file": "../../etc/passwd"}), ("'../../etc/passwd'", "outside the project"), "Copy the file"
    ),
    "outside-absolute": Case(steps(a={"file": "/etc/passwd"}), ("'/etc/passwd'", "outside"), "Copy the file"),
    "missing-file": Case(steps(a={"file": "b.py"}), ("no file 'b.py'",), "spelling"),
    "no-output": Case(
        steps(a={}, b={"inputs": {"x": {"node": "a", "output": "model"}}}), ("no output 'model'", "'x'"), "It has"
    ),
    "template": Case(
        lambda: document(template("t", "dataset-imports", source="builtin:iris")),
        ("dataset-imports",),
        "dataset-import",
    ),
    "template-parameter": Case(
        lambda: document(template("t", "dataset-import")), ("'source'", "missing"), "A CSV file of the project"
    ),
    "template-parameter-name": Case(
        lambda: document(template("t", "dataset-import", source="builtin:iris", sauce="x")), ("'sauce'",), "source"
    ),
    "template-file": Case(
        lambda: document(template("t", "dataset-import", source="my data.csv")), ("'my data.csv'",), "spelling"
    ),
    "template-file-outside": Case(
        lambda: document(template("t", "dataset-import", source="../data.csv")), ("outside",), "Copy the file"
    ),
    "input": Case(lambda: document(template("s", "data-split")), ("'data' is not connected",), "Connect"),
    "image-type": Case(
        lambda: document(
            template("i", "dataset-import", source="builtin:iris"),
            template("e", "model-evaluation", inputs={"data": ("i", "data"), "model": ("i", "data")}),
        ),
        ("'model' takes 'model'",),
        "right type",
    ),
    "output-outside": Case(
        lambda: document(generic("g", "a.py", files=["../out.csv"])), ("'../out.csv'",), "inside the project"
    ),
}
# What only a run can know: the values that it is given.
AT_RUN = {"missing-parameter", "wrong-parameter", "unknown-parameter"}


@pytest.fixture(scope="module")
def careless(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """One person who makes all mistakes."""
    with closing(person_on(plane, tmp_path_factory.mktemp("careless"))) as person:
        yield person


def counted(person: Person) -> tuple[int, int]:
    """How many runs and revisions there are."""
    return len(list(person.client.runs.list(person.name))), len(list(person.client.revisions.list(person.name)))


def refused(person: Person, folder: Path, made: Any, case: Case) -> httpx.Response:
    """What the API answers to whoever sends the document without asking first."""
    with pack(folder) as snapshot:
        person.client.snapshots.upload(person.name, snapshot)
    body = {"path": "my.pipeline", "document": made, "snapshot": snapshot.digest}
    answer = person.http("POST", "revisions", json=body)
    if answer.status_code != 201:
        return answer
    return person.http("POST", "runs", json={"revision": answer.json()["id"], "parameters": case.parameters})


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_with_what_to_do(careless: Person, name: str) -> None:
    case, person = CASES[name], careless
    made = case.make()
    folder = person.folder({"a.py": "print(1)", "my.pipeline": json.dumps(made)}, f"bad {name}")
    runs, revisions = counted(person)

    answer = refused(person, folder, made, case)
    assert answer.status_code == 422, answer.text
    body = answer.json()
    problems = body.get("problems") or [body]
    for word in case.says:
        assert any(word in problem["message"] for problem in problems), problems
    assert any(case.hint in problem["hint"] for problem in problems), problems
    assert all(problem["hint"] for problem in problems), problems

    arguments = [part for item in case.parameters.items() for part in ("-p", "=".join(item))]
    told = person.command("pipeline", "run", str(folder / "my.pipeline"), *arguments)
    assert told.returncode == 2, told.stdout + told.stderr
    assert "Traceback" not in told.stderr
    for word in (*case.says, case.hint):
        assert word in told.stderr, told.stderr
    more = 2 if name in AT_RUN else 0  # there the revision itself is right
    assert counted(person) == (runs, revisions + more)


def test_what_is_not_json_is_named_by_line(anna: Person) -> None:
    folder = anna.folder({"a.py": "", "my.pipeline": json.dumps(pipeline(GOOD), indent=1)[:-300]})
    for verb in ("check", "run"):
        told = anna.command("pipeline", verb, str(folder / "my.pipeline"))
        assert told.returncode == 2
        assert "is not a pipeline: line" in told.stderr
        assert "version control" in told.stderr
    (folder / "my.pipeline").write_bytes(b"\xff\xfe\x00")
    assert anna.command("pipeline", "check", str(folder / "my.pipeline")).returncode == 2
    (folder / "my.pipeline").write_text("[1, 2]")
    told = anna.command("pipeline", "check", str(folder / "my.pipeline"))
    assert (told.returncode, "no pipeline" in told.stderr) == (2, True), told.stderr
    assert anna.command("pipeline", "run", str(folder / "gone.pipeline")).returncode == 2
    sent = anna.http("POST", "revisions", content=b'{"path": ', headers={"Content-Type": "application/json"})
    assert sent.status_code == 422
    assert sent.json()["hint"]


def test_all_mistakes_are_told_at_once(anna: Person) -> None:
    made = pipeline({"a": {"file": "b.py"}, "c": {"file": "../d.py", "env": {"X": "{{ nope }}"}}})
    folder = anna.folder({"my.pipeline": json.dumps(made)})
    told = anna.command("pipeline", "run", str(folder / "my.pipeline"))
    assert told.returncode == 2
    assert all(word in told.stderr for word in ("'b.py'", "'../d.py'", "nope", "3 problems"))
    checked = anna.command("pipeline", "check", str(folder / "my.pipeline"), "--json")
    found = [json.loads(line) for line in checked.stdout.splitlines()]
    assert [(one["node"], one["field"]) for one in found] == [("a", "filename"), ("c", "filename"), ("c", "env.X")]
    assert refused(anna, folder, made, CASES["cycle"]).json()["problems"] == found


def test_unknown_fields_of_a_document_survive_and_of_a_request_are_named(anna: Person) -> None:
    made = pipeline({"only": {"file": "a.py", "image": "python", "colour": "blue"}}, later={"x": 1})
    made["made_by"] = "another tool"
    folder = anna.folder({"a.py": "", "my.pipeline": json.dumps(made)})
    with pack(folder) as snapshot:
        anna.client.snapshots.upload(anna.name, snapshot)
    body = {"path": "my.pipeline", "document": made, "snapshot": snapshot.digest}
    kept = anna.http("POST", "revisions", json=body)
    assert anna.http("GET", f"revisions/{kept.json()['id']}").json()["document"] == made
    for path, sent in (("revisions", body), ("runs", {"revision": kept.json()["id"]})):
        answer = anna.http("POST", path, json=sent | {"colour": "blue"})
        assert answer.status_code == 422
        assert answer.json()["field"] == "colour"
        assert answer.json()["hint"]
    assert counted(anna) == (0, 1)


def test_an_unknown_back_end_revision_or_project_is_named(anna: Person) -> None:
    folder = anna.folder({"a.py": "", "my.pipeline": json.dumps(pipeline(GOOD))})
    told = anna.command("pipeline", "run", str(folder / "my.pipeline"), "--on", "mars")
    assert told.returncode == 2, told.stderr
    assert "no back end 'mars'" in told.stderr
    assert "Configured here: local" in told.stderr
    revision = next(iter(anna.client.revisions.list(anna.name))).id
    answer = anna.http("POST", "runs", json={"revision": revision, "on": "mars"})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_backend")
    gone = anna.http("POST", "runs", json={"revision": "v000"})
    assert (gone.status_code, "'v000'" in gone.json()["message"]) == (404, True)
    told = anna.command("pipeline", "run", str(folder / "my.pipeline"), "--project", "nobody-has-it")
    assert told.returncode == 1
    assert "nobody-has-it" in told.stderr
    assert "Traceback" not in told.stderr
    assert counted(anna) == (0, 1)
