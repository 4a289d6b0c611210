"""The demo project: what it compiles to, what its steps leave, and that the numbers are always the same."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from atelier_core.pipeline.compile import check, compile
from atelier_core.pipeline.document import InvalidPipeline, parse
from atelier_core.pipeline.plan import Plan
from atelier_core.results import read_folder
from atelier_templates.demos import DIGITS
from atelier_templates.images import load_images
from atelier_templates.loader import Library
from tests.atelier_templates.running import Ended, PlanRunner, Warm, context

FILES = {one.name for one in DIGITS.iterdir()}
SOURCE = (DIGITS / "digits.pipeline").read_bytes()


def plan_of(library: Library, **parameters: object) -> Plan:
    made_for = context(library, "sha256:snapshot", files=FILES, parameters=parameters)
    return compile(parse(SOURCE), library.catalog, made_for)


def only(plan: Plan, *names: str) -> Plan:
    return plan.model_copy(update={"steps": tuple(one for one in plan.steps if one.name in names)})


@pytest.fixture(scope="module")
def ended(
    library: Library, environments: Mapping[str, Path], warm: Warm, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Ended]:
    runner = PlanRunner(tmp_path_factory.mktemp("digits"), library, environments, DIGITS, warm=warm)
    return runner.run(plan_of(library))


def test_the_file_is_right_and_complete(library: Library) -> None:
    document = parse(SOURCE)
    assert check(document, library.catalog, FILES, load_images()) == []
    assert document.to_dict() == json.loads(SOURCE)


def test_its_shape(library: Library) -> None:
    plan = plan_of(library)
    needs = {one.name: set(one.needs) for one in plan.steps}
    assert needs == {
        "import": set(), "split": {"import"}, "standardize": {"split"}, "explore": {"import"},
        "logistic-regression": {"standardize"}, "random-forest": {"standardize"},
        "evaluate": {"split", "logistic-regression", "random-forest"}, "summarize": {"evaluate"},
    }  # fmt: skip
    assert {one.image for one in plan.steps} == {"ml"}


def test_a_run_may_choose_the_share_and_the_seed(library: Library) -> None:
    split = next(one for one in plan_of(library, test_size="0.4", seed="11").steps if one.name == "split")
    assert split.parameters["test_size"] == 0.4
    assert split.parameters["seed"] == 11
    with pytest.raises(InvalidPipeline, match=r"0\.99 is greater than the maximum"):
        plan_of(library, test_size=0.99)


def test_everything_ends_well(ended: dict[str, Ended]) -> None:
    assert len(ended) == 8
    for one in ended.values():
        assert one.code == 0, one.log
        assert read_folder(one.results).problems == ()


def test_the_numbers(ended: dict[str, Ended]) -> None:
    report = json.loads((ended["evaluate"].outputs / "metrics").read_text())
    assert report["rows"] == 450
    right = {name: round(measured["accuracy"] * 450) for name, measured in report["models"].items()}
    assert right == {"logistic-regression": 439, "random-forest": 441}


def test_the_models_take_raw_pixels(ended: dict[str, Ended]) -> None:
    for name in ("logistic-regression", "random-forest"):
        with (ended[name].outputs / "model" / "training_sample.csv").open(newline="") as stream:
            pixels = {float(value) for row in csv.DictReader(stream) for value in row.values()}
        assert pixels == set(map(float, range(17)))


def test_the_notebook_is_kept_as_it_ran(ended: dict[str, Ended]) -> None:
    notebook = json.loads((ended["explore"].outputs / "notebook.ipynb").read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in cells)
    assert any("examples = 8" in "".join(cell["source"]) for cell in cells)
    assert any("image/png" in output.get("data", {}) for cell in cells for output in cell["outputs"])
    assert "1797 images" in ended["explore"].log


def test_the_script_puts_it_into_words(ended: dict[str, Ended]) -> None:
    summary = (ended["summarize"].folder / "code" / "summary.md").read_text()
    assert "**random-forest** reads 98.00% of them right" in summary
    assert "The better one is random-forest. Run by ann." in summary
    assert read_folder(ended["summarize"].results).views[0].text == summary


def test_a_failing_notebook_is_kept_and_says_where(
    library: Library, environments: Mapping[str, Path], warm: Warm, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    shutil.copytree(DIGITS, project)
    notebook = json.loads((project / "explore.ipynb").read_text())
    notebook["cells"][2]["source"] = ["print('before')\n", "raise ValueError('the data are odd')"]
    notebook["metadata"]["kernelspec"]["name"] = "of-another-machine"
    (project / "explore.ipynb").write_text(json.dumps(notebook))
    runner = PlanRunner(tmp_path / "steps", library, environments, project, warm=warm)
    ended = runner.run(only(plan_of(library), "import", "explore"))["explore"]
    assert ended.code == 1
    assert "the data are odd" in ended.log
    assert "explore.ipynb failed" in ended.log
    kept = json.loads((ended.outputs / "notebook.ipynb").read_text())
    assert "ValueError" in json.dumps(kept)


def test_an_image_without_papermill_is_named_as_the_trouble(
    library: Library, environments: Mapping[str, Path], tmp_path: Path
) -> None:
    plan = only(plan_of(library), "explore")
    alone = plan.steps[0].model_copy(update={"needs": (), "inputs": {}, "image": "python"})
    ended = PlanRunner(tmp_path, library, environments, DIGITS).run_step(plan, alone, {})
    assert ended.code == 1
    assert "Choose an image with papermill and ipykernel" in ended.log
