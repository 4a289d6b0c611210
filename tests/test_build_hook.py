"""A working copy takes what was built of the same sources, and builds what was not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = "labextensions/packages/api/src/index.ts"
COMPILED = "labextensions/packages/api/lib/index.js"


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_hook", ROOT / "labextensions/build_hook.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The least that a working copy has."""
    for name in ("docs/openapi.json", "requirements.lock", SOURCE):
        file = tmp_path / "copy" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return tmp_path / "copy"


def _built(root: Path, text: str) -> None:
    """As the compiler leaves it."""
    for name in (COMPILED, "server_extensions/atelier_server/labextension/package.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_what_was_built_of_the_same_sources_is_taken(hook: ModuleType, copy: Path, tmp_path: Path) -> None:
    builds: list[Path] = []

    def build(folder: Path) -> None:
        builds.append(folder)
        _built(copy, str(len(builds)))

    cache = tmp_path / "cache"
    hook.build_or_take(copy, cache, build)
    _built(copy, "broken")
    hook.build_or_take(copy, cache, build)
    assert builds == [copy / "labextensions"]
    assert (copy / COMPILED).read_text() == (copy / hook.EXTENSION / "package.json").read_text() == "1"
    (copy / SOURCE).write_text("changed")
    hook.build_or_take(copy, cache, build)
    assert len(builds) == 2 and (copy / COMPILED).read_text() == "2"


def test_few_are_kept(hook: ModuleType, copy: Path, tmp_path: Path) -> None:
    for number in range(8):
        (copy / SOURCE).write_text(str(number))
        hook.build_or_take(copy, tmp_path / "cache", lambda _: _built(copy, ""))
    kept = list((tmp_path / "cache").iterdir())
    assert len(kept) == 5
    assert all((one / COMPILED).is_file() for one in kept)


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("labextensions/packages/lab/style/index.css", True),
        ("labextensions/packages/pipelines/src/panels/form/schema.ts", True),
        ("labextensions/packages/api/src/schema.ts", False),
        ("labextensions/node_modules/react/index.js", False),
        (COMPILED, False),
    ],
)
def test_sources_count_and_what_is_made_of_them_does_not(hook: ModuleType, copy: Path, name: str, counts: bool) -> None:
    before = hook.digest_of(copy)
    (copy / name).parent.mkdir(parents=True, exist_ok=True)
    (copy / name).write_text("")
    assert (hook.digest_of(copy) != before) is counts
