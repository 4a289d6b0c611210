"""`atelier dataset` on a real control plane."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.atelier_cli.conftest import Shell


def test_from_a_file_to_its_removal(shell: Callable[[], Shell]) -> None:
    ada = shell()
    file = ada.home / "rows.csv"
    file.write_text("x,name\n1,[bold]é\n2,b\n")
    made = ada.run(
        "dataset", "add", "rows", str(file), "--description", "Some rows", "--tag", "demo", "--note", "first"
    )
    assert made.returncode == 0 and "dataset:rows@1" in made.stdout and "1 file" in made.stdout, made.stderr
    assert "rows" in ada.run("dataset", "list", "--tag", "demo").stdout
    assert "No datasets" in ada.run("dataset", "list", "--search", "nothing").stdout
    shown = ada.run("dataset", "show", "rows").stdout
    assert "Some rows" in shown and "#demo" in shown and "first" in shown
    seen = ada.run("dataset", "preview", "rows").stdout
    assert "int64" in seen and "[bold]é" in seen
    (ada.home / "more").mkdir()
    (ada.home / "more/b.csv").write_text("y\n3\n")
    assert "Version 2" in ada.run("dataset", "add", "rows", str(ada.home / "more")).stdout
    assert ada.run("dataset", "download", "rows", str(ada.home / "back"), "--version", "1").returncode == 0
    assert (ada.home / "back/rows.csv").read_text() == file.read_text()
    assert ada.run("dataset", "remove", "rows", "--version", "2", "--yes").returncode == 0
    assert ada.run("dataset", "remove", "rows", stdin="n\n").returncode != 0
    assert ada.run("dataset", "remove", "rows", "--yes").returncode == 0
    assert "No datasets" in ada.run("dataset", "list").stdout


def test_an_address_json_and_refusals(shell: Callable[[], Shell]) -> None:
    ada = shell()
    made = json.loads(ada.run("--json", "dataset", "add", "far", "s3://bucket/far").stdout)
    assert made["kind"] == "uri" and made["number"] == 1
    missing = ada.run("dataset", "add", "far", "no-such-file")
    assert missing.returncode != 0 and "no file or folder" in missing.stderr
    bad = ada.run("dataset", "add", "Bad Name", "s3://bucket/far")
    assert bad.returncode != 0 and "not a name for a dataset" in bad.stderr and "lower-case" in bad.stderr
    unknown = ada.run("--json", "dataset", "show", "none")
    assert json.loads(unknown.stderr)["error"]["code"] == "no_dataset"
