"""What `make up` shows: the demo, and at its end a service that answers."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import httpx
import pyarrow
import pytest
from pyarrow import parquet

from tests.atelier_cli.platform.installation import Installation
from tests.harness.ports import free_port


@pytest.mark.timeout(600)
def test_the_demo_ends_in_a_service_that_answers(spare: Installation, tmp_path: Path) -> None:
    """From nothing: the digits are learned, the model is registered and deployed, and asked about a digit."""
    spare.sharing().up("--port", str(free_port()), "--admin", "ada")
    told = atelier(spare, tmp_path, "demo", "--to", str(tmp_path / "demo"))
    asked, said = re.findall(r"Asked about a handwritten (\d), it says (\d)\.", told)[0]
    assert asked == said
    assert "True" in atelier(spare, tmp_path, "model", "versions", "digits")
    url = re.findall(r"answers at (\S+)", told)[0]
    assert httpx.get(url).status_code == 401
    key = json.loads(atelier(spare, tmp_path, "service", "key", "create", "others", "--json"))["secret"]
    about = httpx.get(url, headers={"Authorization": f"Bearer {key}"}, timeout=60).json()
    assert about["name"] == "digits" and about["versions"] == ["1"]
    names = [one["name"] for one in about["inputs"]]
    rows = [",".join(names), *[",".join("0" * len(names)) for _ in range(300)], "not enough"]
    (tmp_path / "x.csv").write_text("\n".join(rows))
    said = atelier(spare, tmp_path, "service", "predict", "digits", "-f", "x.csv", "-o", "y.csv", "--no-keep")
    assert "301 rows, 300 with predictions: y.csv" in said
    answers = (tmp_path / "y.csv").read_text().splitlines()
    assert answers[0].startswith("predict,") and len(set(answers[1:301])) == 1 and "Row 301: " in answers[301]
    parquet.write_table(pyarrow.table({name: [0.0] * 300 for name in names}), tmp_path / "x.parquet")
    said = atelier(spare, tmp_path, "service", "predict", "digits", "-f", "x.parquet", "-o", "y.jsonl", "--no-keep")
    assert "300 rows, 300 with predictions: y.jsonl" in said
    same = {str(json.loads(line)["predict"]) for line in (tmp_path / "y.jsonl").read_text().splitlines()}
    assert same == {answers[1].partition(",")[0]}
    assert spare.json("down", "--stop-runs")["stopped_services"] == 1
    assert not spare.processes()


def atelier(installation: Installation, folder: Path, *arguments: str) -> str:
    """The command as the one who started the platform."""
    done = subprocess.run(
        [installation.python, "-c", "from atelier_cli.main import main; main()", *arguments],
        env=installation.env | {"ATELIER_CREDENTIALS": str(installation.data.parent / "credentials.json")},
        cwd=folder, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
