"""Registered models through client and command: versions of folders and of runs, aliases, approvals, removal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from atelier_cli import main
from atelier_sdk import AtelierError, Client
from tests.harness.control_plane import pipeline, submit, wait_for
from tests.harness.tracking import Member, Platform

SIGNATURE = {
    "inputs": json.dumps([{"type": "double", "name": "a", "required": True}]),
    "outputs": json.dumps([{"type": "long", "required": True}]),
}


def model_folder(folder: Path, content: str) -> Path:
    """A folder as trainers leave it."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "MLmodel").write_text(
        "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n  sklearn:\n    pickled_model: model.pkl\n"
        f"signature:\n  inputs: '{SIGNATURE['inputs']}'\n  outputs: '{SIGNATURE['outputs']}'\n  params: null\n"
    )
    (folder / "model.pkl").write_text(content)
    (folder / "model.json").write_text(json.dumps({"framework": "sklearn", "algorithm": "knn"}))
    (folder / "data/training_sample.csv").write_text("a\n1\n")
    return folder


@pytest.fixture
def person(platform: Platform) -> Member:
    return platform.person()


@pytest.fixture
def client(platform: Platform, person: Member) -> Client:
    return Client(platform.plane.url, person.token)


def test_a_folder_becomes_versions(platform: Platform, person: Member, client: Client, tmp_path: Path) -> None:
    project = person.name
    folder = model_folder(tmp_path / "model", "one")
    first = client.models.register(project, "digits", folder, note="first", metrics={"accuracy": 0.9})
    assert (first.number, first.reference, first.framework) == (1, "models:/digits/1", "sklearn")
    assert first.flavors == ["python_function", "sklearn"] and first.files == 4 and first.metrics == {"accuracy": 0.9}
    assert first.signature["inputs"] == json.loads(SIGNATURE["inputs"]) and first.signature["params"] is None
    assert client.models.register(project, "digits", folder).number == 1, "the same content is the same version"
    second = client.models.register(project, "digits", model_folder(folder, "two"))
    assert second.number == 2 and second.name == "digits"
    assert [one.number for one in client.models.versions(project, "digits")] == [2, 1]
    assert [one.name for one in client.models.list(project, search="DIG")] == ["digits"]
    assert client.models.get(project, "digits").newest.number == 2  # type: ignore[union-attr]
    back = client.models.download(project, "digits", 1, tmp_path / "back")
    assert (back / "model.pkl").read_text() == "one" and (back / "data/training_sample.csv").exists()
    compared = client.models.compare(project, "digits", [1, 2])
    assert compared.metrics == ["accuracy"] and [one["number"] for one in compared.versions] == [1, 2]
    seen = client.models.get(project, "digits").version
    changed = client.models.update(project, "digits", description="Numbers", version=seen)
    assert changed.description == "Numbers" and changed.version == seen + 1
    with pytest.raises(AtelierError, match="since you read it"):
        client.models.update(project, "digits", description="Other", version=seen)
    # The ordinary client sees the same versions with the same files.
    seen = platform.script(
        person,
        "import json, mlflow\n"
        "versions = mlflow.MlflowClient().search_model_versions(\"name = 'digits'\")\n"
        "folder = mlflow.artifacts.download_artifacts('models:/digits/1')\n"
        "print(json.dumps([sorted(v.version for v in versions), open(folder + '/model.pkl').read()]))",
    )
    assert json.loads(seen) in ([["1", "2"], "one"], [[1, 2], "one"])


def test_what_is_no_model_is_refused(client: Client, person: Member, tmp_path: Path) -> None:
    project = person.name
    (tmp_path / "notes.md").write_text("text")
    for source, content in (("notes.md", None), ("bad", "flavors: ["), ("none", "a: 1"), ("bomb", "a: &a [*a]\nb: 1")):
        folder = tmp_path / source
        if content is not None:
            folder.mkdir()
            (folder / "MLmodel").write_text(content)
        with pytest.raises(AtelierError) as refused:
            client.models.register(project, "bad", folder)
        assert refused.value.code == "not_a_model" and refused.value.hint, source
    assert not list(client.models.list(project))
    (tmp_path / "net.onnx").write_bytes(b"onnx")
    assert client.models.register(project, "net", tmp_path / "net.onnx").framework == "onnx"
    with pytest.raises(AtelierError) as wrong:
        client.models.register(project, "a name", tmp_path / "net.onnx")
    assert wrong.value.status == 422 and wrong.value.code == "bad_name"
    body = {"files": [{"path": "m.onnx", "size": 4, "digest": "sha256:" + "1" * 64}]}
    with pytest.raises(AtelierError) as foreign:
        client.models._register(project, "net", body)
    assert foreign.value.code == "missing_content"


