"""A person's own CSV and own code, from the folder at home to results in the API, on either engine."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import random
import tarfile

import pytest

from tests.e2e.conftest import Person
from tests.e2e.documents import document, generic, notebook, template

CSV = "customer churn 2024 (export).csv"
ROWS = 360

LOOK = """\
import hashlib, json, os
from pathlib import Path
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd

train = pd.read_csv(Path(os.environ["ATELIER_INPUTS"], "train", "data.csv"))
profile = train.groupby("Churned")[column].describe().round(3).reset_index()
outputs = Path(os.environ["ATELIER_OUTPUTS"])
profile.to_csv(outputs / "profile", index=False)
print("profile", hashlib.sha256((outputs / "profile").read_bytes()).hexdigest())
print("rows", len(train), "column", column, "highest", highest)
"""
SHOW = """\
train[column].plot.hist(bins=10)
plt.savefig("histogram.png")
profile.to_csv("profile.csv", index=False)
Path("note.html").write_text("<h1>Ages</h1><script>alert(1)</script>")
counts = train["Churned"].value_counts().to_dict()
option = {"xAxis": {"data": list(counts)}, "yAxis": {}, "series": [{"type": "bar", "data": list(counts.values())}]}
Path("metric.json").write_text(json.dumps([
    {"metric_type": "table", "describe": "Profile", "file_path": "profile.csv"},
    {"metric_type": "image", "describe": "Histogram", "image": "histogram.png"},
    {"metric_type": "text", "describe": "In words", "text": f"{len(train)} rows to learn from"},
    {"metric_type": "html", "describe": "A page", "html": "note.html"},
    {"metric_type": "echarts", "describe": "Classes", "option": option},
    {"metric_type": "metrics", "describe": "Numbers", "metrics": {"rows": len(train)}},
]))
"""
REPORT = """\
import hashlib, json, os
from pathlib import Path

inputs = Path(os.environ["ATELIER_INPUTS"])
given = json.loads(Path(os.environ["ATELIER_PARAMETERS"]).read_text())
report = json.loads((inputs / "metrics").read_text())
with open("customer churn 2024 (export).csv", encoding="utf-8") as file:
    lines = sum(1 for _ in file)
Path("report.md").write_text(f"Best: {given['best']}, {report['rows']} test rows of {lines - 1}, by {given['who']}.\\n")
blob = bytes(range(256)) * 12_000
Path(os.environ["ATELIER_OUTPUTS"], "blob").write_bytes(blob)
Path(os.environ["ATELIER_OUTPUTS"], "outputs.json").write_text(json.dumps({"best": given["best"]}))
print("blob", hashlib.sha256(blob).hexdigest())
"""


def customers() -> bytes:
    """An export as people have it: gaps of several kinds, texts, umlauts, decimal numbers, labels in words."""
    chance = random.Random(11)
    out = io.StringIO(newline="")
    table = csv.writer(out, delimiter=";")
    table.writerow(["Customer ID", "Age", "Plan type", "Monthly charge (EUR)", "City", "Months with us", "Churned"])
    for number in range(ROWS):
        age, months, charge = chance.randint(18, 90), chance.randint(0, 72), round(chance.uniform(5, 90), 2)
        risk = charge / 90 - months / 60 + chance.gauss(0, 0.2)
        row = [f"C-{number:05}", age, chance.choice(["Basic", "Plus, family", "Pro"]), charge,
               chance.choice(["Zürich", "Malmö", "Łódź", "Nice"]), months, "yes" if risk > 0 else "no"]  # fmt: skip
        for column, share, gap in ((1, 0.07, ""), (2, 0.05, "NA"), (3, 0.06, "?"), (6, 0.02, "")):
            if chance.random() < share:
                row[column] = gap
        table.writerow(row)
    return out.getvalue().encode()


def story() -> dict:
    """Import → split → standardize → two trainers → evaluation, with a notebook and a script of one's own."""
    return document(
        template("import", "dataset-import", source=CSV, label="Churned", leave_out='["Customer ID"]'),
        template("split", "data-split", inputs={"data": ("import", "data")}, test_size="{{ parameters.share }}"),
        template("scale", "standardize", inputs={"train": ("split", "train"), "test": ("split", "test")}),
        template("linear", "logistic-regression", inputs={"train": ("scale", "train")}),
        template("forest", "random-forest", inputs={"train": ("scale", "train")}, trees=20),
        template(
            "evaluate",
            "model-evaluation",
            inputs={"data": ("scale", "test"), "model": ("linear", "model"), "other": ("forest", "model")},
        ),
        generic(
            "look",
            "my look.ipynb",
            inputs={"train": ("split", "train")},
            outputs={"profile": "any"},
            column="{{ parameters.column }}",
        ),
        generic(
            "report",
            "report.py",
            inputs={"metrics": ("evaluate", "metrics"), "best": ("evaluate", "best")},
            outputs={"blob": "any", "best": "value"},
            files=["report.md"],
            who="{{ creator }}",
        ),
        parameters=[
            {"name": "share", "type": "number", "default": 0.25, "minimum": 0.05, "maximum": 0.95},
            {"name": "column", "type": "string", "default": "Age"},
        ],
    )


