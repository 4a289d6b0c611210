"""What a step wants to be seen: `metric.json` and the files beside it, in our form and in Cube Studio's."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

FILE_NAME = "metric.json"
MAX_BYTES = 16 * 1024**2
MAX_VIEWS = 200
CHARTS = ("line", "bar", "pie", "scatter", "radar", "candlestick", "heatmap", "parallel", "tree", "sunburst", "funnel",
          "boxplot", "gauge", "sankey", "graph", "treemap")  # fmt: skip
_OPTION_KEYS = frozenset({"series", "xAxis", "yAxis", "dataset", "radar", "visualMap"})
_ALIASES = {"echart": "echarts", "chart": "echarts", "metric": "metrics", "csv": "table", "picture": "image"}


class ViewKind(StrEnum):
    """How a view is shown."""

    TABLE = "table"
    IMAGE = "image"
    TEXT = "text"
    HTML = "html"
    IFRAME = "iframe"
    ECHARTS = "echarts"
    METRICS = "metrics"


@dataclass(frozen=True)
class View:
    """One thing to show. `file` is a path below the results folder; a chart has an `option` or is drawn from a file."""

    kind: ViewKind
    title: str = ""
    file: str = ""
    text: str = ""
    url: str = ""
    chart: str = ""
    option: dict[str, Any] | None = None
    values: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """The views that can be shown, and a sentence for each that cannot."""

    views: tuple[View, ...] = ()
    problems: tuple[str, ...] = ()


class _Wrong(ValueError):
    """One view cannot be shown; the message is the end of a sentence."""


def read_folder(folder: Path) -> Results:
    """The views of a results folder; a folder without `metric.json` shows nothing."""
    file = folder / FILE_NAME
    if not file.is_file():
        return Results()
    if file.stat().st_size > MAX_BYTES:
        return Results(
            problems=(f"{FILE_NAME} is larger than {MAX_BYTES // 1024**2} MB. Put data into files beside it.",)
        )
    root = folder.resolve()
    files = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.resolve().is_relative_to(root)
    }
    return read(file.read_bytes(), files)


def read(source: bytes | str, files: Collection[str]) -> Results:
    """The views in the text of a `metric.json`; `files` are the paths of the files beside it."""
    try:
        loaded = json.loads(source, parse_constant=lambda constant: None)
    except (ValueError, RecursionError) as error:
        return Results(problems=(f"{FILE_NAME} is not JSON: {error}.",))
    items = loaded if isinstance(loaded, list) else [loaded]
    views, problems = [], []
    for number, item in enumerate(items[:MAX_VIEWS], 1):
        try:
            views.append(_view(item, files))
        except _Wrong as error:
            problems.append(f"View {number} of {FILE_NAME} {error}.")
    if len(items) > MAX_VIEWS:
        problems.append(f"{FILE_NAME} has {len(items)} views; the first {MAX_VIEWS} are shown.")
    return Results(tuple(views), tuple(problems))


def _view(item: Any, files: Collection[str]) -> View:
    if not isinstance(item, dict):
        raise _Wrong("is not an object with a metric_type")
    given = item.get("metric_type", item.get("kind"))
    if given is None:
        if _OPTION_KEYS & item.keys():
            return View(ViewKind.ECHARTS, _title(item), option=item)
        raise _Wrong(f"has no metric_type. Known are: {_known()}")
    kind = str(given).strip().lower()
    kind = _ALIASES.get(kind, kind)
    chart = next((kind.removeprefix(head) for head in ("echarts-", "echart-") if kind.startswith(head)), "")
    if chart:
        return _drawn(item, chart, files)
    reader = _READERS.get(kind)
    if reader is None:
        raise _Wrong(f"has the metric_type {given!r}, which is not known. Known are: {_known()}")
    return reader(item, files)


def _known() -> str:
    return f"{', '.join(_READERS)}, echart-{', echart-'.join(CHARTS)}"


def _title(item: dict[str, Any]) -> str:
    given = next((item[key] for key in ("describe", "title", "name") if isinstance(item.get(key), str)), "")
    return str(given)


def _first(item: dict[str, Any], *names: str) -> Any:
    return next((item[name] for name in names if item.get(name) not in (None, "")), None)


def _file(item: dict[str, Any], files: Collection[str], *names: str) -> str:
    """The file that a view names. Cube Studio's tasks name it by its full path: its last part counts then."""
    given = _first(item, *names)
    if not isinstance(given, str):
        raise _Wrong(f"names no file in {names[0]!r}")
    plain = str(PurePosixPath(given.strip()))
    for name in (plain, PurePosixPath(plain).name):
        if name in files:
            return name
    raise _Wrong(f"names the file {given!r}, which is not beside {FILE_NAME}. Write it into $ATELIER_RESULTS")


