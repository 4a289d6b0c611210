"""Reads the beginning of a file that somebody else made: `python -m atelier_hub.features.datasets.reader`.

A process of its own with little memory and time: a file that was made to break its reader breaks nothing else.
In: `{"url", "path", "name", "rows"}`. Out: what of `Preview` depends on the content.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import resource
import sys
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, cast

HEAD = 2 * 1024**2
TEXT = 64 * 1024
MAX_COLUMNS = 500
MAX_CELL = 500
_SAFE_INTEGER = 2**53
_MEMORY = 4 * 1024**3
_CPU_SECONDS = 20
_DELIMITERS = {".csv": "", ".tsv": "\t", ".tab": "\t"}


def main() -> None:
    """One task from stdin, its answer to stdout."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    task = json.load(sys.stdin)
    with _open(task) as file:
        answer = look(file, str(task["name"]).lower(), int(task["rows"]))
    json.dump(answer, sys.stdout, allow_nan=False)


def _open(task: dict[str, Any]) -> BinaryIO:
    if task["url"]:
        import fsspec

        return cast("BinaryIO", fsspec.open(task["url"], "rb").open())
    return open(task["path"], "rb")


def look(file: BinaryIO, name: str, rows: int) -> dict[str, Any]:
    """What is in a file that is called `name`."""
    suffix = name[name.rfind(".") :] if "." in name else ""
    if suffix in {".parquet", ".pq"}:
        return _parquet(file, rows)
    if suffix in {".arrow", ".feather", ".ipc"}:
        return _arrow(file, rows)
    head = file.read(HEAD)
    more = bool(file.read(1))
    text = _decoded(head, more)
    if text is None:
        return {"kind": "binary"}
    if suffix in _DELIMITERS:
        return _delimited(text, _DELIMITERS[suffix], rows, more)
    if suffix in {".jsonl", ".ndjson"}:
        return _json_lines(text, rows, more)
    return {"kind": "text", "text": text[:TEXT], "more": more or len(text) > TEXT}