@pytest.mark.timeout(600)
def test_own_data_and_own_code_from_the_folder_to_the_results(everywhere: Person) -> None:
    person = everywhere
    book = notebook(LOOK, SHOW, parameters='column = "nothing"\nhighest = 3')
    files = {CSV: customers(), "my look.ipynb": json.dumps(book), "report.py": REPORT}
    folder = person.folder(files, "my churn")
    (folder / "churn.pipeline").write_text(json.dumps(story()))

    told = person.command(
        "pipeline", "run", str(folder / "churn.pipeline"), "--on", person.on, "-p", "share=0.3", seconds=500
    )
    assert told.returncode == 0, told.stdout + told.stderr
    run = person.client.runs.page(person.name, limit=1).items[0].id
    assert person.client.runs.get(person.name, run).parameters == {"share": 0.3, "column": "Age"}
    steps = person.steps(run)
    assert {step.state for step in steps.values()} == {"done"}
    assert all(step.label in told.stdout for step in steps.values())
    for name in steps:
        assert person.log(run, name).strip(), f"{name} has no log"

    _check_outputs(person, run)
    _check_results(person, run)
    shown = person.command("pipeline", "results", run)
    assert shown.returncode == 0, shown.stderr
    assert "rows to learn from" in shown.stdout
    assert person.command("pipeline", "logs", run, "look").stdout == person.log(run, "look")


def _check_outputs(person: Person, run: str) -> None:
    """Every artifact is what was written, by the word of the step that wrote it."""
    said = dict(line.split()[:2] for line in person.log(run, "look").splitlines() if line.startswith("profile"))
    profile = person.download(run, "look", "profile")
    assert hashlib.sha256(profile).hexdigest() == said["profile"]
    assert profile.decode().splitlines()[0].startswith("Churned,count,mean")
    said = dict(line.split() for line in person.log(run, "report").splitlines() if line.startswith("blob"))
    assert hashlib.sha256(person.download(run, "report", "blob")).hexdigest() == said["blob"]

    rows = int(person.values(run, "import")["rows"])
    assert rows == ROWS
    best = person.values(run, "evaluate")["best"]
    assert person.values(run, "report") == {"best": best}
    report = json.loads(person.download(run, "evaluate", "metrics"))
    assert max(one["accuracy"] for one in report["models"].values()) > 0.75
    text = person.download(run, "report", "report.md").decode()
    assert text == f"Best: {best}, {report['rows']} test rows of {ROWS}, by {person.name}.\n"

    parts = {name: _table(person.download(run, "split", name)) for name in ("train", "test")}
    labelled = sum(1 for line in customers().decode().splitlines()[1:] if line.endswith(("yes", "no")))
    assert sum(len(rows) for rows in parts.values()) == labelled
    assert len(parts["test"]) == pytest.approx(0.3 * labelled, abs=1)
    scaled = _table(person.download(run, "scale", "train"))
    assert all(cell != "" for row in scaled for cell in row.values()), "gaps are left"
    executed = json.loads(person.download(run, "look", "notebook"))
    assert any('column = "Age"' in "".join(cell["source"]) for cell in executed["cells"])


def _table(packed: bytes) -> list[dict[str, str]]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        file = archive.extractfile("data.csv")
        assert file is not None
        return list(csv.DictReader(io.TextIOWrapper(file, "utf-8")))


def _check_results(person: Person, run: str) -> None:
    views = {view["kind"]: view for view in person.client.steps.results(person.name, run, "look")}
    assert set(views) == {"table", "image", "text", "html", "echarts", "metrics"}
    assert not any(view["problem"] for view in views.values())
    assert views["table"]["data"]["columns"][:2] == ["Churned", "count"]
    assert [row[0] for row in views["table"]["data"]["rows"]] == ["no", "yes"]
    head, _, content = views["image"]["data"].partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(content).startswith(b"\x89PNG")
    assert views["html"]["data"].startswith("<h1>Ages</h1>")
    assert set(views["echarts"]["data"]["xAxis"]["data"]) == {"yes", "no"}
    rows = views["metrics"]["data"]["rows"]
    assert views["text"]["data"] == f"{rows:.0f} rows to learn from"
    assert f"rows {rows:.0f} column Age highest 3" in person.log(run, "look")
    kinds = {view["kind"] for view in person.client.steps.results(person.name, run, "evaluate")}
    assert {"table", "echarts", "metrics"} <= kinds
