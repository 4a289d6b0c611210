"""Result views: finds `metric.json` where the command left it and gathers the files that it names beside it."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

from atelier_runtime.outcome import plain
from atelier_runtime.spec import ShimSpec

NAME = "metric.json"
_GLOBAL = "/metric.json"
_FILE_KEYS = frozenset({"file_path", "path", "file", "image", "html", "text", "csv", "json"})
_LIMIT = 16 * 1024**2


def gather(spec: ShimSpec, since: float) -> None:
    """Make `results/` complete in itself: `metric.json` there, its files beside it, paths relative.

    The file `/metric.json` counts only if this command wrote it: a step without a file system of its own shares that
    place with others. It is taken away then. If the file is not one of ours, which `OSError`, `ValueError` or
    `RecursionError` tells, what is in `results/` stays as it is.
    """
    folder, workdir = os.path.join(spec.root, "results"), spec.path(spec.workdir)
    _drop_empty(os.path.join(folder, NAME))
    source = _find(folder, workdir, since)
    if source is None:
        return
    with open(source, encoding="utf-8") as file:
        document = plain(json.loads(file.read(_LIMIT)))
    items = document if isinstance(document, list) else [document]
    taken: dict[str, str] = {}
    gathered = [_rewrite(item, [os.path.dirname(source), workdir], folder, taken) for item in items]
    with open(os.path.join(folder, NAME), "w", encoding="utf-8") as file:
        json.dump(gathered, file, ensure_ascii=False)
    if source == _GLOBAL:
        os.unlink(source)


def _drop_empty(path: str) -> None:
    """On a cluster the file exists from the start, as the place where `/metric.json` is mounted."""
    if os.path.isfile(path) and not os.path.getsize(path):
        os.unlink(path)


def _find(folder: str, workdir: str, since: float) -> str | None:
    for path in (os.path.join(folder, NAME), os.path.join(workdir, NAME)):
        if os.path.isfile(path) and (os.path.dirname(path) == folder or os.stat(path).st_mtime >= since - 1):
            return path
    try:
        status = os.stat(_GLOBAL)
    except OSError:
        return None
    return _GLOBAL if status.st_uid == os.geteuid() and status.st_mtime >= since else None


def _rewrite(item: Any, places: list[str], folder: str, taken: dict[str, str]) -> Any:
    if not isinstance(item, dict):
        return item
    return {key: _take(value, places, folder, taken) if key in _FILE_KEYS else value for key, value in item.items()}


def _take(value: Any, places: list[str], folder: str, taken: dict[str, str]) -> Any:
    """Copy the file that `value` names into `folder`; its name there, or `value` if it names none."""
    if not isinstance(value, str) or not value or len(value) > 4096 or "\n" in value or "\0" in value:
        return value
    path = next((full for full in (os.path.join(place, value) for place in places) if os.path.isfile(full)), None)
    if path is None:
        return value
    real, home = os.path.realpath(path), os.path.realpath(folder)
    if real.startswith(home + "/"):
        return os.path.relpath(real, home)
    if real not in taken:
        name = _free_name(folder, os.path.basename(path))
        shutil.copyfile(real, os.path.join(folder, name))
        taken[real] = name
    return taken[real]


def _free_name(folder: str, name: str) -> str:
    stem, extension = os.path.splitext(name)
    number, free = 1, name
    while os.path.lexists(os.path.join(folder, free)) or free == NAME:
        number += 1
        free = f"{stem}-{number}{extension}"
    return free
