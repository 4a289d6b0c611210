"""What keeps the house in order and no linter says: `lint-imports` for the layers, the rest here.

Each message says what to do, since whoever meets it is adding something new.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "atelier_core": "hub",
    "atelier_hub": "hub",
    "atelier_cli": "hub",
    "atelier_gateway": "hub",
    "atelier_sdk": "hub/sdk",
    "atelier_runtime": "hub/sdk",
    "atelier_serve": "hub/serve",
    "atelier_spawner": "spawner",
    "atelier_server": "server_extensions",
    "atelier_templates": "job_templates",
}
FUNCTION_LIMIT = 80
MODULE_LIMIT = 600
GENERATED = ("atelier_hub/db/migrations/versions/",)
# Modules in which a process begins: only they may look at the environment.
ENTRY_MODULES = (
    "atelier_hub/app.py",
    "atelier_hub/__main__.py",
    "atelier_gateway/app.py",
    "atelier_server/app.py",
    "atelier_cli/main.py",
    "atelier_serve/__main__.py",
)
# Programs that run beside a step or in a server and are told by environment variables what to do.
TOLD_BY_ENVIRONMENT = (
    "atelier_runtime/",
    "atelier_templates/",
    "atelier_sdk/here.py",
    "atelier_spawner/notebooks/kernel.py",
)
# What models are made with; each is imported by its module in atelier_serve/frameworks alone.
FRAMEWORKS = {"lightgbm", "mlflow", "onnxruntime", "tensorflow", "torch", "xgboost"}
FEATURE_FILES = {"__init__.py", "routes.py", "service.py", "store.py", "reconcile.py", "startup.py"}
FEATURE_MUST_HAVE = {"__init__.py", "routes.py", "service.py"}


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of ours by its path below its source root, e.g. `atelier_core/names.py`."""
    found = {}
    for package, folder in PACKAGES.items():
        for file in sorted((ROOT / folder / package).rglob("*.py")):
            name = file.relative_to(ROOT / folder).as_posix()
            if not name.startswith(GENERATED):
                found[name] = ast.parse(file.read_text(encoding="utf-8"), name)
    return found


@cache
def tracked() -> list[Path]:
    """The files of the tree as git sees them, or all of them outside git."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.split("\0")[:-1]
    if listed.returncode:
        names = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if ".venv" not in path.parts]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def fail(problems: list[str], advice: str) -> None:
    """One failure for all problems."""
    assert not problems, "\n".join(["", *problems, advice])


def test_every_package_is_known() -> None:
    found = {file.parent.name for folder in set(PACKAGES.values()) for file in (ROOT / folder).glob("*/__init__.py")}
    fail(sorted(found ^ set(PACKAGES)), "Add the package to PACKAGES here, to .importlinter and to pyproject.toml.")


def test_imports_go_one_way() -> None:
    script = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([script, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]


def _imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("atelier_runtime", set()),
        ("atelier_sdk", {"httpx", "pathspec", "pydantic"}),
        # pandas and joblib, as the frameworks themselves, are imported where one needs them.
        (
            "atelier_serve",
            {"numpy", "orjson", "starlette", "uvicorn", "yaml", "pandas", "joblib", "skops"} | FRAMEWORKS,
        ),
    ],
)
def test_light_packages_stay_light(package: str, allowed: set[str]) -> None:
    allowed = allowed | {package} | set(sys.stdlib_module_names)
    problems = [
        f"{name}:{line} imports {module}"
        for name, tree in modules().items()
        if name.startswith(f"{package}/")
        for module, line in _imports(tree)
        if module.split(".")[0] not in allowed
    ]
    fail(problems, f"{package} runs on other people's machines; do without, or do it in the control plane.")


# --- features of the control plane ---


def _features() -> list[Path]:
    folder = ROOT / "hub" / "atelier_hub" / "features"
    return sorted(child for child in folder.iterdir() if (child / "__init__.py").exists())


def _order() -> dict[str, int]:
    from atelier_hub.features import LAYERS

    return {feature: layer for layer, features in enumerate(LAYERS) for feature in features}


def test_every_feature_is_placed() -> None:
    problems = sorted({feature.name for feature in _features()} ^ set(_order()))
    fail(problems, "Place the feature in LAYERS of atelier_hub/features/__init__.py: who may call whom.")


def test_features_have_the_fixed_files() -> None:
    problems = []
    for feature in _features():
        files = {file.name for file in feature.glob("*.py")}
        problems += [f"{feature.name} lacks {name}" for name in sorted(FEATURE_MUST_HAVE - files)]
    fail(problems, f"A feature is a folder with {sorted(FEATURE_MUST_HAVE)}, store.py where it has tables.")


def _feature_imports() -> Iterator[tuple[str, str, str, str]]:
    """(feature, module, imported feature, imported module) of every import between two features' modules."""
    graph = grimp.build_graph("atelier_hub", cache_dir=None)
    prefix = "atelier_hub.features."
    for importer in graph.modules:
        if not importer.startswith(prefix):
            continue
        for imported in graph.find_modules_directly_imported_by(importer):
            if imported.startswith(prefix):
                yield importer.split(".")[2], importer, imported.split(".")[2], imported


