"""MLflow's own client, with a token of the hub, through the gateway: its quickstart, autologging, the registry."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from atelier_sdk import Client
from tests.harness.tracking import Platform

QUICKSTART = """
import json, pathlib
import mlflow
from mlflow import MlflowClient
mlflow.set_experiment("quickstart")
with mlflow.start_run(run_name="first") as run:
    mlflow.log_params({"alpha": 0.5, "kind": "a"})
    for step in range(3):
        mlflow.log_metrics({"loss": 1.0 / (step + 1)}, step=step)
    pathlib.Path("note.txt").write_text("hello")
    mlflow.log_artifact("note.txt", "notes")
    mlflow.set_tag("stage", "test")
client = MlflowClient()
seen = client.get_run(run.info.run_id)
print(json.dumps({
    "run": run.info.run_id,
    "params": seen.data.params,
    "loss": [m.value for m in client.get_metric_history(run.info.run_id, "loss")],
    "artifacts": [a.path for a in client.list_artifacts(run.info.run_id, "notes")],
    "text": mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/notes/note.txt"),
    "status": seen.info.status,
}))
"""

AUTOLOG = """
import json
import mlflow, mlflow.sklearn
from mlflow import MlflowClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
mlflow.set_experiment("iris")
mlflow.sklearn.autolog(log_models=False)
X, y = load_iris(return_X_y=True, as_frame=True)
with mlflow.start_run() as run:
    model = LogisticRegression(max_iter=300).fit(X, y)
    info = mlflow.sklearn.log_model(model, name="model", input_example=X.head(2), registered_model_name="iris",
                                    serialization_format="cloudpickle", pip_requirements=["scikit-learn"])
client = MlflowClient()
client.set_registered_model_alias("iris", "challenger", 1)
loaded = mlflow.pyfunc.load_model("models:/iris@challenger")
try:
    client.set_registered_model_alias("iris", "production", 1)
    refused = ""
except Exception as error:
    refused = str(error)
try:
    client.delete_registered_model("iris")
    kept = ""
except Exception as error:
    kept = str(error)
print(json.dumps({
    "run": run.info.run_id,
    "params": len(client.get_run(run.info.run_id).data.params),
    "score": client.get_run(run.info.run_id).data.metrics["training_score"],
    "prediction": loaded.predict(X.head(3)).tolist(),
    "expected": y.head(3).tolist(),
    "refused": refused,
    "kept": kept,
}))
"""


def test_the_quickstart_runs_with_a_token_of_the_hub(platform: Platform) -> None:
    person = platform.person()
    said = json.loads(platform.script(person, QUICKSTART))
    assert said["params"] == {"alpha": "0.5", "kind": "a"} and said["loss"] == [1.0, 0.5, 1 / 3]
    assert said["artifacts"] == ["notes/note.txt"] and said["text"] == "hello" and said["status"] == "FINISHED"


def test_a_model_that_the_client_registered_becomes_ours(platform: Platform, eventually: Callable[..., Any]) -> None:
    person = platform.person()
    said = json.loads(platform.script(person, AUTOLOG))
    assert said["prediction"] == said["expected"] and said["score"] > 0.9 and said["params"] > 5
    assert "approve" in said["refused"] or "approved" in said["refused"]
    assert "atelier model delete" in said["kept"]

    def ready() -> Any:
        """The content and the alias may come with two looks at MLflow."""
        answer = person.http.get(f"{person.base}/models/iris/versions/1")
        found = answer.json() if answer.status_code == 200 else {"state": "unknown"}
        return (found["state"] == "failed" or (found["state"] == "ready" and found["aliases"])) and found

    version = eventually(ready)
    assert version["state"] == "ready", version["message"]
    assert version["framework"] == "sklearn" and "python_function" in version["flavors"]
    assert version["signature"]["inputs"][0]["name"] == "sepal length (cm)"
    assert version["metrics"]["training_score"] == said["score"] and version["lineage"]["mlflow_run"] == said["run"]
    assert version["aliases"] == ["challenger"] and version["files"] >= 4 and version["size"] > 500
    paths = [
        one["path"] for one in person.http.get(f"{person.base}/models/iris/versions/@challenger/files").json()["items"]
    ]
    assert "MLmodel" in paths and "model.pkl" in paths
    # Approved here, it may be called production, and the client sees that.
    base = f"{person.base}/models/iris"
    refused = person.http.put(f"{base}/aliases/production", json={"version": 1})
    assert refused.status_code == 409 and refused.json()["code"] == "not_approved"
    assert person.http.put(f"{base}/versions/1/approval", json={"note": "fine"}).json()["approval"]["note"] == "fine"
    assert person.http.put(f"{base}/aliases/production", json={"version": 1}).json()["aliases"]["production"] == 1
    found = platform.script(
        person, 'import mlflow; print(mlflow.MlflowClient().get_model_version_by_alias("iris", "production").version)'
    )
    assert found.strip() == "1"


AS_SOMEBODY_ELSE = """
import json
import mlflow, mlflow.pyfunc
from mlflow import MlflowClient