def _decoded(head: bytes, more: bool) -> str | None:
    """The text, by UTF-8 or what Chinese and Windows programs write; None for what is no text."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", "replace")
    if b"\0" in head:
        return None
    for encoding in ("utf-8-sig", "gb18030"):
        for cut in range(4 if more else 1):  # the last character may be cut in two
            try:
                return head[: len(head) - cut].decode(encoding)
            except UnicodeDecodeError:
                continue
    return head.decode("cp1252", "replace")


# --- tables as text ---


def _delimited(text: str, delimiter: str, rows: int, more: bool) -> dict[str, Any]:
    if more:
        text = text[: text.rfind("\n") + 1] or text
    csv.field_size_limit(HEAD)
    first = text.partition("\n")[0]
    delimiter = delimiter or max(",;\t|", key="".join(first.split('"')[::2]).count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        names = next(lines, [])
        found = list(itertools.islice(lines, rows + 1))
    except csv.Error as error:
        return {"kind": "text", "text": text[:TEXT], "more": more, "problem": f"It is not a table: {error}."}
    width = max([len(names), *(len(row) for row in found)], default=0)
    names += [f"column {number + 1}" for number in range(len(names), width)]
    shown = [row + [""] * (width - len(row)) for row in found[:rows]]
    kinds = [_kind_of([row[index] for row in shown]) for index in range(width)]
    table = [[_value(cell, kind) for cell, kind in zip(row, kinds, strict=True)] for row in shown]
    total = None if more or len(found) > rows else len(found)
    return _table(list(zip(names, kinds, strict=True)), table, total, more or len(found) > rows)


def _kind_of(cells: Iterable[str]) -> str:
    kinds = {_cell_kind(cell) for cell in cells if cell.strip()}
    if not kinds:
        return "null"
    if kinds <= {"int64", "double"}:
        return "double" if "double" in kinds else "int64"
    return kinds.pop() if len(kinds) == 1 else "string"


def _cell_kind(cell: str) -> str:
    if cell.strip().lower() in {"true", "false"}:
        return "bool"
    for kind, convert in (("int64", int), ("double", float)):
        try:
            convert(cell)
        except ValueError:
            continue
        return kind
    return "string"


def _value(cell: str, kind: str) -> Any:
    if not cell.strip() and kind != "string":
        return None
    if kind in {"int64", "double"}:
        return _plain(int(cell) if kind == "int64" else float(cell))
    return cell.strip().lower() == "true" if kind == "bool" else _plain(cell)


def _json_lines(text: str, rows: int, more: bool) -> dict[str, Any]:
    lines = (line for line in text.splitlines()[: -1 if more and not text.endswith("\n") else None] if line.strip())
    found: list[dict[str, Any]] = []
    for line in itertools.islice(lines, rows + 1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            return {"kind": "text", "text": text[:TEXT], "more": more, "problem": "A line of it is not JSON."}
        found.append(value if isinstance(value, dict) else {"value": value})
    names = list(dict.fromkeys(name for row in found for name in row))
    shown = found[:rows]
    kinds = {name: _json_kind([row[name] for row in shown if row.get(name) is not None]) for name in names}
    table = [[_plain(row.get(name)) for name in names] for row in shown]
    goes_on = more or len(found) > rows
    return _table(list(kinds.items()), table, None if goes_on else len(found), goes_on)


def _json_kind(values: list[Any]) -> str:
    kinds = {type(value) for value in values}
    names = {bool: "bool", int: "int64", float: "double", str: "string", list: "list", dict: "struct"}
    if kinds == {int, float}:
        return "double"
    return names.get(kinds.pop(), "string") if len(kinds) == 1 else ("mixed" if kinds else "null")


# --- tables of Apache Arrow ---


def _parquet(file: BinaryIO, rows: int) -> dict[str, Any]:
    import pyarrow.parquet

    opened = pyarrow.parquet.ParquetFile(file, memory_map=False, pre_buffer=False)
    schema, total = opened.schema_arrow, opened.metadata.num_rows
    names = schema.names[:MAX_COLUMNS]
    batches = opened.iter_batches(batch_size=rows, columns=names, use_threads=False)
    return _arrow_table(schema, next(iter(batches), None), rows, total)


def _arrow(file: BinaryIO, rows: int) -> dict[str, Any]:
    import pyarrow.ipc

    with pyarrow.ipc.open_file(file) as opened:
        total = sum(opened.get_batch(number).num_rows for number in range(opened.num_record_batches))
        first = opened.get_batch(0) if opened.num_record_batches else None
        return _arrow_table(opened.schema, first, rows, total)


def _arrow_table(schema: Any, batch: Any, rows: int, total: int) -> dict[str, Any]:
    columns = [(field.name, str(field.type)) for field in list(schema)[:MAX_COLUMNS]]
    shown = batch.slice(0, rows) if batch is not None else None
    cells: Iterator[Any] = iter(())
    if shown is not None:
        cells = zip(*(map(_plain, shown.column(number).to_pylist()) for number in range(len(columns))), strict=True)
    table = [list(row) for row in cells]
    return _table(columns, table, total, total > len(table))


def _table(columns: list[tuple[str, str]], rows: list[list[Any]], total: int | None, more: bool) -> dict[str, Any]:
    return {
        "kind": "table",
        "columns": [{"name": str(name)[:MAX_CELL], "type": kind[:MAX_CELL]} for name, kind in columns[:MAX_COLUMNS]],
        "rows": [row[:MAX_COLUMNS] for row in rows],
        "total": total,
        "more": more,
        "problem": f"Only {MAX_COLUMNS} of {len(columns)} columns are shown." if len(columns) > MAX_COLUMNS else "",
    }


def _plain(value: Any) -> Any:
    """A value that JSON and a browser's numbers can hold."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < _SAFE_INTEGER else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, dict | list | tuple):
        value = json.dumps(value, default=str, ensure_ascii=False)
    text = str(value)
    return text if len(text) <= MAX_CELL else f"{text[:MAX_CELL]}…"


if __name__ == "__main__":
    main()
