"""Finding and packing templates, images, and what is said about broken ones."""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
import tarfile
from pathlib import Path

import pytest

from atelier_core.errors import Invalid, NotFound
from atelier_templates.images import ROOT as IMAGES
from atelier_templates.images import load_images, with_registry
from atelier_templates.loader import ROOT, Library, load, pack

GOOD = """
name: mine
version: "1.0"
category: Test
description: A test.
image: python
command: [python, main.py]
"""


def put(root: Path, text: str = GOOD, name: str = "mine") -> Path:
    folder = root / name
    (folder / "src").mkdir(parents=True)
    (folder / "template.yaml").write_text(text)
    (folder / "src" / "main.py").write_text("print(1)\n")
    return folder


def test_the_templates_that_there_are(library: Library) -> None:
    assert {one.name for one in library.catalog} == {
        "dataset-import", "data-split", "standardize", "missing-values", "encoding",
        "logistic-regression", "linear-regression", "random-forest", "decision-tree", "gbdt", "adaboost", "xgboost",
        "lightgbm", "knn", "naive-bayes", "k-means", "model-evaluation", "offline-predict", "model-convert-onnx",
        "model-register", "deploy-service", "python-step", "shell-step", "r-step", "custom-image",
    }  # fmt: skip
    known = load_images()
    for one in library.catalog:
        folder = library.folder(one)
        assert one.image in known
        assert (folder / "README.md").read_text().startswith("# ")
        assert (folder / "verify.py").is_file()
        for name, schema in one.properties.items():
            assert {"title", "description", "x-ui"} <= schema.keys(), f"{one.name}.{name} has no words for its form"
            assert "default" in schema or name in one.parameters["required"]
        for port in (*one.inputs.values(), *one.outputs.values()):
            assert port.description


def test_code_is_packed_the_same_wherever_and_whenever_it_lies(tmp_path: Path, library: Library) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for file in copy.rglob("*"):
        os.utime(file, (1, 1))
        file.chmod(0o700)
    template = library.catalog.find("standardize")
    assert template is not None
    first = library.archive(template.key)
    source = copy / "standardize" / "src"
    names = {one.relative_to(source).as_posix(): one for one in source.rglob("*.py")}
    names |= {f"{one}.py": copy / "shared" / f"{one}.py" for one in template.shared}
    assert pack(names) == first
    (copy / "standardize" / "src" / "main.py").write_text("changed")
    assert pack(names).digest != first.digest


def test_what_is_packed(library: Library) -> None:
    archive = library.archive("template:logistic-regression@1.0")
    with tarfile.open(fileobj=io.BytesIO(archive.data)) as tar:
        assert tar.getnames() == sorted(
            ["main.py", "model_folder.py", "preprocessing.py", "raw_model.py", "step.py", "tabular.py", "training.py"]
        )
        assert {(one.mtime, one.uid, one.gid, one.uname, one.mode) for one in tar} == {(0, 0, 0, "", 0o644)}
    assert gzip.decompress(archive.data)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", archive.digest)
    assert library.digest("template:logistic-regression@1.0") == archive.digest


def test_runners_are_packed_too(library: Library) -> None:
    assert "runner:notebook" in library.keys
    with tarfile.open(fileobj=io.BytesIO(library.archive("runner:notebook").data)) as tar:
        assert tar.getnames() == ["notebook.py"]


@pytest.mark.parametrize("key", ["template:nothing@1.0", "runner:nothing", "runner:../loader", "x", "runner:"])
def test_code_that_is_not_there(library: Library, key: str) -> None:
    with pytest.raises(NotFound):
        library.archive(key)


def test_folders_of_ones_own(tmp_path: Path) -> None:
    put(tmp_path, GOOD + "shared: [step]\n")
    library = Library([tmp_path])
    mine = library.catalog.find("mine")
    assert mine is not None
    with tarfile.open(fileobj=io.BytesIO(library.archive(mine.key).data)) as tar:
        assert tar.getnames() == ["main.py", "step.py"]


def test_a_newer_version_of_a_built_in_one(tmp_path: Path) -> None:
    put(tmp_path, GOOD.replace("mine", "standardize").replace('"1.0"', '"2.0"'))
    newest = Library([tmp_path]).catalog.find("standardize")
    assert newest is not None
    assert newest.version == "2.0"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: [", "is not YAML"),
        ("- a", "template.yaml: the file"),
        (GOOD.replace("name: mine", "name: Mine!"), "template.yaml: name: use 1 to 50 lower-case"),
        (GOOD + "colour: red\n", "colour: Extra inputs"),
        (GOOD.replace("image: python\n", ""), "image: Field required"),
        (GOOD + "shared: [nothing]\n", "shared: the module 'nothing' does not exist"),
        (GOOD + "shared: [../loader]\n", "does not exist"),
        (GOOD.replace('"1.0"', "1.0"), "version"),
    ],
)
def test_a_broken_manifest_names_file_field_and_what_to_do(tmp_path: Path, text: str, says: str) -> None:
    folder = put(tmp_path, text)
    with pytest.raises(Invalid, match=re.escape(says)) as raised:
        load(folder)
    assert str(folder / "template.yaml") in raised.value.message
    assert raised.value.hint


def test_other_broken_folders(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="does not exist"):
        Library([tmp_path / "nothing"])
    with pytest.raises(Invalid, match="cannot be read"):
        load(tmp_path)
    folder = put(tmp_path)
    shutil.rmtree(folder / "src")
    with pytest.raises(Invalid, match="has no code"):
        load(folder)
    put(tmp_path / "again", GOOD.replace("mine", "standardize"))
    with pytest.raises(Invalid, match="two templates 'standardize'"):
        Library([tmp_path / "again"])


def test_images() -> None:
    images = load_images("registry.example:5000/team/")
    assert set(images) >= {"boosting", "ml", "onnx", "python", "r"}
    assert images["ml"].reference == "registry.example:5000/team/atelier/ml:1"
    assert load_images()["ml"].reference == "atelier/ml:1"
    assert not images["python"].cluster_only
    assert with_registry("ghcr.io/x/y:1", "r") == "ghcr.io/x/y:1"
    assert with_registry("localhost/x:1", "r") == "localhost/x:1"


@pytest.mark.parametrize("image", sorted(one.parent.name for one in IMAGES.glob("*/requirements.in")))
def test_a_lock_has_a_hash_for_everything_and_names_no_index(image: str) -> None:
    lock = (IMAGES / image / "requirements.lock").read_text()
    entries = [one for one in re.split(r"\n(?=\S)", lock.strip()) if not one.startswith("#")]
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in lock
    assert not any(line.startswith("-") for line in lock.splitlines())
    locked = {entry.split("==")[0] for entry in entries}
    lines = (IMAGES / image / "requirements.in").read_text().splitlines()
    assert {re.split(r"[\[>=< ]", line)[0] for line in lines if line and not line.startswith("#")} <= locked


def test_a_broken_image(tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "image.yaml").write_text("name: bad\n")
    with pytest.raises(Invalid, match="reference"):
        load_images(extra_folders=[tmp_path])
