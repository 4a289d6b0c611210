"""The demo and the templates' checks, for real: the digits on this machine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from atelier_cli import exits
from atelier_cli.template import download
from atelier_core.errors import Invalid
from atelier_templates.demo_project import copy_demo
from atelier_templates.loader import ROOT
from tests.atelier_cli.conftest import Shell
from tests.atelier_cli.test_pipeline import write
from tests.harness.control_plane import ControlPlane

NewShell = Callable[[], Shell]


def test_the_demo_recognises_digits(shell: NewShell) -> None:
    anna = shell()
    done = anna.run("demo", "--no-serve", "--to", str(anna.home / "digits"))
    assert done.returncode == exits.OK, done.stdout + done.stderr
    assert "confusion matrix" in done.stdout
    run = anna.client.runs.page(anna.name).items[0]
    steps = {step.name: step.state for step in anna.client.steps.list(anna.name, run.id)}
    assert set(steps.values()) == {"done"}
    told = anna.run("pipeline", "results", run.id, "--json").stdout
    measured = [view["data"] for view in map(json.loads, told.splitlines()) if view["kind"] == "metrics"]
    accuracies = [data["accuracy"] for data in measured if "accuracy" in data]
    assert len(accuracies) == 2
    assert all(0.9 < accuracy <= 1 for accuracy in accuracies)


def test_a_second_copy_leaves_the_users_changes(tmp_path: Path) -> None:
    pipeline = copy_demo(tmp_path / "demo")
    pipeline.write_text("mine")
    pipeline.with_name("README.md").unlink()
    assert copy_demo(tmp_path / "demo") == pipeline
    assert pipeline.read_text() == "mine"
    assert pipeline.with_name("README.md").exists()


def test_no_platform_no_copy(tmp_path: Path) -> None:
    nobody = Shell(tmp_path, "nobody", "", None)  # type: ignore[arg-type]
    assert nobody.run("demo", "--to", str(tmp_path / "digits")).returncode == exits.USAGE
    assert not (tmp_path / "digits").exists()


def test_a_template_does_what_it_says(shell: NewShell) -> None:
    anna = shell()
    done = anna.run("template", "check", "dataset-import")
    assert done.returncode == exits.OK, done.stdout + done.stderr
    assert "does what it says" in done.stdout


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A copy of a template, as its author has it before it is offered."""
    return Path(shutil.copytree(ROOT / "dataset_import", tmp_path / "mine" / "dataset_import"))


def test_a_template_that_does_not_is_found_out(shell: NewShell, own: Path) -> None:
    (own / "verify.py").write_text("def verify(outputs, results):\n    assert False, 'there are 0 rows'\n")
    done = shell().run("template", "check", str(own))
    assert done.returncode == exits.FAILED
    assert "there are 0 rows" in done.stderr


def test_a_template_that_the_platform_lacks(shell: NewShell, own: Path) -> None:
    manifest = own / "template.yaml"
    manifest.write_text(manifest.read_text().replace("name: dataset-import", "name: dataset-export"))
    done = shell().run("template", "check", str(own))
    assert done.returncode == exits.USAGE
    assert "does not offer it" in done.stderr
    manifest.write_text("name: [")
    done = shell().run("template", "check", str(own))
    assert done.returncode == exits.USAGE
    assert "template.yaml" in done.stderr
    assert "dataset-import" in shell().run("template", "check", "dataset-imports").stderr


def test_a_damaged_output_is_told_in_a_sentence(shell: NewShell, platform: ControlPlane, tmp_path: Path) -> None:
    anna = shell()
    code = "import os\nfolder = os.environ['ATELIER_OUTPUTS'] + '/left'\nos.mkdir(folder)\n"
    code += "open(folder + '/content-of-no-other-test', 'w').close()\n"
    file = write(anna, {"a.py": code}, {"only": {"file": "a.py", "outputs": {"left": "any"}}})
    assert anna.run("pipeline", "run", str(file)).returncode == exits.OK
    run = anna.client.runs.page(anna.name).items[0]
    left = next(one for one in anna.client.runs.artifacts(anna.name, run.id) if one.name == "left")
    plain = left.digest.removeprefix("sha256:")
    next(platform.folder.rglob(plain)).write_bytes(b"x" * left.size)
    with pytest.raises(Invalid, match=r"'left' of step 'only' cannot be unpacked\. The archive is damaged") as told:
        download(anna.client, anna.name, left, tmp_path / "target")
    assert told.value.hint


def test_templates_are_listed(shell: NewShell) -> None:
    listed = [json.loads(line) for line in shell().run("template", "list", "--json").stdout.splitlines()]
    assert {"dataset-import", "random-forest"} <= {template["name"] for template in listed}
