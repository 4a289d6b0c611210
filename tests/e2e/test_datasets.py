"""Datasets as inputs of steps, on both engines: pinned when the run starts, kept as long as it needs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from atelier_sdk import AtelierError
from tests.e2e.conftest import Person
from tests.harness.control_plane import pipeline, submit

LOOK = """
import json, os
from pathlib import Path

given = json.loads(Path(os.environ["ATELIER_PARAMETERS"]).read_text())
folder = Path(os.environ["ATELIER_INPUTS"], "data")
files = {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}
Path(os.environ["ATELIER_OUTPUTS"], "outputs.json").write_text(json.dumps({"given": given, "files": files}))
"""
WAIT = (
    LOOK
    + """
import time
print("waiting", flush=True)
while not Path(given["go"]).exists():
    time.sleep(0.05)
"""
)


def rows(person: Person, name: str, *texts: str, folder: str = "data") -> None:
    """A dataset with one version for each text, a folder of three files with odd names."""
    person.client.datasets.create(person.name, name)
    for text in texts:
        files = {"rows.csv": text, "sub folder/日本.txt": "x" * 600, f"{'long' * 30}/deep.txt": ""}
        person.client.datasets.add(person.name, name, person.folder(files, folder))


def look(person: Person, reference: str, code: str = LOOK, **more: Any) -> str:
    outputs = {"given": "value", "files": "value"}
    step = {"file": "look.py", "parameters": {"data": reference, **more}, "outputs": outputs}
    return person.submit({"look.py": code}, {"look": step})


def test_a_step_finds_the_files(everywhere: Person) -> None:
    rows(everywhere, "rows", "x\n1\n", "x\n2\n")
    run = look(everywhere, "dataset:rows@1")
    assert everywhere.wait(run, 180).state == "done", everywhere.log(run, "look")
    values = everywhere.values(run, "look")
    assert values["given"] == {"data": "dataset:rows@1"}
    assert values["files"] == {"rows.csv": "x\n1\n", "sub folder/日本.txt": "x" * 600, f"{'long' * 30}/deep.txt": ""}


def test_import_data_reads_a_dataset(everywhere: Person, tmp_path: Path) -> None:
    (tmp_path / "flowers.csv").write_text("a;b;kind\n1;2,5;x\n2;3,5;y\n")
    everywhere.client.datasets.create(everywhere.name, "flowers")
    everywhere.client.datasets.add(everywhere.name, "flowers", tmp_path / "flowers.csv")
    document = pipeline({})
    document["pipelines"][0]["nodes"].append(import_node("dataset:flowers"))
    run = submit(everywhere.client, everywhere.name, everywhere.folder({}), document, on=everywhere.on)
    assert everywhere.wait(run, 240).state == "done", everywhere.log(run, "import")
    assert everywhere.values(run, "import")["rows"] == 2


def import_node(source: str) -> dict[str, Any]:
    from atelier_core.template import op_id

    extras = {"template": "dataset-import", "version": "1.0", "name": "import"}
    parameters = {"source": source, "decimal": ","}
    return {
        "id": "import",
        "type": "execution_node",
        "op": op_id("dataset-import"),
        "app_data": {"label": "import", "component_parameters": parameters, "ui_data": {}, "atelier": extras},
        "inputs": [{"id": "inPort", "links": []}],
        "outputs": [{"id": "outPort"}],
    }


def test_a_run_keeps_to_the_version_that_it_began_with(anna: Person, marks: Path) -> None:
    """The newest when it is started; a newer one does not come in between; while it runs nobody takes it away."""
    rows(anna, "moving", "x\n1\n")
    run = look(anna, "dataset:moving", WAIT, go=str(marks / "go"))
    anna.client.datasets.add(anna.name, "moving", anna.folder({"rows.csv": "x\n2\n"}, "newer"))
    with pytest.raises(AtelierError, match="use dataset:moving") as refusal:
        anna.client.datasets.delete(anna.name, "moving", force=True)
    assert refusal.value.code == "in_use" and run in refusal.value.message
    anna.client.datasets.delete_version(anna.name, "moving", 2)
    (marks / "go").touch()
    assert anna.wait(run).state == "done"
    assert anna.values(run, "look")["files"]["rows.csv"] == "x\n1\n"
    with pytest.raises(AtelierError) as warning:
        anna.client.datasets.delete(anna.name, "moving")
    assert warning.value.code == "was_used" and "force" in warning.value.hint
    anna.client.datasets.delete(anna.name, "moving", force=True)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("dataset:nothing", "has no dataset:nothing"),
        ("dataset:there@9", "has no dataset:there@9"),
        ("dataset:empty", "has no version yet"),
        ("dataset:far", "s3://bucket/far"),
    ],
)
def test_what_cannot_be_used_is_said_before_the_run(anna: Person, reference: str, said: str) -> None:
    rows(anna, "there", "x\n")
    anna.client.datasets.create(anna.name, "empty")
    anna.client.datasets.create(anna.name, "far")
    anna.client.datasets.register(anna.name, "far", "s3://bucket/far")
    with pytest.raises(AtelierError, match=said) as refusal:
        look(anna, reference)
    (problem,) = refusal.value.details["problems"]
    assert (problem["node"], problem["field"]) == ("look", "data") and problem["hint"]
    document = pipeline({"look": {"file": "look.py", "parameters": {"data": reference}}})
    found = anna.client.pipelines.check(anna.name, document=document, path="t.pipeline", files=["look.py"])
    assert [one.message for one in found] == [problem["message"]]


def test_a_text_that_only_begins_like_a_reference(anna: Person) -> None:
    run = look(anna, "dataset: my notes")
    assert anna.wait(run).state == "done"
    assert anna.values(run, "look") == {"given": {"data": "dataset: my notes"}, "files": {}}


def test_broken_references_of_a_template(anna: Person) -> None:
    document = pipeline({})
    document["pipelines"][0]["nodes"].append(import_node("dataset:Bad Name"))
    found = anna.client.pipelines.check(anna.name, document=document, path="t.pipeline", files=[])
    assert [one.field for one in found] == ["source"] and "not a reference" in found[0].message


def test_another_projects_dataset_does_not_exist(anna: Person, new_person: Any) -> None:
    rows(anna, "private", "x\n")
    with pytest.raises(AtelierError, match="has no dataset:private"):
        look(new_person(), "dataset:private")


def test_a_dataset_from_a_run_time_parameter(anna: Person) -> None:
    rows(anna, "chosen", "x\n7\n")
    step = {
        "file": "look.py",
        "parameters": {"data": "{{ parameters.data }}"},
        "outputs": {"files": "value", "given": "value"},
    }
    parameters = [{"name": "data", "type": "string", "required": True}]
    run = anna.submit(
        {"look.py": LOOK}, {"look": step}, run={"parameters": {"data": "dataset:chosen"}}, parameters=parameters
    )
    assert anna.wait(run).state == "done", json.dumps([str(one) for one in anna.attempts(run, "look")])
    assert anna.values(run, "look")["files"]["rows.csv"] == "x\n7\n"
