"""Rows as tensors, and where a program finds its platform."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atelier_sdk import here
from atelier_sdk.rows import tensors


class Table:
    """What a data frame has that matters here."""

    def __init__(self, **columns: list[object]) -> None:
        self.columns = list(columns)
        self._columns = columns

    def to_dict(self, _: str) -> dict[str, list[object]]:
        return self._columns


def test_a_table_gives_a_tensor_for_each_column_by_what_it_holds() -> None:
    table = Table(visits=[1, 2], age=[30.5, float("nan")], plan=["basic", None], new=[True, False], gone=[3, None])
    assert tensors(table) == [
        {"name": "visits", "shape": [2, 1], "datatype": "INT64", "data": [1, 2]},
        {"name": "age", "shape": [2, 1], "datatype": "FP64", "data": [30.5, None]},
        {"name": "plan", "shape": [2, 1], "datatype": "BYTES", "data": ["basic", None]},
        {"name": "new", "shape": [2, 1], "datatype": "BOOL", "data": [True, False]},
        {"name": "gone", "shape": [2, 1], "datatype": "FP64", "data": [3, None]},
    ]


def test_an_array_and_lists_give_one_for_all() -> None:
    wanted = {"name": "rows", "shape": [2, 2], "datatype": "FP64", "data": [1.0, 2.0, 3.0, 4.0]}
    assert tensors(np.array([[1.0, 2.0], [3.0, 4.0]])) == [wanted]
    assert tensors([(1.0, 2.0), (3.0, 4.0)]) == [wanted]


def test_in_a_server_its_platform_project_and_folder_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        "ATELIER_API_URL": "http://127.0.0.1:1/services/atelier", "JUPYTERHUB_API_TOKEN": "abc",
        "ATELIER_PROJECT": "team", "ATELIER_PROJECT_DIR": str(tmp_path),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    found = here.find()
    assert (found.url, found.token, found.project) == ("http://127.0.0.1:1/services/atelier", "abc", "team")
    assert found.place(tmp_path / "demo" / "a.pipeline") == "demo/a.pipeline"
    assert found.place(Path("/elsewhere/a.pipeline")) == "a.pipeline"