def test_production_is_for_approved_versions(client: Client, person: Member, tmp_path: Path) -> None:
    project = person.name
    for content in ("one", "two"):
        client.models.register(project, "net", model_folder(tmp_path / "model", content))
    assert client.models.set_alias(project, "net", "candidate", 1).aliases == {"candidate": 1}
    with pytest.raises(AtelierError) as refused:
        client.models.set_alias(project, "net", "production", 1)
    assert refused.value.code == "not_approved" and "maintainer" in refused.value.hint
    assert client.models.approve(project, "net", 1, note="measured").approved
    assert client.models.set_alias(project, "net", "production", 1).aliases == {"candidate": 1, "production": 1}
    assert client.models.version(project, "net", "@production").number == 1
    with pytest.raises(AtelierError) as used:
        client.models.revoke(project, "net", 1)
    assert used.value.code == "in_use"
    for alias in ("latest", "v3", "A b"):
        with pytest.raises(AtelierError) as bad:
            client.models.set_alias(project, "net", alias, 1)
        assert bad.value.status == 422
    with pytest.raises(AtelierError) as meant:
        client.models.delete_version(project, "net", 1)
    assert meant.value.code == "was_used" and "alias" in meant.value.message
    client.models.remove_alias(project, "net", "candidate")
    client.models.delete_version(project, "net", 1, force=True)
    assert client.models.get(project, "net").aliases == {}
    third = client.models.register(project, "net", model_folder(tmp_path / "model", "three"))
    assert third.number == 3, "a number is not given twice"
    kinds = [event["kind"] for event in _events(client, project)]
    for kind in ("model.created", "model.version_added", "model.alias_set", "model.approved", "model.version_removed"):
        assert kind in kinds
    client.models.delete(project, "net")
    assert not list(client.models.list(project))
    assert client.models.register(project, "net", tmp_path / "model").number >= 1


def _events(client: Client, project: str) -> list[dict[str, Any]]:
    found = []
    with client._transport.stream("events", params={"project": project}, headers={"Last-Event-ID": "0"}) as answer:
        for line in answer.iter_lines():
            if line.startswith("data:") and '"kind"' in line:
                found.append(json.loads(line.removeprefix("data:")))
            if found and found[-1]["kind"] == "model.version_added" and found[-1]["data"]["version"] == 3:
                return found
    return found


STEPS = {
    "train.py": (
        "import json, os, pathlib\n"
        "folder = pathlib.Path(os.environ['ATELIER_OUTPUTS'], 'model')\n"
        "folder.mkdir(parents=True)\n"
        "folder.joinpath('MLmodel').write_text('flavors: {sklearn: {}, python_function: {}}')\n"
        "folder.joinpath('model.pkl').write_text(os.environ['ATELIER_RUN'])\n"
        "pathlib.Path(os.environ['ATELIER_OUTPUTS'], 'outputs.json').write_text(json.dumps({'loss': 0.25}))\n"
    ),
    "judge.py": (
        "import json, os, pathlib, urllib.request\n"
        "metrics = {'metric_type': 'metrics', 'describe': 'judged', 'metrics': {'accuracy': 0.75}}\n"
        "pathlib.Path('metric.json').write_text(json.dumps([metrics]))\n"
        "pathlib.Path(os.environ['ATELIER_OUTPUTS'], 'outputs.json').write_text(json.dumps({'judged': 0.5}))\n"
        "url = os.environ['ATELIER_ATTEMPT_URL'] + '/models'\n"
        "body = json.dumps({'name': 'from-a-step', 'input': 'model'}).encode()\n"
        "token = os.environ['ATELIER_ATTEMPT_TOKEN']\n"
        "headers = {'Authorization': 'Bearer ' + token, 'Content-Type': 'application/json'}\n"
        "print(urllib.request.urlopen(urllib.request.Request(url, body, headers)).read().decode())\n"
    ),
}


