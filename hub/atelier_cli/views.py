"""Result views in a terminal: what can be shown as text is, the rest is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from atelier_cli.output import Output

_ROWS = 30


def show_views(out: Output, step: str, views: Sequence[Mapping[str, Any]]) -> None:
    """All views of a step; those that need a screen are counted."""
    elsewhere = 0
    for view in views:
        if out.as_json:
            out.record({"type": "result", "step": step, **view})
            continue
        body = Text(str(view["problem"]), "yellow") if view.get("problem") else _drawn(view)
        if body is None:
            elsewhere += 1
            continue
        title = str(view.get("title") or view.get("kind") or "")
        out.console.print(Text(f"\n{step}: {title}", "bold"))
        out.console.print(body)
    if elsewhere:
        out.console.print(Text(f"\n{step}: {elsewhere} charts and pictures, to be seen in JupyterLab", "dim"))


def _drawn(view: Mapping[str, Any]) -> Table | Text | None:
    data = view.get("data")
    kind = view.get("kind")
    if kind == "metrics" and isinstance(data, Mapping):
        return _table(["metric", "value"], [[name, _number(value)] for name, value in data.items()])
    if kind == "metrics" and isinstance(data, Sequence) and not isinstance(data, str):
        return _table(*_records(data))
    if kind == "table":
        return _table(*_rows_of(view, data))
    if kind == "text":
        return Text(str(data or ""))
    return None


def _rows_of(view: Mapping[str, Any], data: Any) -> tuple[list[str], list[list[str]]]:
    """Columns and rows, however the table was written."""
    if isinstance(data, Mapping) and "rows" in data:
        view, data = data, data["rows"]
    columns = [str(column) for column in view.get("columns", view.get("header", []))]
    if isinstance(data, Sequence) and data and isinstance(data[0], Mapping):
        return _records(data)
    rows = view.get("rows", data) or []
    return columns, [[_number(cell) for cell in row] for row in rows]


def _records(data: Sequence[Any]) -> tuple[list[str], list[list[str]]]:
    records = [record for record in data if isinstance(record, Mapping)]
    columns = list(dict.fromkeys(str(name) for record in records for name in record))
    return columns, [[_number(record.get(name, "")) for name in columns] for record in records]


def _table(columns: list[str], rows: list[list[str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", show_header=bool(columns))
    for column in columns:
        table.add_column(Text(column))
    for row in rows[:_ROWS]:
        table.add_row(*(Text(cell) for cell in row))
    if len(rows) > _ROWS:
        table.add_row(f"… and {len(rows) - _ROWS} more")
    return table


def _number(value: Any) -> str:
    """Numbers to four digits, also those that came as text from a CSV."""
    text = str(value)
    if "." in text:
        try:
            return f"{float(text):.4g}"
        except ValueError:
            return text
    return text