def test_features_call_downwards_only() -> None:
    order = _order()
    problems = [
        f"{importer} imports {imported}"
        for feature, importer, other, imported in _feature_imports()
        if feature != other and order.get(feature, 0) >= order.get(other, 99)
    ]
    fail(problems, "A feature calls only features of later layers. Move the shared part down, or use an event.")


def test_stores_are_private() -> None:
    problems = [
        f"{importer} imports {imported}"
        for feature, importer, other, imported in _feature_imports()
        if feature != other and imported.endswith(".store")
    ]
    fail(problems, "Call the other feature's service; its tables are its own.")


def test_routes_call_services_not_stores() -> None:
    problems = [
        f"{importer} imports {imported}"
        for _, importer, _, imported in _feature_imports()
        if importer.endswith(".routes") and imported.endswith(".store")
    ]
    fail(problems, "routes -> service -> store.")


# --- sizes, words, environment ---


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_functions_stay_short() -> None:
    problems = [
        f"{name}:{function.lineno} {function.name} has {length} lines"
        for name, tree in modules().items()
        for function in _functions(tree)
        if (length := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LIMIT
    ]
    fail(problems, f"At most {FUNCTION_LIMIT} lines, better 40: give its parts names.")


def test_modules_stay_small() -> None:
    problems = [
        f"{name} has {length} lines"
        for name, tree in modules().items()
        if tree.body and (length := tree.body[-1].end_lineno or 0) > MODULE_LIMIT
    ]
    fail(problems, f"At most {MODULE_LIMIT} lines, better 400: split it by purpose.")


def _reads_environment(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
        return node.attr in ("environ", "getenv", "environb")
    return (
        isinstance(node, ast.ImportFrom)
        and node.module == "os"
        and any(n.name in ("environ", "getenv") for n in node.names)
    )


def test_environment_is_read_at_the_entry_only() -> None:
    """A whole copy for a child process is no reading of settings: `dict(os.environ)`, `os.environ | {…}`."""
    problems = []
    for name, tree in modules().items():
        if name in ENTRY_MODULES or name.startswith(TOLD_BY_ENVIRONMENT):
            continue
        copies = {id(part) for copy in ast.walk(tree) for part in _copied(copy)}
        problems += [
            f"{name}:{node.lineno}"
            for node in ast.walk(tree)
            if _reads_environment(node) and id(node) not in copies and isinstance(node, ast.Attribute | ast.ImportFrom)
        ]
    fail(problems, f"Settings are traitlets or arguments; only {', '.join(ENTRY_MODULES)} read the environment.")


def _copied(node: ast.AST) -> Iterator[ast.AST]:
    """`os.environ` where it is copied as a whole for a child process."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        yield from node.args
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "copy":
        yield node.func.value
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        yield from (node.left, node.right)
    elif isinstance(node, ast.Dict):
        yield from (value for key, value in zip(node.keys, node.values, strict=True) if key is None)


def _public(tree: ast.Module) -> Iterator[ast.AST]:
    """Classes, functions and methods that others may use. Methods of private classes and of tests are nobody's."""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in tree.body:
        if isinstance(node, kinds) and not node.name.startswith("_"):
            yield node


def test_public_things_have_a_docstring() -> None:
    problems = []
    for name, tree in modules().items():
        if "/src/" in name:
            continue  # code of templates: scripts
        if tree.body and not ast.get_docstring(tree):
            problems.append(f"{name}: the module")
        problems += [
            f"{name}:{node.lineno} {node.name}"  # type: ignore[attr-defined]
            for node in _public(tree)
            if not ast.get_docstring(node)  # type: ignore[arg-type]
        ]
    fail(problems, "One line in the words of the product; or make it private.")


_BAD_NAMES = re.compile(r"(^|/)(utils?|helpers?|manager|misc|common)\.py$")


def test_modules_are_named_for_what_they_do() -> None:
    fail([name for name in modules() if _BAD_NAMES.search(name)], "Name the module after its one purpose.")


# Written in two parts, or this file would find itself.
_FOREIGN = re.compile(
    "|".join(["/wor" + "k/(main|shared)", "/roo" + r"t/\.(pyenv|cache)", "/tm" + "p/v3", "/opt/whee" + "ls"])
)
_TEXT = {
    ".py",
    ".md",
    ".toml",
    ".yaml",
    ".yml",
    ".json",
    ".txt",
    ".lock",
    ".cfg",
    ".ini",
    ".sh",
    ".ts",
    ".tsx",
    ".pipeline",
    ".ipynb",
    "",
}
_INDEX_HOST = re.compile(r"(--(extra-)?index-url|--find-links|files\.pythonhost" + r"ed\.org|pypi\.or" + r"g/simple)")


def _text_files() -> Iterator[tuple[Path, str]]:
    for file in tracked():
        if file.suffix in _TEXT and file.stat().st_size < 5_000_000:
            yield file, file.read_text(encoding="utf-8", errors="replace")


def test_the_tree_names_no_machine() -> None:
    problems = [
        f"{file.relative_to(ROOT)}:{number} {line.strip()[:100]}"
        for file, text in _text_files()
        for number, line in enumerate(text.splitlines(), 1)
        if _FOREIGN.search(line) or (file.name.endswith(".lock") and _INDEX_HOST.search(line))
    ]
    fail(problems, "Paths of one machine and hosts of one package index do not belong into the tree.")


# --- packaging ---


def test_colours_are_those_of_lab() -> None:
    """A theme changes everything: colours come from `--jp-*`, and what is ours (`--at-*`) is made of them."""
    own = re.compile(r"#[0-9a-f]{3,8}\b|\b(rgba?|hsla?)\(|var\(--(?!jp-|at-)|color: (white|black|gr[ae]y|red)\b")
    styles = sorted((ROOT / "labextensions" / "packages").glob("*/style/*.css"))
    assert styles
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in styles
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if own.search(line)
    ]
    assert not found, "\n".join(found)


def test_versions_agree() -> None:
    main = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    sdk = tomllib.loads((ROOT / "hub/sdk/pyproject.toml").read_text())["project"]
    assert f"atelier-sdk=={sdk['version']}" in main["dependencies"]
    serve = tomllib.loads((ROOT / "hub/serve/pyproject.toml").read_text())["project"]
    assert f"atelier-serve=={serve['version']}" in main["dependencies"]
    assert main["requires-python"] == serve["requires-python"]
    assert main["requires-python"] == sdk["requires-python"]
    assert f"## {main['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_lock_is_whole() -> None:
    """Every direct dependency is pinned with hashes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    wanted += [item for group in project["project"]["optional-dependencies"].values() for item in group]
    pinned = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    names = {re.split(r"[\[<>=!~; ]", item)[0].lower().replace("_", "-") for item in wanted} - {
        "atelier-sdk",
        "atelier-serve",
    }
    fail(sorted(names - pinned), "Run `make lock`.")


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """All wheels, built as for a release, by what is in them."""
    target = tmp_path_factory.mktemp("wheels")
    for folder in (ROOT, ROOT / "hub" / "sdk", ROOT / "hub" / "serve"):
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target)]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
    return {file.name.split("-")[0]: set(zipfile.ZipFile(file).namelist()) for file in target.glob("*.whl")}


def test_wheels_hold_the_right_packages(wheels: dict[str, set[str]]) -> None:
    found = {
        name: {entry.split("/")[0] for entry in entries if ".dist-info" not in entry}
        for name, entries in wheels.items()
    }
    sdk = {"atelier_sdk", "atelier_runtime"}
    assert found["atelier_sdk"] == sdk
    assert found["atelier_serve"] == {"atelier_serve"}
    assert {entry for entry in found["atelier_workspace"] if not entry.endswith(".data")} == (
        set(PACKAGES) - sdk - {"atelier_serve"}
    )


def test_wheels_hold_every_file_of_the_packages(wheels: dict[str, set[str]]) -> None:
    """Templates, migrations and pages are data that an editable install always has: only the wheel can lack them."""
    packed = set().union(*wheels.values())
    problems = []
    for package, folder in PACKAGES.items():
        for file in tracked():
            if file.is_relative_to(ROOT / folder / package):
                name = file.relative_to(ROOT / folder).as_posix()
                problems += [name] if name not in packed else []
    fail(problems, "Add them to [tool.hatch.build.targets.wheel] in pyproject.toml.")