def train_and_judge(folder: Path) -> dict[str, Any]:
    """A pipeline of a trainer and a judge that registers what it got."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in STEPS.items():
        (folder / name).write_text(text)
    outputs = {"model": "model", "loss": "value"}
    return pipeline(
        {
            "train": {"file": "train.py", "image": "python", "outputs": outputs},
            "judge": {
                "file": "judge.py",
                "image": "python",
                "needs": ["train"],
                "inputs": {"model": {"node": "train", "output": "model"}},
                "outputs": {"judged": "value"},
            },
        }
    )


def test_what_a_step_left_becomes_a_version(
    platform: Platform, person: Member, client: Client, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    project = person.name
    run = submit(client, project, tmp_path / "code", train_and_judge(tmp_path / "code"))
    ended = wait_for(client, project, run, 120)
    assert ended.state == "done", [(step.name, step.message) for step in client.steps.list(project, run)]
    # The step registered its input itself, in the name of who runs it.
    own = client.models.version(project, "from-a-step")
    assert own.created_by == person.name and own.lineage["run"] == run and own.lineage["step"] == "train"
    made = client.models.register_run(project, "later", run=run, step="train")
    assert made.number == 1 and made.framework == "sklearn"
    assert made.lineage["run"] == run and made.lineage["output"] == "model" and made.lineage["pipeline"] == "test"
    assert made.lineage["revision"] and made.lineage["snapshot"].startswith("sha256:")
    assert made.metrics["loss"] == 0.25 and made.metrics["judged"] == 0.5
    assert made.metrics["accuracy"] == 0.75, "the judge's, from its metric.json"
    assert client.models.register_run(project, "later", run=run, step="train").number == 1
    with pytest.raises(AtelierError) as missing:
        client.models.register_run(project, "later", run=run, step="train", output="other")
    assert missing.value.code == "no_artifact"
    stranger = platform.person()
    refused = stranger.http.post(
        f"{stranger.base}/models/stolen/versions", json={"source": {"run": run, "step": "train", "output": "model"}}
    )
    assert refused.status_code == 404 and refused.json()["code"] == "no_artifact"


def test_the_command(platform: Platform, person: Member, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = model_folder(tmp_path / "model", "cli")

    def atelier(*arguments: str) -> tuple[int, str]:
        code = main.run(["--url", platform.plane.url, "--token", person.token, "model", *arguments])
        return code, capsys.readouterr().out

    code, said = atelier("register", "net", str(folder), "--note", "by hand")
    assert code == 0 and "models:/net/1" in said
    assert atelier("alias", "net", "production", "1")[0] != 0
    assert atelier("approve", "net", "1", "--note", "fine")[0] == 0
    code, said = atelier("alias", "net", "production", "1")
    assert code == 0 and "models:/net@production is version 1 now" in said
    assert "production=1" in atelier("list")[1] and "by hand" in atelier("versions", "net")[1]
    shown = atelier("show", "net", "@production")[1]
    assert "approved by" in shown and "a: double" in shown and "models:/net/1" in shown
    assert json.loads(atelier("show", "net", "--json")[1])["number"] == 1
    assert atelier("download", "net", str(tmp_path / "back"))[0] == 0 and (tmp_path / "back/MLmodel").exists()
    assert atelier("delete", "net", "--yes")[0] != 0, "an alias means it"
    assert atelier("delete", "net", "--yes", "--force")[0] == 0
    assert atelier("register", "net")[0] == 2


def test_without_mlflow_what_is_ours_goes_on(
    platform: Platform, person: Member, client: Client, tmp_path: Path
) -> None:
    project = person.name
    folder = model_folder(tmp_path / "model", "one")
    client.models.register(project, "net", folder)
    platform.mlflow.stop()
    try:
        impatient = httpx.Client(
            base_url=f"{platform.plane.url}/api", headers={"Authorization": f"Bearer {person.token}"}, timeout=30
        )
        assert impatient.get(f"{person.base}/models/net").json()["newest"]["number"] == 1
        assert impatient.get(f"{person.base}/models/net/versions/1/content").status_code == 200
        assert impatient.put(f"{person.base}/models/net/versions/1/approval", json={}).status_code == 200
        away = impatient.put(f"{person.base}/models/net/aliases/best", json={"version": 1})
        assert (
            away.status_code == 503
            and away.json()["code"] == "mlflow_unavailable"
            and "atelier status" in away.json()["hint"]
        )
        account = httpx.get(
            f"{platform.tracking_uri}/api/2.0/mlflow/experiments/search",
            headers={"Authorization": f"Bearer {person.token}"},
            timeout=30,
        )
        assert account.status_code in {503, 404, 405} and account.status_code != 500
    finally:
        platform.mlflow.start()
    assert client.models.set_alias(project, "net", "best", 1).aliases == {"best": 1}