class Net(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input

mlflow.set_experiment("shared")
with mlflow.start_run():
    info = mlflow.pyfunc.log_model(name="model", python_model=Net(), pip_requirements=[])
client, refused = MlflowClient(), []
client.create_registered_model("net")
client.create_model_version("net", info.model_uri, tags={"atelier.registered_by": "boss", "mine": "kept"},
                            model_id=info.model_id)
client.copy_model_version("models:/net/1", "copy")
client.set_registered_model_alias("net", "challenger", 1)
for attempt in (
    lambda: client.set_model_version_tag("net", "1", "atelier.registered_by", "boss"),
    lambda: client.delete_model_version_tag("net", "1", "atelier.registered_by"),
    lambda: client.set_registered_model_tag("net", "atelier.alias.challenger", "1 boss"),
    lambda: client.delete_registered_model_tag("net", "atelier.alias.challenger"),
    lambda: client.create_registered_model("other", tags={"atelier.alias.best": "1 boss"}),
):
    try:
        attempt()
    except Exception as error:
        refused.append("Atelier's own" in str(error))
tags = client.get_model_version("net", "1").tags
client.set_model_version_tag("net", "1", "mine", "changed")
print(json.dumps({"refused": refused, "kept": tags["mine"]}))
"""


def test_what_the_client_did_is_the_persons_who_ran_it(platform: Platform, eventually: Callable[..., Any]) -> None:
    """Members of a project share an account at MLflow: it is the gateway that says which of them came."""
    owner, member = platform.person(), platform.person()
    project = f"shared-{owner.name}"
    owner.http.post("/projects", json={"name": project}).raise_for_status()
    body = {"name": member.name, "role": "member"}
    owner.http.post(f"/projects/{project}/members", json=body).raise_for_status()
    said = json.loads(platform.script(member, AS_SOMEBODY_ELSE, project))
    assert said == {"refused": [True] * 5, "kept": "kept"}

    def version(model: str) -> Any:
        answer = owner.http.get(f"/projects/{project}/models/{model}/versions/1")
        return answer.status_code == 200 and answer.json()

    assert eventually(lambda: version("net"))["created_by"] == member.name
    assert eventually(lambda: version("copy"))["created_by"] == member.name
    assert eventually(lambda: version("net")["aliases"]) == ["challenger"]
    again = "from mlflow import MlflowClient\nMlflowClient().set_registered_model_alias('net', 'best', '1')"
    platform.script(owner, again, project)
    assert eventually(lambda: len(version("net")["aliases"]) == 2)
    with Client(platform.plane.url, owner.token) as client:
        set_by = {}
        for event in client.events.follow(project=project, after=0):
            if event.kind == "model.alias_set":
                set_by[event.data["alias"]] = event.actor
            if len(set_by) == 2:
                break
    assert set_by == {"challenger": member.name, "best": owner.name}
