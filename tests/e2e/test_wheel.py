"""What is published, installed where there is no Node: the whole product, the part inside JupyterLab too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.atelier_cli.platform.installation import Browser, Installation
from tests.harness.ports import free_port

ROOT = Path(__file__).parents[2]
UV = str(Path(sys.executable).with_name("uv"))
NODE = ("node", "npm", "npx", "jlpm")


def run(*command: str, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distributions, made from what Git tracks; what an earlier build left is not there."""
    folder = tmp_path_factory.mktemp("wheel")
    source, dist = folder / "source", folder / "dist"
    tracked = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", cwd=ROOT).split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    # The Lab extension, if `make` has not built it of the same sources before.
    run(sys.executable, "labextensions/build_hook.py", cwd=source)
    for project in (source, source / "hub/sdk", source / "hub/serve"):
        # The build's own requirements are in this environment, at the versions of the lock file.
        run(UV, "build", "--quiet", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(dist),
            cwd=project, env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"})  # fmt: skip
    return dist


@pytest.fixture(scope="module")
def python(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment into which only the wheels were installed, with what they ask for."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "--without-pip", "env", cwd=folder)
    program = folder / "env/bin/python"
    wheel = next(wheels.glob("atelier_workspace-*.whl"))
    install = (UV, "pip", "install", "--quiet", "--python", str(program), "--find-links", str(wheels))
    run(*install, "--constraint", str(_versions(folder)), f"atelier-workspace[local] @ {wheel.as_uri()}", cwd=folder)
    return program


def _versions(folder: Path) -> Path:
    """The locked versions without their hashes, which our own wheels have none of."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    file = folder / "constraints.txt"
    file.write_text("\n".join(line.removesuffix(" \\") for line in lines if line and line[0].isalnum()))
    return file


@pytest.fixture
def installed(python: Path, tmp_path: Path) -> Iterator[Installation]:
    """A platform of that environment on a machine without Node."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        for program in Path(folder).glob("*") if folder.startswith(("/usr", "/bin")) else ():
            if program.name not in NODE and not (tools / program.name).exists():
                (tools / program.name).symlink_to(program)
    home = tmp_path / "home"
    home.mkdir()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ATELIER_", "VIRTUAL_ENV"))}
    environment = clean | {"PATH": f"{python.parent}{os.pathsep}{tools}", "HOME": str(home)}
    platform = Installation(tmp_path / "data", python=str(python), env=environment)
    yield platform
    platform.run("down", check=False)


def test_a_wheel_gives_the_whole_product_without_node(installed: Installation) -> None:
    assert all(shutil.which(name, path=installed.env["PATH"]) is None for name in NODE[:3])
    started = installed.up("--port", str(free_port()), "--admin", "ada", "--no-mlflow")
    # Nothing was fetched for the proxy: it is in the wheel.
    assert not (Path(installed.env["HOME"]) / ".cache/atelier").exists()
    with Browser(started["url"]) as browser:
        assert browser.choose_password(started["link"]).status_code == 200
        browser.sign_in("ada")
        browser.start_server("ada")
        page = browser.http.get("/user/ada/lab")
        config = json.loads(
            page.text.partition('id="jupyter-config-data" type="application/json">')[2].partition("<")[0]
        )
        ours = next(one for one in config["federated_extensions"] if one["name"] == "@atelier/lab")
        script = browser.http.get(f"/user/ada/lab/extensions/@atelier/lab/{ours['load']}")
        assert script.status_code == 200 and "javascript" in script.headers["content-type"]
        info = browser.http.get("/user/ada/atelier/info")
        assert info.status_code == 200 and info.json()["control_plane"]["state"] == "ok"
