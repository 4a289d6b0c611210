"""What only this machine can do: check, run, compare and read the files that Lab shows; and the demo."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from atelier_sdk import Client
from atelier_server.info import compare, look
from atelier_server.local.demo import copy_demo, copy_once
from atelier_server.settings import Settings
from atelier_server.upstream import ControlPlane
from atelier_templates.demos import DIGITS
from tests.atelier_server.servers import Notebook
from tests.harness.control_plane import pipeline, wait_for


def place(notebook: Notebook, folder: str, document: Any, **files: str) -> str:
    """A pipeline in a folder of the person, with files beside it."""
    where = notebook.folder / folder
    where.mkdir(parents=True, exist_ok=True)
    (where / "test.pipeline").write_text(json.dumps(document))
    for name, text in files.items():
        (where / f"{name}.py").write_text(text)
    return f"{folder}/test.pipeline"


def run(ada: httpx.Client, path: str, **fields: Any) -> httpx.Response:
    return ada.post("/local/run", json={"path": path, **fields})


# --- check ---


def test_check_takes_the_editors_document_or_the_file(notebook: Notebook, ada: httpx.Client) -> None:
    good = pipeline({"one": {"file": "one.py", "image": "python"}})
    path = place(notebook, "check", good, one="print(1)")
    assert ada.post("/local/check", json={"path": path}).json() == {"problems": []}
    bad = pipeline({"one": {"file": "missing.py", "image": "python"}})
    (problem,) = ada.post("/local/check", json={"path": path, "document": bad}).json()["problems"]
    assert problem["node"] == "one" and problem["field"] == "filename" and "missing.py" in problem["message"]
    new = ada.post("/local/check", json={"path": "not/saved/yet.pipeline", "document": bad}).json()["problems"]
    assert new and new[0]["field"] == "filename"


@pytest.mark.parametrize(
    ("text", "said"), [("{", "line 1"), ("[" * 100_000, "nested too deeply"), ("\udcff", "not text"), ("", "line 1")]
)
def test_a_damaged_file_is_named_with_its_place(notebook: Notebook, ada: httpx.Client, text: str, said: str) -> None:
    (notebook.folder / "damaged.pipeline").write_text(text, errors="surrogateescape")
    for route in ("check", "run"):
        answer = ada.post(f"/local/{route}", json={"path": "damaged.pipeline"})
        assert answer.status_code == 422 and said in answer.json()["message"] and answer.json()["hint"]


def test_a_request_that_is_none(ada: httpx.Client) -> None:
    for body in ({}, {"path": ""}, {"path": 1}, {"path": "x", "other": 1}, [], "x"):
        answer = ada.post("/local/check", json=body)
        assert answer.status_code == 422 and answer.json()["message"] and answer.json()["code"] == "invalid"
    assert ada.post("/local/ports", content=b"\xff{").status_code == 422
    assert ada.get("/local/difference").status_code == 400
    assert ada.get("/local/check").status_code in {404, 405}


# --- paths ---


@pytest.mark.parametrize(
    "path",
    [
        "../eve/x.pipeline",
        "/../../etc/passwd",
        "check/../../../x",
        "link/x.pipeline",
        "link-file.pipeline",
        "a\0b",
        "x" * 5000,
    ],
)
def test_no_path_leads_out_of_the_folder(notebook: Notebook, ada: httpx.Client, tmp_path: Path, path: str) -> None:
    (tmp_path / "x.pipeline").write_text("{}")
    for name, target in (("link", tmp_path), ("link-file.pipeline", tmp_path / "x.pipeline")):
        (notebook.folder / name).unlink(missing_ok=True)
        (notebook.folder / name).symlink_to(target)
    answers = [ada.post(f"/local/{route}", json={"path": path}) for route in ("check", "run", "ports")]
    answers.append(ada.get("/local/difference", params={"path": path, "revision": "v1"}))
    for answer in answers:
        assert answer.status_code in {403, 404, 422}, answer.text
        assert answer.json()["hint"]
    if path.startswith(("..", "/..", "link")):
        assert {answer.json()["code"] for answer in answers} == {"outside"}


def test_a_link_inside_the_folder_is_followed(notebook: Notebook, ada: httpx.Client) -> None:
    place(notebook, "real", pipeline({"one": {"file": "one.py", "image": "python"}}), one="print(1)")
    (notebook.folder / "inside").unlink(missing_ok=True)
    (notebook.folder / "inside").symlink_to(notebook.folder / "real")
    assert ada.post("/local/check", json={"path": "inside/test.pipeline"}).json() == {"problems": []}


# --- run ---


def test_the_file_on_disk_runs_once_for_one_key(notebook: Notebook, ada: httpx.Client, platform: Client) -> None:
    document = pipeline(
        {"one": {"file": "one.py", "image": "python", "parameters": {"who": "{{ parameters.who }}"}}},
        parameters=[{"name": "who", "type": "string", "default": "nobody"}],
    )
    code = 'import json, os\nprint("hello", json.load(open(os.environ["ATELIER_PARAMETERS"]))["who"])\n'
    path = place(notebook, "run", document, one=code)
    (notebook.folder / "run" / ".env").write_text("KEY=secret")
    made = [run(ada, path, parameters={"who": "ada"}, idempotency_key="twice") for _ in range(2)]
    assert [answer.status_code for answer in made] == [200, 200], made[0].text
    first, second = (answer.json() for answer in made)
    assert first["id"] == second["id"] and first["project"] == "ada" and first["parameters"] == {"who": "ada"}
    assert first["left_out"] == {".env": "a secret by its name"}
    assert wait_for(platform, "ada", first["id"]).state == "done"
    assert b"".join(platform.steps.logs("ada", first["id"], "one")) == b"hello ada\n"


def test_a_run_is_found_by_its_file(notebook: Notebook, ada: httpx.Client) -> None:
    """Two files of one name, and with one document, have runs of their own."""
    document = pipeline({"one": {"file": "one.py", "image": "python"}}) | {"id": "the same"}
    paths = [place(notebook, folder, document, one="print(1)") for folder in ("here/deep", "there")]
    made = {path: [run(ada, path).json()["id"] for _ in range(2)] for path in paths}

    def found(**query: Any) -> list[str]:
        return [one["id"] for one in ada.get("/api/projects/ada/runs", params=query).json()["items"]]

    for path in paths:
        assert found(path=path, document="the same", limit=1) == [made[path][1]]
        assert found(path=[path, "test.pipeline"], document="the same") == made[path][::-1]
        assert found(path=path, document="another") == []
    assert set(found(document="the same")) == {*made[paths[0]], *made[paths[1]]}
    assert found(path="test.pipeline", document="the same") == []
    assert ada.get("/api/projects/ada/runs", params={"path": "a\0b"}).status_code == 422
    named = run(ada, f"/{paths[1]}").json()
    assert named["name"] == "test" and found(path=paths[1], limit=1) == [named["id"]]


def test_problems_come_with_their_places(notebook: Notebook, ada: httpx.Client) -> None:
    path = place(notebook, "wrong", pipeline({"one": {"file": "gone.py", "image": "python"}}))
    answer = run(ada, path)
    assert answer.status_code == 422 and answer.json()["code"] == "invalid_pipeline"
    assert answer.json()["problems"][0]["field"] == "filename"


def test_the_controls_plane_refusal_arrives_as_it_is(notebook: Notebook, ada: httpx.Client) -> None:
    path = place(notebook, "refused", pipeline({"one": {"file": "one.py", "image": "python"}}), one="print(1)")
    foreign = run(ada, path, project="not-mine")
    assert foreign.status_code == 404 and foreign.json()["code"] == "no_project"
    nowhere = run(ada, path, on="nowhere")
    assert nowhere.status_code == 422 and nowhere.json()["message"]
    link = notebook.folder / "refused" / "out.py"
    link.symlink_to("/etc/hostname")
    try:
        refused = run(ada, path)
        assert refused.status_code == 422 and refused.json()["code"] == "link_outside"
    finally:
        link.unlink()


def test_a_script_runs_as_a_job_and_keeps_what_it_always_writes(
    notebook: Notebook, ada: httpx.Client, platform: Client
) -> None:
    (notebook.folder / "job").mkdir(exist_ok=True)
    code = (
        "import json, os\nfrom pathlib import Path\n"
        'given = json.loads(Path(os.environ["ATELIER_PARAMETERS"]).read_text())\n'
        'Path("result.txt").write_text(str(given.get("n", 1) + 1))\n'
        'if given.get("more"):\n    Path("more.txt").write_text("x")\n'
    )
    (notebook.folder / "job" / "count.py").write_text(code)
    answer = run(ada, "job/count.py", parameters={"n": 41}, image="python")
    assert answer.status_code == 200, answer.text
    done = wait_for(platform, "ada", answer.json()["id"])
    assert done.state == "done" and done.name == "count.py"
    artifacts = {one.name: one for one in platform.runs.artifacts("ada", done.id)}
    assert set(artifacts) == {"result.txt"}
    target = platform.artifacts.download("ada", artifacts["result.txt"].id, notebook.folder.parent / "result")
    assert target.read_text() == "42"


def test_a_run_while_the_control_plane_is_away(notebook: Notebook, ada: httpx.Client) -> None:
    path = place(notebook, "away", pipeline({"one": {"file": "one.py", "image": "python"}}), one="print(1)")
    notebook.plane.kill()
    try:
        answer = ada.post("/local/check", json={"path": path})
        assert answer.status_code == 503 and answer.json()["code"] == "control_plane_away" and answer.json()["hint"]
    finally:
        notebook.plane.start()


# --- difference ---


def test_difference_sees_the_document_and_the_folder(notebook: Notebook, ada: httpx.Client, platform: Client) -> None:
    document = pipeline({"one": {"file": "one.py", "image": "python"}})
    path = place(notebook, "differ", document, one="print(1)")
    revision = run(ada, path).json()["revision"]

    def differs() -> dict[str, bool]:
        answer = ada.get("/local/difference", params={"path": path, "revision": revision})
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    assert differs() == {"differs": False, "document": False, "folder": False}
    (notebook.folder / "differ" / "one.py").write_text("print(2)")
    assert differs() == {"differs": True, "document": False, "folder": True}
    place(notebook, "differ", pipeline({"two": {"file": "one.py", "image": "python"}}), one="print(1)")
    assert differs() == {"differs": True, "document": True, "folder": True}
    missing = ada.get("/local/difference", params={"path": path, "revision": "vnone"})
    assert missing.status_code == 404


# --- datasets ---


def finished(ada: httpx.Client, sending: dict[str, Any]) -> dict[str, Any]:
    until = time.monotonic() + 60
    while sending["state"] in {"reading", "sending"} and time.monotonic() < until:
        time.sleep(0.1)
        sending = ada.get("/local/dataset", params={"id": sending["id"]}).json()
    return sending


def test_a_folder_becomes_a_version(notebook: Notebook, ada: httpx.Client, platform: Client) -> None:
    folder = notebook.folder / "rows"
    folder.mkdir(exist_ok=True)
    (folder / "a.csv").write_text("x,y\n1,2\n")
    (folder / "b.bin").write_bytes(os.urandom(30 * 1024**2))
    body = {"path": "rows", "name": "rows", "description": "Rows", "tags": ["demo"], "note": "first"}
    done = finished(ada, ada.post("/local/dataset", json=body).json())
    assert done["state"] == "done" and done["version"]["number"] == 1 and done["sent"] == done["size"] > 30 * 1024**2
    again = finished(ada, ada.post("/local/dataset", json=body).json())
    assert again["version"]["number"] == 1, "nothing changed"
    found = platform.datasets.get("ada", "rows")
    assert found.description == "Rows" and found.tags == ["demo"]
    seen = ada.get("/api/projects/ada/datasets/rows/versions/latest/preview", params={"path": "a.csv"}).json()
    assert seen["rows"] == [[1, 2]]


def test_data_that_cannot_be_sent_says_why(notebook: Notebook, ada: httpx.Client) -> None:
    (notebook.folder / "one.csv").write_text("x")
    bad_name = ada.post("/local/dataset", json={"path": "one.csv", "name": "Bad Name"})
    assert bad_name.status_code == 422 and bad_name.json()["code"] == "bad_name" and bad_name.json()["hint"]
    wanted = {"path": "one.csv", "name": "only-once", "new": True}
    assert finished(ada, ada.post("/local/dataset", json=wanted).json())["state"] == "done"
    assert ada.post("/local/dataset", json=wanted).status_code == 409
    (notebook.folder / "leads-out").symlink_to("/etc")
    linked = ada.post("/local/dataset", json={"path": "leads-out", "name": "linked"})
    assert linked.status_code == 403 and linked.json()["code"] == "outside"
    for path, code in (("none.csv", "no_file"), ("../eve", "outside")):
        refused = ada.post("/local/dataset", json={"path": path, "name": "x"})
        assert refused.status_code in {403, 404} and refused.json()["code"] == code
    unknown = ada.get("/local/dataset", params={"id": "x"})
    assert unknown.status_code == 404 and unknown.json()["hint"]


def test_sending_can_be_cancelled_and_goes_on_later(notebook: Notebook, ada: httpx.Client) -> None:
    size = 400 * 1024**2
    with (notebook.folder / "large.bin").open("wb") as file:
        for _ in range(size // 1024**2):
            file.write(os.urandom(1024**2))
    wanted = {"path": "large.bin", "name": "large"}
    sending = ada.post("/local/dataset", json=wanted).json()
    assert sending["state"] in {"reading", "sending"}
    assert ada.post("/local/dataset/cancel", json={"id": sending["id"]}).status_code == 200
    assert finished(ada, sending)["state"] == "cancelled"
    assert ada.get("/api/projects/ada/datasets/large").json()["newest"] is None
    assert ada.post("/local/dataset/cancel", json={"id": "x"}).status_code == 404
    again = finished(ada, ada.post("/local/dataset", json=wanted).json())
    assert again["state"] == "done" and again["version"]["number"] == 1
    (notebook.folder / "large.bin").unlink()


# --- the demo ---


def test_the_demo_is_there_at_the_first_login(notebook: Notebook) -> None:
    copied = notebook.folder / "atelier-demo"
    names = {
        file.relative_to(DIGITS) for file in DIGITS.rglob("*") if file.is_file() and "__pycache__" not in file.parts
    }
    assert {file for file in names if (copied / file).read_bytes() == (DIGITS / file).read_bytes()} == names


def test_the_demo_comes_back_on_demand_and_never_over_a_change(notebook: Notebook, ada: httpx.Client) -> None:
    copied = notebook.folder / "atelier-demo"
    (copied / "summarize.py").write_text("mine")
    (copied / "README.md").unlink()
    assert ada.post("/local/demo", json={}).json() == {"path": "atelier-demo/digits.pipeline"}
    assert (copied / "summarize.py").read_text() == "mine" and (copied / "README.md").is_file()
    assert not list(copied.glob(".*new*"))
    assert ada.post("/local/check", json={"path": "atelier-demo/digits.pipeline"}).json() == {"problems": []}
    (copied / "summarize.py").write_bytes((DIGITS / "summarize.py").read_bytes())


def alone(root: Path) -> Settings:
    return Settings("ada", "ada", "http://127.0.0.1:1", "", root)


def test_a_removed_demo_stays_removed(tmp_path: Path) -> None:
    log = logging.getLogger("test")
    copy_once(alone(tmp_path), log)
    demo = tmp_path / "atelier-demo"
    for file in demo.iterdir():
        file.unlink()
    demo.rmdir()
    copy_once(alone(tmp_path), log)
    assert not demo.exists()


def test_a_folder_that_cannot_be_written_keeps_no_server_from_starting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "atelier-demo").write_text("a file of this name")
    copy_once(alone(tmp_path), logging.getLogger("test"))
    assert "was not copied" in caplog.text and not (tmp_path / ".atelier/demo").exists()


def test_two_servers_copy_at_once(tmp_path: Path) -> None:
    threads = [threading.Thread(target=copy_demo, args=(alone(tmp_path),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    copied = tmp_path / "atelier-demo"
    for file in (one for one in DIGITS.rglob("*") if one.is_file() and "__pycache__" not in one.parts):
        assert (copied / file.relative_to(DIGITS)).read_bytes() == file.read_bytes()
    assert not [name for name in os.listdir(copied) if ".new-" in name]


# --- info ---


def test_info_says_who_and_where(ada: httpx.Client) -> None:
    info = ada.get("/info").json()
    assert info["user"] == info["project"] == "ada" and info["version"] and info["python"].startswith("3.")
    assert info["control_plane"] == {"state": "ok", "version": info["version"], "message": "", "hint": ""}
    assert info["front"]["state"] == "ok"
    old = ada.get("/info", params={"front": "0.0.9"}).json()["front"]
    assert old["state"] == "mismatch" and "Reload" in old["hint"]


@pytest.mark.parametrize(
    ("theirs", "ours", "state", "hint"),
    [
        ("1.2.3", "1.2.9", "ok", ""),
        ("1.1.9", "1.2.0", "mismatch", "older"),
        ("2.0.0", "1.9.0", "mismatch", "newer"),
        ("", "1.0.0", "mismatch", "older"),
        ("nonsense", "0.1.0", "mismatch", "older"),
    ],
)
def test_versions_fit_by_their_first_two_numbers(theirs: str, ours: str, state: str, hint: str) -> None:
    part = compare("The control plane", theirs, ours, older="older", newer="newer")
    assert (part.state, part.hint) == (state, hint)
    assert state == "ok" or (theirs or "?") in part.message


@pytest.mark.parametrize(("url", "state"), [("", "refused"), ("http://127.0.0.1:1", "away")])
async def test_a_token_that_is_not_accepted_or_nobody_who_answers(notebook: Notebook, url: str, state: str) -> None:
    upstream = ControlPlane(Settings("ada", "ada", url or notebook.plane.url, "0" * 32))
    part = await look(upstream)
    await upstream.close()
    assert part.state == state and part.message and part.hint
