"""Guesses about code: what people write in notebooks and scripts, and what must not be taken for more than it is."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier_core.errors import Invalid
from atelier_server.local.ports import guess
from atelier_templates.demos import DIGITS


def python(*lines: str) -> dict[str, Any]:
    return guess("python", "\n".join(["import json, os", "from pathlib import Path", "import pandas as pd", *lines]))


def notebook(*cells: tuple[str, list[str]], language: str = "python") -> str:
    made = [
        {"cell_type": "code", "source": source.splitlines(True), "metadata": {"tags": tags}} for source, tags in cells
    ]
    return json.dumps({"cells": made, "metadata": {"language_info": {"name": language}}, "nbformat": 4})


def names(found: dict[str, Any], what: str) -> list[str]:
    return [one["name"] for one in found[what]]


@pytest.mark.parametrize(
    "line",
    [
        'x = pd.read_csv(Path(os.environ["ATELIER_INPUTS"]) / "train.csv")',
        'x = pd.read_csv(os.path.join(os.environ["ATELIER_INPUTS"], "train.csv"))',
        'x = pd.read_csv(os.environ["ATELIER_INPUTS"] + "/train.csv")',
        "x = pd.read_csv(f\"{os.environ['ATELIER_INPUTS']}/train.csv\")",
        'x = pd.read_csv(Path(os.getenv("ATELIER_INPUTS"), "train.csv"))',
        'x = pd.read_csv(Path(os.environ.get("ATELIER_INPUTS")).joinpath("train.csv"))',
        'folder = Path(os.environ["ATELIER_INPUTS"])\nx = pd.read_csv(folder / "train.csv")',
        'folder = Path(os.environ["ATELIER_INPUTS"])\nfile = folder / "train.csv"\nx = open(file)',
        'def load():\n    return pd.read_csv(Path(os.environ["ATELIER_INPUTS"]) / "train.csv")',
    ],
)
def test_an_input_however_its_path_is_built(line: str) -> None:
    found = python(line)
    assert found["inputs"] == [{"name": "train.csv", "type": "dataset"}]
    assert not found["outputs"] and not found["files"]["read"] and not found["problems"]


def test_outputs_with_their_types_and_values() -> None:
    found = python(
        'out = Path(os.environ["ATELIER_OUTPUTS"])',
        'data.to_parquet(out / "rows.parquet")',
        'joblib.dump(model, out / "model.joblib")',
        '(out / "metrics").write_text(json.dumps(metrics))',
        '(out / "folder" / "deep.bin").write_bytes(b"")',
        '(out / "outputs.json").write_text(json.dumps({"rows": 5, "best": "x"}))',
    )
    assert found["outputs"] == [
        {"name": "rows.parquet", "type": "dataset"},
        {"name": "model.joblib", "type": "model"},
        {"name": "metrics", "type": "metrics"},
        {"name": "folder", "type": "any"},
        {"name": "rows", "type": "value"},
        {"name": "best", "type": "value"},
    ]


def test_files_beside_the_script() -> None:
    found = python(
        'a = pd.read_csv("data/in.csv")',
        'b = open("notes.txt").read()',
        'a.to_csv("out.csv", index=False)',
        'with open("log.txt", "a") as file:',
        "    file.write('x')",
        'c = pd.read_csv("out.csv")',
        'd = pd.read_csv("https://example.org/x.csv")',
        'e = open("/etc/hostname")',
        'f = open("../elsewhere.txt")',
        'plt.savefig(fname="plot.png")',
        "if more:",
        '    Path("sometimes.txt").write_text("x")',
        "def never():",
        '    Path("never.txt").write_text("x")',
    )
    assert found["files"]["read"] == ["data/in.csv", "notes.txt"]
    assert found["files"]["written"] == ["out.csv", "log.txt", "plot.png", "sometimes.txt", "never.txt"]
    assert found["files"]["always_written"] == ["out.csv", "log.txt", "plot.png"]


def test_parameters_of_a_script() -> None:
    found = python(
        'given = json.loads(Path(os.environ["ATELIER_PARAMETERS"]).read_text())',
        'rate = given.get("rate", 0.1)',
        'rounds = given["rounds"]',
        'other = something["not_one"]',
    )
    assert found["parameters"] == [
        {"name": "rate", "type": "number", "default": 0.1, "description": ""},
        {"name": "rounds", "type": "any", "default": None, "description": ""},
    ]
    direct = python('n = json.load(open(os.environ["ATELIER_PARAMETERS"]))["n"]')
    assert names(direct, "parameters") == ["n"]


def test_environment_variables_of_the_persons_own() -> None:
    found = python('a = os.environ["API_KEY"]', 'b = os.getenv("REGION", "eu")', 'c = os.environ["ATELIER_RUN"]')
    assert found["environment"] == ["API_KEY", "REGION"]


def test_the_parameters_cell_of_a_notebook() -> None:
    text = notebook(
        ("import os", []),
        (
            "rows = 100  # how many é\nname: str = 'x'\nflag = True\nratio: float = compute()\nitems = [1, 2]\nf(1)",
            ["parameters"],
        ),
        ("%matplotlib inline\n!ls\nx = 1", []),
        ("%%bash\nls $X", []),
        ("pd.read_csv('d.csv')", []),
    )
    found = guess("notebook", text)
    assert found["parameters"] == [
        {"name": "rows", "type": "integer", "default": 100, "description": "how many é"},
        {"name": "name", "type": "string", "default": "x", "description": ""},
        {"name": "flag", "type": "boolean", "default": True, "description": ""},
        {"name": "ratio", "type": "number", "default": None, "description": ""},
        {"name": "items", "type": "array", "default": [1, 2], "description": ""},
    ]
    assert found["files"]["read"] == ["d.csv"] and not found["problems"]


def test_a_broken_cell_does_not_hide_the_others() -> None:
    found = guess("notebook", notebook(("x = (", []), ("pd.read_csv('d.csv')", [])))
    assert found["files"]["read"] == ["d.csv"]
    assert len(found["problems"]) == 1 and found["problems"][0].startswith("Cell 1")


def test_other_languages_say_so() -> None:
    assert guess("r", "read.csv('x')")["problems"]
    assert guess("notebook", notebook(("x <- 1", []), language="R"))["problems"]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"cells": 1}', '{"cells": [], "metadata": 1}', "x"])
def test_what_is_no_notebook(text: str) -> None:
    with pytest.raises(Invalid, match="not a notebook"):
        guess("notebook", text)


def test_the_demos_own_steps(ada: httpx.Client) -> None:
    script = ada.post("/local/ports", json={"path": "atelier-demo/summarize.py"}).json()
    assert names(script, "inputs") == ["metrics"] and names(script, "parameters") == ["best", "author"]
    assert script["files"]["always_written"] == ["summary.md"]
    book = ada.post("/local/ports", json={"path": "atelier-demo/explore.ipynb"}).json()
    assert book["kind"] == "notebook" and not book["problems"]
    assert (DIGITS / "explore.ipynb").is_file()
    wrong = ada.post("/local/ports", json={"path": "atelier-demo/digits.pipeline"})
    assert wrong.status_code == 422 and wrong.json()["code"] == "not_code"


@given(st.text())
def test_any_text_is_read_without_harm(text: str) -> None:
    found = guess("python", text)
    json.dumps(found, allow_nan=False)


KEYS = st.sampled_from(["cells", "metadata", "source", "tags", "cell_type", "language_info", "name"])
PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
JSON = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))


@given(JSON)
def test_any_json_is_a_notebook_or_is_refused(value: Any) -> None:
    try:
        found = guess("notebook", json.dumps(value))
    except Invalid:
        return
    json.dumps(found, allow_nan=False)
