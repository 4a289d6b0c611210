"""Result views as the API gives them: what a step left in its results folder, ready to be drawn."""

from __future__ import annotations

import base64
import csv
import io
import json
import mimetypes
import tarfile
from typing import Any

from pydantic import BaseModel

from atelier_core import json_values
from atelier_core.results import FILE_NAME, View, ViewKind, read
from atelier_hub.artifacts.store import ArtifactStore
from atelier_hub.artifacts.tars import open_tar

MAX_FILE = 8 * 1024**2
MAX_ALL = 64 * 1024**2
MAX_ROWS = 1000
MAX_FILES = 10_000
MAX_NAME = 1000


class ResultView(BaseModel):
    """One thing to show.

    `data` by kind: table `{"columns", "rows", "more"}` (at most 1,000 rows), image a data URL, text and html a text,
    iframe a URL, echarts an option or `{"chart", "columns", "rows"}`, metrics `{name: number}`. `problem` says what
    cannot be shown and why; `data` is empty then.
    """

    kind: str
    title: str = ""
    data: Any = None
    problem: str = ""


def views(store: ArtifactStore, digest: str) -> list[ResultView]:
    """The views in a stored results folder; a damaged one is one view that says so."""
    try:
        files = _files(store, digest)
    except (tarfile.TarError, EOFError, ValueError) as error:
        return [ResultView(kind="problem", problem=f"The stored results cannot be read: {error}.")]
    if FILE_NAME not in files:
        return []
    found = read(files[FILE_NAME] or b"", files.keys())
    budget, shown = MAX_ALL, []
    for view in found.views:
        budget -= len(files.get(view.file) or b"") if view.file else 0
        too_much = f"The views together show more than {MAX_ALL // 1024**2} MB; download the artifact instead."
        shown.append(_shown(view, files) if budget >= 0 else ResultView(kind=view.kind, problem=too_much))
    return shown + [ResultView(kind="problem", problem=json_values.text(problem)) for problem in found.problems]


def _files(store: ArtifactStore, digest: str) -> dict[str, bytes | None]:
    """Contents by path; None for what is too large to be sent along."""
    files: dict[str, bytes | None] = {}
    total = 0
    with open_tar(store.read(digest), "r|") as tar:
        for member in tar:
            if not member.isfile():
                continue
            if len(files) >= MAX_FILES or len(member.name) > MAX_NAME:
                raise ValueError(f"they hold more than {MAX_FILES:,} files, or names that are too long")
            total += member.size
            small = member.size <= MAX_FILE and total <= MAX_ALL
            content = tar.extractfile(member) if small else None
            files[member.name.removeprefix("./")] = content.read() if content else None
    return files


def _shown(view: View, files: dict[str, bytes | None]) -> ResultView:
    title = json_values.text(view.title)
    try:
        data = json_values.storable(_data(view, files))
        return ResultView(kind=view.kind, title=title, data=data)
    except (ValueError, RecursionError, csv.Error) as error:
        place = f"{view.file}: " if view.file else ""
        return ResultView(kind=view.kind, title=title, problem=json_values.text(f"{place}{error}."))


def _data(view: View, files: dict[str, bytes | None]) -> Any:
    match view.kind:
        case ViewKind.METRICS:
            return view.values
        case ViewKind.IFRAME:
            return view.url
        case ViewKind.TABLE:
            return _table(_content(view, files))
        case ViewKind.IMAGE:
            kind = mimetypes.guess_type(view.file)[0] or "application/octet-stream"
            return f"data:{kind};base64,{base64.b64encode(_content(view, files)).decode()}"
        case ViewKind.ECHARTS:
            return _chart(view, files)
        case _:
            return _content(view, files).decode("utf-8", "replace") if view.file else view.text


def _content(view: View, files: dict[str, bytes | None]) -> bytes:
    content = files.get(view.file)
    if content is None:
        raise ValueError(f"it is larger than {MAX_FILE // 1024**2} MB; download the artifact instead")
    return content


def _table(content: bytes) -> dict[str, Any]:
    lines = csv.reader(io.StringIO(content.decode("utf-8-sig", "replace"), newline=""))
    columns = next(lines, [])
    rows = [row for row, _ in zip(lines, range(MAX_ROWS), strict=False)]
    return {"columns": columns, "rows": rows, "more": next(lines, None) is not None}


def _chart(view: View, files: dict[str, bytes | None]) -> Any:
    if view.option is not None:
        return view.option
    content = _content(view, files)
    if view.file.endswith(".json"):
        option = json.loads(content)
        return {"chart": view.chart, "data": option} if view.chart else option
    return {"chart": view.chart} | _table(content)
