"""Kernels of images on this machine: a notebook runs in the same environment as the steps that name the image."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from atelier_core.image import Image
from atelier_spawner.local.people import passage

PREFIX = "atelier-"
# What MLflow's client sets off in every notebook without widgets, and at every classifier that it records.
_HUSH = "ignore:IProgress not found,ignore:`y_pred` was renamed"
_HAS_KERNEL = re.compile(r"^ipykernel\b", re.MULTILINE)
_OURS = ("atelier_sdk", "atelier_runtime")


def write_kernels(cache: Path, images: Mapping[str, Image]) -> Path:
    """Describe the images whose lock has a kernel; returns the folder for JUPYTER_PATH.

    Nothing is installed: an environment is made when its kernel or a step first asks for it.
    """
    root = _open(passage(cache) / "jupyter")
    kernels = _open(root / "kernels")
    wanted = {PREFIX + image.name: image for image in images.values() if _has_kernel(image)}
    for old in kernels.iterdir():
        if old.name not in wanted:
            shutil.rmtree(old, ignore_errors=True)
    for name, image in wanted.items():
        _write(_open(kernels / name) / "kernel.json", _spec(image, cache))
    for package in _OURS:
        _link(root / "python", package)
    return root


def _open(folder: Path) -> Path:
    """A folder that every account can read, whatever the umask."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    return folder


def _has_kernel(image: Image) -> bool:
    return image.lock is not None and bool(_HAS_KERNEL.search(image.lock.read_text("utf-8")))


def _spec(image: Image, cache: Path) -> dict[str, object]:
    command = [sys.executable, "-m", "atelier_spawner.notebooks.kernel", image.name, str(cache), "{connection_file}"]
    return {
        "argv": command,
        "display_name": f"Python (image {image.name})",
        "language": "python",
        "metadata": {"debugger": True},
        "env": {"PYTHONWARNINGS": _HUSH},
    }


def _write(path: Path, content: object) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(content, indent=1))
    fresh.chmod(0o644)
    fresh.replace(path)


def _link(folder: Path, package: str) -> None:
    """Our client without what else is installed beside us: its own dependencies are in the image."""
    found = find_spec(package)
    if found is None or found.origin is None:
        return
    _open(folder)
    link, target = folder / package, Path(found.origin).parent
    if not link.is_symlink() or Path(os.readlink(link)) != target:
        link.unlink(missing_ok=True)
        link.symlink_to(target)
