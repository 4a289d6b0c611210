"""Files of rows as they stream by: CSV and JSON lines, read and written piece by piece."""

from __future__ import annotations

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from atelier_gateway.errors import Refusal

MOST_RECORD = 1024**2
ERROR = "error"
PARQUET = frozenset({"application/vnd.apache.parquet", "application/parquet", "application/x-parquet"})


@dataclass
class Row:
    """A row of the file: `given` as it was sent, and what becomes of it: `answer` by output, or `error`."""

    number: int
    size: int
    given: Any = None
    values: Sequence[Any] = ()
    answer: dict[str, Any] = field(default_factory=dict)
    error: str = ""


class Format(ABC):
    """One kind of file. `head` are the names of its columns; None where each row says its own."""

    content_type: bytes
    head: Sequence[str] | None = None

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._rest = b""
        self._open: list[bytes] = []  # lines of a record that goes on
        self._number = 0

    def feed(self, piece: bytes) -> Iterator[Row]:
        """The rows that end in the next piece of the file."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            yield from self._line(line)
        if len(self._rest) + sum(map(len, self._open)) > MOST_RECORD:
            raise Refusal(
                413,
                f"Row {self._number + 1} is longer than {MOST_RECORD:,} bytes.",
                code="row_too_long",
                hint="Is a quote not closed, or is this another kind of file?",
                closes=True,
            )

    def end(self) -> Iterator[Row]:
        """What the end of the file completes."""
        line, self._rest = self._rest, b""
        if line or self._open:
            yield from self._line(line)
        if self._open:
            yield from self._record(b"\n".join(self._open))

    def _line(self, line: bytes) -> Iterator[Row]:
        self._open.append(line)
        if self._whole(line):
            record = b"\n".join(self._open) if len(self._open) > 1 else line
            self._open.clear()
            yield from self._record(record)

    def _record(self, record: bytes) -> Iterator[Row]:
        if not record.strip():
            return
        try:
            yield from self._parsed(record, record.decode("utf-8"))
        except UnicodeDecodeError:
            yield self._row(record, error="it is not UTF-8")

    def _row(self, record: bytes, given: Any = None, error: str = "") -> Row:
        self._number += 1
        return Row(self._number, len(record), given, error=f"Row {self._number}: {error}." if error else "")

    @abstractmethod
    def _whole(self, line: bytes) -> bool:
        """Whether a record ends with this line."""

    @abstractmethod
    def _parsed(self, record: bytes, text: str) -> Iterator[Row]: ...

    @abstractmethod
    def begin(self, outputs: Mapping[str, int]) -> bytes:
        """What stands before the first row; `outputs` are the names of the answers, and how many values each has."""

    @abstractmethod
    def write(self, rows: Sequence[Row]) -> bytes:
        """Rows with their answers."""

    @abstractmethod
    def last_words(self, message: str) -> bytes:
        """The line that says why nothing more follows."""


class Csv(Format):
    """Comma-separated values in UTF-8, the names of the columns in the first row."""

    content_type = b"text/csv; charset=utf-8"

    def __init__(self, *, keep: bool) -> None:
        super().__init__(keep=keep)
        self._quoted = False
        self._outputs: Mapping[str, int] = {}

    def _whole(self, line: bytes) -> bool:
        if line.count(b'"') % 2:
            self._quoted = not self._quoted
        return not self._quoted

    def _parsed(self, record: bytes, text: str) -> Iterator[Row]:
        try:
            (fields,) = csv.reader([text.rstrip("\r")], strict=True)
        except (csv.Error, ValueError) as error:
            fields, wrong = [], f"it is no CSV: {error}"
        else:
            wrong = ""
        if self.head is None:
            self._begin(fields, wrong)
            return
        if not wrong and len(fields) != len(self.head):
            wrong = f"it has {len(fields)} fields, but the file has {len(self.head)} columns"
        yield self._row(record, fields, wrong)

    def _begin(self, fields: list[str], wrong: str) -> None:
        head = [name.strip() for name in fields]
        if head:
            head[0] = head[0].removeprefix("\ufeff")
        twice = next((name for name in head if head.count(name) > 1), None)
        if wrong or twice is not None or not all(head):
            why = wrong or ("a column has no name" if twice in (None, "") else f"two columns are called {twice!r}")
            raise _bad_file(
                f"The first row does not name the columns: {why}.", "Name each column once in the first row."
            )
        self.head = head

    def begin(self, outputs: Mapping[str, int]) -> bytes:
        self._outputs = outputs
        names = [name for one, width in outputs.items() for name in _spread(one, width)]
        kept = list(self.head or ()) if self._keep else []
        clash = next((name for name in [*names, ERROR] if name in kept), None)
        if clash is not None:
            raise _bad_file(f"The file has a column {clash!r} already.", "Rename it, or send ?keep=false.")
        return _line([*kept, *names, ERROR])

    def write(self, rows: Sequence[Row]) -> bytes:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        blank = [""] * sum(self._outputs.values())
        for row in rows:
            writer.writerow([*self._kept(row), *(self._values(row) if not row.error else blank), row.error])
        return out.getvalue().encode()

    def _kept(self, row: Row) -> list[str]:
        if not self._keep:
            return []
        wide = len(self.head or ())
        return [*(row.given or []), *[""] * wide][:wide]

    def _values(self, row: Row) -> Iterator[Any]:
        for name, width in self._outputs.items():
            value = row.answer[name]
            yield from [value] if width == 1 else value

    def last_words(self, message: str) -> bytes:
        wide = (len(self.head or ()) if self._keep else 0) + sum(self._outputs.values())
        return _line([*[""] * wide, message])


class JsonLines(Format):
    """A JSON value in each line: an object by column, or a list by their order."""

    content_type = b"application/x-ndjson"

    def _whole(self, line: bytes) -> bool:
        return True

    def _parsed(self, record: bytes, text: str) -> Iterator[Row]:
        try:
            given = json.loads(text.removeprefix("\ufeff"))
        except (ValueError, RecursionError) as error:
            yield self._row(record, error=f"it is no JSON: {error}")
            return
        known = isinstance(given, dict | list)
        yield self._row(record, given, "" if known else "it is neither a JSON object nor a list")

    def begin(self, outputs: Mapping[str, int]) -> bytes:
        return b""

    def write(self, rows: Sequence[Row]) -> bytes:
        return b"".join(_json(self._kept(row) | (row.answer if not row.error else {ERROR: row.error})) for row in rows)

    def _kept(self, row: Row) -> dict[str, Any]:
        if not self._keep or row.given is None:
            return {}
        return dict(row.given) if isinstance(row.given, dict) else {"row": row.given}

    def last_words(self, message: str) -> bytes:
        return _json({ERROR: message})


_FORMATS: dict[str, type[Format]] = {
    "text/csv": Csv,
    "application/csv": Csv,
    "application/x-ndjson": JsonLines,
    "application/jsonl": JsonLines,
    "application/jsonlines": JsonLines,
    "application/x-jsonlines": JsonLines,
    **dict.fromkeys(PARQUET, JsonLines),
}


def format_of(content_type: str, *, keep: bool) -> Format:
    """The format of a file by its content type; the rows of Parquet are read, and answered, as JSON lines."""
    kind = _FORMATS.get(kind_of(content_type))
    if kind is None:
        raise Refusal(
            415,
            f"Files of the type {content_type[:100]!r} are not taken here.",
            code="unknown_format",
            hint="Send CSV (Content-Type: text/csv), a JSON object in each line (application/x-ndjson), or Parquet "
            "(application/vnd.apache.parquet).",
            closes=True,
        )
    return kind(keep=keep)


def kind_of(content_type: str) -> str:
    """The type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def _spread(name: str, width: int) -> list[str]:
    return [name] if width == 1 else [f"{name}_{at}" for at in range(width)]


def _line(fields: Sequence[Any]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(fields)
    return out.getvalue().encode()


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def _bad_file(message: str, hint: str) -> Refusal:
    return Refusal(422, message, code="bad_file", hint=hint, closes=True)