def _table(item: dict[str, Any], files: Collection[str]) -> View:
    return View(ViewKind.TABLE, _title(item), file=_file(item, files, "file_path", "file"))


def _image(item: dict[str, Any], files: Collection[str]) -> View:
    return View(ViewKind.IMAGE, _title(item), file=_file(item, files, "image", "file_path", "file"))


def _text(item: dict[str, Any], files: Collection[str]) -> View:
    text = _first(item, "text", "value")
    if isinstance(text, dict | list):
        text = json.dumps(text, ensure_ascii=False, indent=1)
    if text is None:
        raise _Wrong("has no text")
    return View(ViewKind.TEXT, _title(item), text=str(text))


def _html(item: dict[str, Any], files: Collection[str]) -> View:
    html = item.get("html")
    if isinstance(html, str) and html.strip() and html.strip() not in files:
        return View(ViewKind.HTML, _title(item), text=html)
    return View(ViewKind.HTML, _title(item), file=_file(item, files, "html", "file_path", "file"))


def _iframe(item: dict[str, Any], files: Collection[str]) -> View:
    url = item.get("url")
    if not isinstance(url, str) or not url.strip().lower().startswith(("http://", "https://")):
        raise _Wrong("has no url that starts with http:// or https://")
    return View(ViewKind.IFRAME, _title(item), url=url.strip())


def _echarts(item: dict[str, Any], files: Collection[str]) -> View:
    option = _first(item, "option", "echarts", "options")
    if isinstance(option, str):
        try:
            option = json.loads(option, parse_constant=lambda constant: None)
        except (ValueError, RecursionError) as error:
            raise _Wrong(f"has an option that is not JSON: {error}") from None
    if isinstance(option, dict):
        return View(ViewKind.ECHARTS, _title(item), option=option)
    return View(ViewKind.ECHARTS, _title(item), file=_file(item, files, "option", "file_path", "file"))


def _drawn(item: dict[str, Any], chart: str, files: Collection[str]) -> View:
    if chart not in CHARTS:
        raise _Wrong(f"is a chart of the kind {chart!r}, which is not known. Known are: {', '.join(CHARTS)}")
    return View(ViewKind.ECHARTS, _title(item), file=_file(item, files, "file_path", "file"), chart=chart)


def _metrics(item: dict[str, Any], files: Collection[str]) -> View:
    given = _first(item, "metrics", "values", "value")
    if not isinstance(given, dict) or not given:
        raise _Wrong("has no object of names and numbers in 'metrics'")
    values = {}
    for name, value in given.items():
        number = _number(value)
        if number is None:
            raise _Wrong(f"has the metric {name!r}, which is not a number: {str(value)[:80]!r}")
        values[name] = number
    return View(ViewKind.METRICS, _title(item), values=values)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


_READERS: dict[str, Callable[[dict[str, Any], Collection[str]], View]] = {
    "table": _table,
    "image": _image,
    "text": _text,
    "html": _html,
    "iframe": _iframe,
    "echarts": _echarts,
    "metrics": _metrics,
}
