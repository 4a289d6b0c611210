"""What of this machine becomes a model or a service, and requests for the test console: what is wrong is named."""

from __future__ import annotations

import httpx
import pytest

from atelier_server.local.predict import LARGEST_REQUEST, _decoded
from tests.atelier_server.servers import Notebook


def test_a_file_defines_a_service(notebook: Notebook, ada: httpx.Client) -> None:
    (notebook.folder / "digits.service.yaml").write_text("model: models:/digits@good\nreplicas: 2\n")
    answer = ada.post("/local/service", json={"path": "digits.service.yaml"})
    assert answer.status_code == 200, answer.text
    found = answer.json()["definition"]
    assert (found["name"], found["model"], found["replicas"]) == (
        "digits",
        "models:/digits@good",
        {"min": 2, "max": 2},
    )


def test_what_is_wrong_in_it_is_named(notebook: Notebook, ada: httpx.Client) -> None:
    (notebook.folder / "bad.service.yaml").write_text("model: models:/digits/1\nreplicas: {min: 3, max: 1}\n")
    (notebook.folder / "broken.service.yaml").write_text("model: [\n")
    (notebook.folder / "plain.yaml").write_text("model: models:/digits/1\n")
    wanted = {
        "bad.service.yaml": "min is more than max",
        "broken.service.yaml": "not YAML",
        "plain.yaml": "does not define a service",
    }
    for path, words in wanted.items():
        answer = ada.post("/local/service", json={"path": path})
        assert answer.status_code == 422 and words in answer.json()["message"], answer.text
    assert ada.post("/local/service", json={"path": "gone.service.yaml"}).status_code == 404
    assert ada.post("/local/service", json={"path": "../../etc/passwd"}).status_code in {403, 404}


def test_a_folder_that_is_not_there_is_no_model(ada: httpx.Client) -> None:
    answer = ada.post("/local/model", json={"path": "gone", "name": "digits"})
    assert (answer.status_code, answer.json()["code"]) == (404, "no_file")


def test_a_service_that_is_not_there_is_not_asked(ada: httpx.Client) -> None:
    answer = ada.post("/local/predict", json={"service": "nobody", "path": "v2/models/nobody/infer", "body": {}})
    assert (answer.status_code, answer.json()["code"]) == (404, "no_service")


def test_what_cannot_be_asked_is_refused(ada: httpx.Client) -> None:
    for wrong in ({"path": "v2?x=1"}, {"method": "DELETE"}, {"revision": 0}, {"headers": {"cookie": "mine"}}):
        answer = ada.post("/local/predict", json={"service": "nobody", **wrong})
        assert answer.status_code == 422, answer.text
    assert ada.post("/local/predict", json={"service": "..", "body": {}}).status_code == 422
    large = b'{"service": "nobody", "body": "' + b"x" * LARGEST_REQUEST + b'"}'
    answer = ada.post("/local/predict", content=large)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("said", ["[" * 100_000, "[NaN]", '{"x": -Infinity}', "{", "1" * 5000])
def test_an_answer_that_no_browser_could_read_is_shown_as_text(said: str) -> None:
    assert _decoded(said.encode(), "application/json") == said
